//! A version that a drill may restore.

use crate::s3::ListedVersion;
use crate::source::SourceRuntime;
use std::sync::Arc;

/// A version to restore, and why it.
#[derive(Clone)]
pub(crate) struct Candidate {
    pub(crate) source: Arc<SourceRuntime>,
    /// Full key in the bucket.
    pub(crate) key: String,
    pub(crate) version: ListedVersion,
    /// It is not what is current now.
    pub(crate) is_older: bool,
    pub(crate) is_deleted_now: bool,
}

/// A version that chance has drawn.
pub(crate) struct Drawn {
    pub(crate) version: ListedVersion,
    /// It is not what is current now.
    pub(crate) is_older: bool,
    pub(crate) is_deleted_now: bool,
}

impl Candidate {
    /// A version of a source that chance has drawn.
    pub(crate) fn of(source: &Arc<SourceRuntime>, drawn: Drawn) -> Self {
        Self {
            source: Arc::clone(source),
            key: drawn.version.key.clone(),
            version: drawn.version,
            is_older: drawn.is_older,
            is_deleted_now: drawn.is_deleted_now,
        }
    }

    /// A file that the index counts on and of which the bucket has no version.
    pub(crate) fn missing(source: &Arc<SourceRuntime>, key: &str) -> Self {
        Self {
            source: Arc::clone(source),
            key: key.to_owned(),
            version: ListedVersion::unlisted(key),
            is_older: false,
            is_deleted_now: false,
        }
    }

    pub(crate) fn is_missing(&self) -> bool {
        self.version.version_id.is_none()
    }
}
