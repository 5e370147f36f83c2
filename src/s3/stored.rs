//! What a server answers when it acknowledges a version.

use crate::types::{ETag, VersionId};

/// What S3 answered when it acknowledged a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Id of the new version; none when the bucket is not versioned.
    pub version_id: Option<VersionId>,
    /// ETag without quotes.
    pub etag: ETag,
}

impl Stored {
    pub(super) fn of(version_id: Option<&str>, etag: Option<&str>) -> Self {
        Self {
            version_id: version_id.and_then(VersionId::new),
            etag: ETag::of_header(etag),
        }
    }
}
