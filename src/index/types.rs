//! The words the index speaks in. No sled, no disk: values only.

use crate::types::{ContentHash, Crc64, Fault, Fingerprint, Kind, Record, RelKey, WallMs};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One source bound to one place in one bucket, for as long as that stays so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourceId(pub u32);

/// Who a source is; any other value of any field is another source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SourceIdentity {
    pub(super) name: String,
    pub(super) bucket: String,
    pub(super) prefix: String,
    pub(super) destination: String,
    /// Replaced by another; its entries are being removed.
    #[serde(default)]
    pub(super) leaving: bool,
}

/// How opening the index went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// There was none: the bucket must be compared before anything counts.
    Fresh,
    /// It was there and is whole.
    Existing,
    /// It was damaged or newer than this program, and a fresh one was made.
    Rebuilt {
        /// Where the old one is now (where it was, when it could not be moved).
        moved_to: PathBuf,
        /// Why it could not be used.
        why: String,
        /// Opening the old one never ended, and its thread still runs: it costs
        /// a processor, and memory with time. End the process and start again
        /// when that does no harm.
        thread_left_behind: bool,
    },
}

/// What happens to a path's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// This is what the bucket now holds.
    Put(Record),
    /// The bucket holds it no more (or marked deleted).
    Remove,
}

impl Change {
    pub(super) fn record(&self) -> Option<&Record> {
        match self {
            Self::Put(record) => Some(record),
            Self::Remove => None,
        }
    }
}

/// One path's change with its share of the digest; see
/// [`commit_all`](super::Index::commit_all).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The source.
    pub source: SourceId,
    /// The path's key in it.
    pub key: RelKey,
    /// What happens to its record.
    pub change: Change,
    /// What was done.
    pub activity: ActivityDelta,
}

/// What the index knows of one source, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Regular files.
    pub files: u64,
    /// Symbolic links.
    pub links: u64,
    /// Empty folders.
    pub folders: u64,
    /// Bytes of all of them on this computer.
    pub bytes: u64,
    /// Bytes of all of them in the bucket.
    pub stored_bytes: u64,
    /// How many are only known from a bucket listing (see [`Record::content`]).
    pub unverified: u64,
    /// Bytes of these.
    #[serde(default)]
    pub unverified_bytes: u64,
}

impl Counts {
    /// Files and links whose content the bucket is known to have.
    pub fn protected(&self) -> u64 {
        (self.files + self.links).saturating_sub(self.unverified)
    }

    /// Bytes of those that [`Counts::protected`] counts.
    pub fn protected_bytes(&self) -> u64 {
        self.bytes.saturating_sub(self.unverified_bytes)
    }

    pub(super) fn add(&mut self, record: &Record) {
        self.change(record, u64::saturating_add);
    }

    pub(super) fn subtract(&mut self, record: &Record) {
        self.change(record, u64::saturating_sub);
    }

    fn change(&mut self, record: &Record, step: fn(u64, u64) -> u64) {
        let kind = match record.fingerprint.kind {
            Kind::Symlink => &mut self.links,
            Kind::Folder => &mut self.folders,
            Kind::File | Kind::Special => &mut self.files,
        };
        *kind = step(*kind, 1);
        self.bytes = step(self.bytes, record.fingerprint.size_bytes);
        self.stored_bytes = step(self.stored_bytes, record.stored_bytes);
        if record.content.is_none() {
            self.unverified = step(self.unverified, 1);
            self.unverified_bytes = step(self.unverified_bytes, record.fingerprint.size_bytes);
        }
    }
}

/// What one commit did, to be summed for the digest.
pub type ActivityDelta = Activity;

/// What has been done for one source since the last digest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// New versions in the bucket.
    pub versions: u64,
    /// Those among them whose path was not there before.
    pub files_new: u64,
    /// Bytes of the files stored.
    pub raw_bytes: u64,
    /// Bytes they take in the bucket.
    pub stored_bytes: u64,
    /// Bytes that did not have to be sent (compression, copies within the bucket).
    pub saved_bytes: u64,
    /// Delete markers set.
    pub deletions: u64,
    /// Versions that changed a file's metadata alone.
    pub metadata_updates: u64,
    /// Requests made.
    pub requests: u64,
}

impl Activity {
    /// How many numbers it has.
    pub(super) const FIELDS: usize = 8;

    pub(super) fn fields(&self) -> [u64; Self::FIELDS] {
        [
            self.versions,
            self.files_new,
            self.raw_bytes,
            self.stored_bytes,
            self.saved_bytes,
            self.deletions,
            self.metadata_updates,
            self.requests,
        ]
    }

