//! What a server answers when it acknowledges a version.

/// What S3 answered when it acknowledged a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Id of the new version; empty when the bucket is not versioned.
    pub version_id: String,
    /// ETag without quotes.
    pub etag: String,
}

impl Stored {
    pub(super) fn of(version_id: Option<&str>, etag: Option<&str>) -> Self {
        Self {
            version_id: version_id.unwrap_or_default().to_owned(),
            etag: unquote(etag),
        }
    }
}

pub(super) fn unquote(etag: Option<&str>) -> String {
    etag.unwrap_or_default().trim_matches('"').to_owned()
}
