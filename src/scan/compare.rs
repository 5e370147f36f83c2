//! Decides what a scan does about one key, from what disk, index and bucket say of it.
//!
//! Invariant: in doubt a worker examines the path. Nothing is taken for deleted here: a
//! worker looks at the disk again before it marks anything.

use crate::s3::Listed;
use crate::types::{Fingerprint, Kind, Record};

/// What the bucket's listing says of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InBucket<'a> {
    /// The bucket was not asked (a plain scan), or its answer may be older than
    /// the record.
    NotAsked,
    /// There is no current object.
    Missing,
    /// There is one.
    Present {
        /// Its ETag; empty where the server lists none.
        etag: &'a str,
        /// Its bytes as stored.
        stored_bytes: u64,
    },
}

impl<'a> InBucket<'a> {
    /// What the listing has.
    pub(crate) fn present(listed: &'a Listed) -> Self {
        InBucket::Present {
            etag: &listed.etag,
            stored_bytes: listed.stored_bytes,
        }
    }

    /// True when the listing shows another object than the recorded one. Of a server that
    /// lists no ETags only the size is compared.
    pub fn is_other_than(&self, record: &Record) -> bool {
        match *self {
            InBucket::Present {
                etag: "",
                stored_bytes,
            } => stored_bytes != record.stored_bytes,
            InBucket::Present { etag, .. } => *etag != *record.etag,
            InBucket::Missing => true,
            InBucket::NotAsked => false,
        }
    }
}

/// What stands on disk at the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnDisk<'a> {
    /// What `stat` says.
    pub fingerprint: &'a Fingerprint,
    /// Of a folder: it holds nothing that is backed up.
    pub empty: bool,
}

/// What to do about the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All agree.
    Nothing,
    /// A worker must look at the path.
    Examine,
    /// The listing contradicts the index: mark the record unverified, then examine. A
    /// listing may be older than what was stored since, so nothing is dropped because the
    /// listing lacks it: the worker asks the bucket about that one key.
    MarkUnverified,
}

/// Decide; `None` means "not there".
pub fn compare(disk: Option<OnDisk<'_>>, record: Option<&Record>, bucket: InBucket<'_>) -> Verdict {
    match (disk, record) {
        (None, None) => match bucket {
            InBucket::Present { .. } => Verdict::MarkUnverified,
            InBucket::Missing | InBucket::NotAsked => Verdict::Nothing,
        },
        (_, Some(record)) if bucket.is_other_than(record) => Verdict::MarkUnverified,
        (None, Some(_)) => Verdict::Examine,
        (Some(disk), None) => match bucket {
            InBucket::Present { .. } => Verdict::MarkUnverified,
            InBucket::Missing | InBucket::NotAsked if wants_object(disk) => Verdict::Examine,
            InBucket::Missing | InBucket::NotAsked => Verdict::Nothing,
        },
        (Some(disk), Some(record)) if record.is_as_stored(disk.fingerprint) => Verdict::Nothing,
        (Some(_), Some(_)) => Verdict::Examine,
    }
}

