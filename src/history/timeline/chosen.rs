//! A version that was chosen, and the file it stands for.

use crate::s3::ListedVersion;
use crate::types::{ETag, ForeignKey, RelKey, VersionId, WallMs, id_text, shown};

/// What a key in the bucket says about the file it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// This path.
    Path(RelKey),
    /// This path, by the key that earlier versions of Keepwatch gave it. It has another
    /// place in the listing than the path.
    Older(RelKey),
    /// The path is in the object's metadata.
    Shortened,
    /// No path of ours has this key; the reason in words.
    Foreign(String),
}

impl Name {
    /// What a full key stands for; `None` outside the prefix and for Keepwatch's own
    /// objects.
    pub(crate) fn of(bucket_key: &str, prefix: &str) -> Option<Self> {
        match RelKey::parse_at(bucket_key.strip_prefix(prefix)?, prefix) {
            Ok(key) => Some(Self::Path(key)),
            Err(ForeignKey::Shortened) => Some(Self::Shortened),
            Err(ForeignKey::Own) => None,
            Err(ForeignKey::Older(key)) => Some(Self::Older(key)),
            Err(foreign) => Some(Self::Foreign(foreign.to_string())),
        }
    }
}

/// The version of one key that was current.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Full key in the bucket.
    pub key: String,
    /// What it stands for.
    pub name: Name,
    /// Version id.
    pub version_id: Option<VersionId>,
    /// ETag without quotes.
    pub etag: ETag,
    /// Bytes as stored.
    pub stored_bytes: u64,
    /// When the server stored it, milliseconds since 1970.
    pub modified_ms: WallMs,
    /// S3 storage class.
    pub storage_class: String,
}

impl Chosen {
    pub(crate) fn of(version: ListedVersion, name: Name) -> Self {
        Self {
            key: version.key,
            name,
            version_id: version.version_id,
            etag: version.etag,
            stored_bytes: version.stored_bytes,
            modified_ms: version.modified_ms,
            storage_class: version.storage_class,
        }
    }

    /// The version to ask for.
    pub(crate) fn version(&self) -> Option<&VersionId> {
        self.version_id.as_ref()
    }

    /// What tells this version's bytes from every other's.
    pub(crate) fn identity(&self) -> String {
        let named = format!("{}\n{}\n{}", self.key, id_text(&self.version_id), self.etag);
        match (id_text(&self.version_id), self.etag.is_empty()) {
            // One such version takes the place of another.
            ("null", true) => format!("{named}\n{}", self.modified_ms.0),
            _ => named,
        }
    }

    /// The file's path, or the key on one line, for messages.
    pub fn subject(&self) -> String {
        match &self.name {
            Name::Path(key) | Name::Older(key) => key.path().to_string(),
            Name::Shortened | Name::Foreign(_) => shown(&self.key),
        }
    }
}
