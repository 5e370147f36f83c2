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
        then == found || is_kept_elsewhere(then, found)
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

/// A file whose content is in a cloud alone has no time of change that counts (see
/// `os`): it is the one that was stored when all else agrees.
fn is_kept_elsewhere(then: &Fingerprint, found: &Fingerprint) -> bool {
    let is_same_file = then.inode == 0 || then.inode == found.inode;
    found.kind == Kind::File && found.ctime_ns == 0 && is_same_file && then.has_same_meta(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_went_into_the_cloud_is_still_the_one_that_was_stored() {
        let then = Fingerprint {
            size_bytes: 5,
            mtime_ns: 1_000,
            ctime_ns: 2_000,
            inode: 7,
            mode: 0o644,
            ..Fingerprint::UNSEEN
        };
        let stored = Record {
            content: Some(ContentHash::of(b"x")),
            ..Record::unverified(then)
        };
        let unknown_id = Record {
            fingerprint: Fingerprint { inode: 0, ..then },
            ..stored.clone()
        };
        let in_cloud = Fingerprint {
            ctime_ns: 0,
            ..then
        };
        for (record, found, want) in [
            (&stored, in_cloud, true),
            (&unknown_id, in_cloud, true),
            (&unknown_id, then, false),
            (
                &stored,
                Fingerprint {
                    ctime_ns: 2_001,
                    ..then
                },
                false,
            ),
            (
                &stored,
                Fingerprint {
                    mtime_ns: 1_001,
                    ..in_cloud
                },
                false,
            ),
            (
                &stored,
                Fingerprint {
                    size_bytes: 6,
                    ..in_cloud
                },
                false,
            ),
            (
                &stored,
                Fingerprint {
                    inode: 8,
                    ..in_cloud
                },
                false,
            ),
        ] {
            assert_eq!(record.is_as_stored(&found), want, "{found:?}");
        }
    }
}