    pub(super) fn from_fields(fields: [u64; Self::FIELDS]) -> Self {
        let [
            versions,
            files_new,
            raw_bytes,
            stored_bytes,
            saved_bytes,
            deletions,
            metadata_updates,
            requests,
        ] = fields;
        Self {
            versions,
            files_new,
            raw_bytes,
            stored_bytes,
            saved_bytes,
            deletions,
            metadata_updates,
            requests,
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        self.each(other, u64::saturating_add)
    }

    /// This without the other.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.each(other, u64::saturating_sub)
    }

    fn each(&self, other: &Self, step: fn(u64, u64) -> u64) -> Self {
        let mut fields = self.fields();
        for (field, with) in fields.iter_mut().zip(other.fields()) {
            *field = step(*field, with);
        }
        Self::from_fields(fields)
    }
}

/// A path that could not be backed up yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unprotected {
    /// Why the last attempt failed.
    pub fault: Fault,
    /// Since when it is unprotected, milliseconds since 1970.
    pub since_ms: WallMs,
    /// Attempts that failed.
    pub attempts: u32,
    /// When the next one is due, milliseconds since 1970.
    pub next_try_ms: WallMs,
}

/// A path that failed at least once since the last digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Why it failed the last time.
    pub fault: Fault,
    /// How often.
    pub count: u32,
    /// When it failed the last time, milliseconds since 1970.
    pub last_ms: WallMs,
}

/// The failures since the last digest, as far as they were kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failures {
    /// By path, at most [`super::FAILURES_MAX`].
    pub list: Vec<(RelKey, Failure)>,
    /// How many failures of further paths were only counted.
    pub overflow: u64,
}

/// A message that waits to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxMessage {
    /// Subject line.
    pub subject: String,
    /// Text.
    pub body: String,
    /// When it was written, milliseconds since 1970.
    pub created_ms: WallMs,
}

/// A multipart upload that was begun and not known to have ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Multipart {
    /// Whose it is.
    pub source: SourceId,
    /// Which file's.
    pub key: RelKey,
    /// The server's name for it; empty while (or because) it is not known.
    pub upload_id: String,
    /// Where it is.
    pub bucket: String,
    /// The object's key there.
    pub bucket_key: String,
    /// When it was first noted, or last found to have got on, milliseconds since
    /// 1970.
    #[serde(default)]
    pub noted_ms: WallMs,
    /// On which server or vault; empty in notes of earlier versions. The index
    /// fills it in: it knows where the source's bucket is.
    #[serde(default)]
    pub destination: String,
    /// What it takes to go on with it; without that it can only be aborted.
    #[serde(default)]
    pub resume: Option<Resume>,
}

/// What it takes to go on with an upload that was broken off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// Of everything that its parts and its object follow from: only who wants
    /// exactly the same may go on with it.
    pub digest: ContentHash,
    /// Hash of the file's content.
    pub content: ContentHash,
    /// The file as it was.
    pub fingerprint: Fingerprint,
    /// The server proves the bytes of the whole, not of each part.
    pub proves_whole: bool,
    /// Parts the server had when it was last taken up.
    #[serde(default)]
    pub parts: usize,
    /// How often its completion was asked for.
    #[serde(default)]
    pub completions: u32,
    /// How often in a row the server failed to say what it has of it.
    #[serde(default)]
    pub silences: u32,
}

/// A part that the server has acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcknowledgedPart {
    /// 1 to 10,000.
    pub number: i32,
    /// The server's name for its bytes.
    pub etag: String,
    /// Checksum of what was sent.
    pub crc64: Crc64,
    /// Its bytes.
    pub bytes: u64,
}

impl Multipart {
    /// A note of an upload of `key` to that object, begun when `upload_id` is
    /// not empty. Nothing says yet that it can be gone on with.
    pub fn of(source: SourceId, key: &RelKey, upload_id: &str, at: (&str, &str)) -> Self {
        Self {
            source,
            key: key.clone(),
            upload_id: upload_id.to_owned(),
            bucket: at.0.to_owned(),
            bucket_key: at.1.to_owned(),
            noted_ms: WallMs::default(),
            destination: String::new(),
            resume: None,
        }
    }

    /// Whether the server has answered under which id it was begun.
    pub fn is_begun(&self) -> bool {
        !self.upload_id.is_empty()
    }
}

/// The unprotected paths of some kind, as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oldest {
    /// Since when the oldest is unprotected, milliseconds since 1970.
    pub since_ms: WallMs,
    /// Its last failure.
    pub fault: Fault,
    /// How many there are.
    pub count: u64,
}
