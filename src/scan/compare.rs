//! What a scan or reconciliation does about one key, given what the disk, the
//! index and the bucket say of it.
//!
//! Invariant: in doubt the path is examined by a worker; nothing is ever taken
//! for deleted here, a worker looks at the disk again before it marks anything.

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

impl InBucket<'_> {
    /// True when the listing shows another object than the one on record. A
    /// server that lists no ETags (some compatible ones) leaves its size to go by.
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
    /// For a folder: it holds nothing that is backed up.
    pub empty: bool,
}

/// What to do about the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All agree.
    Nothing,
    /// A worker must look at the path.
    Examine,
    /// The bucket's list says otherwise than the index: write the key down as
    /// unverified, then examine. A list may be older than what was stored since
    /// (by clocks that jump, or an answer that was lost), so nothing is dropped
    /// for what it lacks: the worker asks the bucket about that one key.
    Doubt,
}

/// Decide. `None` stands for "not there".
pub fn compare(disk: Option<OnDisk<'_>>, record: Option<&Record>, bucket: InBucket<'_>) -> Verdict {
    match (disk, record) {
        (None, None) => match bucket {
            InBucket::Present { .. } => Verdict::Doubt,
            InBucket::Missing | InBucket::NotAsked => Verdict::Nothing,
        },
        (_, Some(record)) if bucket.is_other_than(record) => Verdict::Doubt,
        (None, Some(_)) => Verdict::Examine,
        (Some(disk), None) => match bucket {
            InBucket::Present { .. } => Verdict::Doubt,
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
            stored_at_ms: 0,
            racy: false,
            look: crate::types::Look::Plain,
            attributes: None,
        }
    }

    #[test]
    fn every_combination() {
        use crate::scan::compare::InBucket::{Missing, NotAsked};
        use crate::scan::compare::Verdict::{Doubt, Examine, Nothing};
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
            ("index lost", disk(&old), None, here("e", 1), Doubt),
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
            ("bucket lost it", disk(&old), Some(&known), Missing, Doubt),
            ("overwritten", disk(&old), Some(&known), here("f", 1), Doubt),
            (
                "no ETag listed",
                disk(&old),
                Some(&known),
                here("", 1),
                Nothing,
            ),
            ("nor its size", disk(&old), Some(&known), here("", 2), Doubt),
            ("deleted", None, Some(&known), NotAsked, Examine),
            (
                "deleted here only",
                None,
                Some(&known),
                here("e", 1),
                Examine,
            ),
            ("deleted in both", None, Some(&known), Missing, Doubt),
            ("only in the bucket", None, None, here("e", 1), Doubt),
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
