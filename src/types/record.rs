//! What the index knows of one object of the bucket.

use super::content_class::Look;
use super::content_hash::ContentHash;
use super::fingerprint::{Fingerprint, Kind};
use super::instant::WallMs;
use super::version::{ETag, VersionId, id_or_empty};
use serde::{Deserialize, Serialize};

/// What the index knows of one object of the bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The file as it was when it was stored.
    pub fingerprint: Fingerprint,
    /// Hash of the file's content; `None` when the object is only known from a
    /// bucket listing (index rebuilt) and must be compared before it counts.
    pub content: Option<ContentHash>,
    /// The stored version's id; none when the bucket is not versioned.
    #[serde(with = "id_or_empty")]
    pub version_id: Option<VersionId>,
    /// The stored version's ETag, without quotes.
    pub etag: ETag,
    /// Bytes the object takes in the bucket (after compression).
    pub stored_bytes: u64,
    /// When S3 acknowledged it, milliseconds since 1970.
    pub stored_at_ms: WallMs,
    /// The file was modified so shortly before it was hashed that a second
    /// change could hide in the clock's grain: hash it again at the next scan.
    pub racy: bool,
    /// How its content looks.
    pub look: Look,
    /// Which attributes it had when it was stored ([`super::Attributes::id`]); `None` when it
    /// had none, and in records of versions that did not look.
    pub attributes: Option<u64>,
}

impl Record {
    /// Whether what it held may be said to have been plain, and not nothing.
    pub fn was_plain(&self, name: &[u8]) -> bool {
        self.fingerprint.size_bytes > 0 && self.look.was_plain(name)
    }

    /// Of a path of which nobody knows what the bucket has.
    pub fn unverified(fingerprint: Fingerprint) -> Self {
        Self {
            fingerprint,
            content: None,
            version_id: None,
            etag: ETag::default(),
            stored_bytes: 0,
            stored_at_ms: WallMs::default(),
            racy: false,
            look: Look::Unknown,
            attributes: None,
        }
    }

    /// [`Record::stored_at_ms`] of a record that nobody may believe the bucket
    /// about; no clock says it.
    const DISTRUSTED_AT_MS: WallMs = WallMs(-1);

    /// The same path, after its copy was found damaged: what the bucket says of
    /// it does not count any more, and only its content, sent again, does.
    #[must_use]
    pub fn distrusted(self) -> Self {
        Self {
            content: None,
            version_id: None,
            etag: ETag::default(),
            stored_at_ms: Self::DISTRUSTED_AT_MS,
            ..self
        }
    }

    /// What stands there is what was stored, as far as `stat` can tell.
    pub fn is_as_stored(&self, found: &Fingerprint) -> bool {
        if self.content.is_none() || self.racy {
            return false;
        }
        let then = &self.fingerprint;
        if found.kind == Kind::Folder {
            // A folder's times change with its contents; they are no change of its own.
            // Its attributes may be, and only the change of its status tells of that.
            let own = |folder: &Fingerprint| (folder.mode, folder.owner, folder.ctime_ns);
            return then.kind == Kind::Folder && own(then) == own(found);
        }
        then == found
    }

    /// It is of one version, whose content and metadata S3 lets nobody change. A
    /// bucket that keeps no versions calls whatever is there `null`.
    pub fn is_pinned(&self) -> bool {
        self.version_id.as_ref().is_some_and(VersionId::is_pinned)
    }

    /// See [`Record::distrusted`].
    pub fn is_distrusted(&self) -> bool {
        self.content.is_none() && self.stored_at_ms == Self::DISTRUSTED_AT_MS
    }
}