/// A folder gets an object of its own only while it is empty.
fn wants_object(disk: OnDisk<'_>) -> bool {
    match disk.fingerprint.kind {
        Kind::Folder => disk.empty,
        Kind::File | Kind::Symlink => true,
        Kind::Special => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ContentHash;
    use crate::types::VersionId;
    use crate::types::WallMs;

    fn file(mtime_ns: i128) -> Fingerprint {
        Fingerprint {
            kind: Kind::File,
            size_bytes: 1,
            mtime_ns,
            ctime_ns: 7,
            inode: 3,
            mode: 0o644,
            owner: None,
        }
    }

    fn record(fingerprint: Fingerprint) -> Record {
        Record {
            fingerprint,
            content: Some(ContentHash::of(b"x")),
            version_id: VersionId::new("v"),
            etag: "e".into(),
            stored_bytes: 1,
            stored_at_ms: WallMs(0),
            racy: false,
            look: crate::types::Look::Plain,
            attributes: None,
        }
    }

    #[test]
    fn every_combination() {
        use crate::scan::compare::InBucket::{Missing, NotAsked};
        use crate::scan::compare::Verdict::{Examine, MarkUnverified, Nothing};
        let here = |etag, stored_bytes| InBucket::Present { etag, stored_bytes };
        let (old, new) = (file(1), file(2));
        let disk = |fingerprint| {
            Some(OnDisk {
                fingerprint,
                empty: false,
            })
        };
        let known = record(old);
        let racy = Record {
            racy: true,
            ..known.clone()
        };
        let unverified = Record {
            content: None,
            ..known.clone()
        };
        for (name, disk, record, bucket, want) in [
            ("new file", disk(&old), None, NotAsked, Examine),
            ("new file, bucket asked", disk(&old), None, Missing, Examine),
            ("index lost", disk(&old), None, here("e", 1), MarkUnverified),
            ("unchanged", disk(&old), Some(&known), NotAsked, Nothing),
            ("all agree", disk(&old), Some(&known), here("e", 1), Nothing),
            ("changed", disk(&new), Some(&known), NotAsked, Examine),
            ("racy", disk(&old), Some(&racy), NotAsked, Examine),
            (
                "unverified",
                disk(&old),
                Some(&unverified),
                NotAsked,
                Examine,
            ),
            (
                "bucket lost it",
                disk(&old),
                Some(&known),
                Missing,
                MarkUnverified,
            ),
            (
                "overwritten",
                disk(&old),
                Some(&known),
                here("f", 1),
                MarkUnverified,
            ),
            (
                "no ETag listed",
                disk(&old),
                Some(&known),
                here("", 1),
                Nothing,
            ),
            (
                "nor its size",
                disk(&old),
                Some(&known),
                here("", 2),
                MarkUnverified,
            ),
            ("deleted", None, Some(&known), NotAsked, Examine),
            (
                "deleted here only",
                None,
                Some(&known),
                here("e", 1),
                Examine,
            ),
            (
                "deleted in both",
                None,
                Some(&known),
                Missing,
                MarkUnverified,
            ),
            (
                "only in the bucket",
                None,
                None,
                here("e", 1),
                MarkUnverified,
            ),
            ("nowhere", None, None, Missing, Nothing),
        ] {
            assert_eq!(compare(disk, record, bucket), want, "{name}");
        }
    }

    #[test]
    fn folders_count_only_when_empty_and_specials_never() {
        let folder = Fingerprint {
            kind: Kind::Folder,
            ..file(1)
        };
        let special = Fingerprint {
            kind: Kind::Special,
            ..file(1)
        };
        let on = |fingerprint, empty| Some(OnDisk { fingerprint, empty });
        let known = record(folder);
        let touched = Fingerprint {
            mtime_ns: 99,
            ..folder
        };
        let chmod = Fingerprint {
            mode: 0o700,
            ..folder
        };
        let status = Fingerprint {
            ctime_ns: 99,
            ..folder
        };
        for (name, disk, record, want) in [
            ("empty", on(&folder, true), None, Verdict::Examine),
            ("filled", on(&folder, false), None, Verdict::Nothing),
            (
                "filled later",
                on(&touched, false),
                Some(&known),
                Verdict::Nothing,
            ),
            ("chmod", on(&chmod, true), Some(&known), Verdict::Examine),
            (
                "attributes",
                on(&status, true),
                Some(&known),
                Verdict::Examine,
            ),
            (
                "attributes of a filled one",
                on(&status, false),
                Some(&known),
                Verdict::Examine,
            ),
            ("socket", on(&special, false), None, Verdict::Nothing),
        ] {
            assert_eq!(compare(disk, record, InBucket::NotAsked), want, "{name}");
        }
    }
}
