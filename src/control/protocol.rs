//! What is asked and answered, and the last answer, which is kept for when nobody gives
//! one any more.

use crate::destination::Trouble;
use crate::drill::Drill;
use crate::os;
use crate::status::StatusSnapshot;
use crate::types::{Fault, Rates, Traffic, WallMs};
use crate::verify::{Ask, Verified, findings};
use serde::{Deserialize, Serialize};
use std::io;
use std::io::{Read as _, Write as _};
use std::path::Path;

/// What a command can ask of the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Request {
    /// How things stand.
    Status,
    /// A full comparison of all sources with their buckets, now.
    Reconcile(Words),
    /// The digest as it stands, or (`send`) the whole daily job now.
    Digest {
        /// Scan, send and begin a new period.
        send: bool,
    },
    /// Index and bucket side by side.
    Verify(Ask),
}

/// What somebody says with a reconciliation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Words {
    /// So many deletions that they were held back are meant: mark them.
    pub confirm_deletions: bool,
    /// Destinations that belong to others are this computer's from now on.
    pub take_over: bool,
}

/// A line from the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    /// Nothing new: it is being worked on. The client hears it and nobody else.
    Alive,
    /// How far a reconciliation is.
    Progress(Progress),
    /// How far a verification is.
    Verifying(findings::Progress),
    /// Answer to [`Request::Verify`].
    Verified {
        /// One per source.
        sources: Vec<Verified>,
    },
    /// Answer to [`Request::Status`].
    Status(Box<Status>),
    /// Answer to [`Request::Reconcile`].
    Reconciled {
        /// One per source.
        sources: Vec<Reconciled>,
    },
    /// Answer to [`Request::Digest`].
    Digest {
        /// Subject line.
        subject: String,
        /// The text.
        body: String,
        /// What became of it, when it was to be sent.
        delivery: Option<String>,
        /// It was to be sent, and its reader does not have it yet.
        #[serde(default)]
        is_undelivered: bool,
        /// The newest restore drill.
        #[serde(default)]
        drill: Option<Drill>,
    },
    /// The request failed.
    Failed(Fault),
}

/// How far a reconciliation is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Files seen so far, all sources.
    pub seen: u64,
    /// Paths still waiting or in work.
    pub waiting: u64,
    /// Versions stored since it began.
    pub stored: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Why nothing is sent to a bucket right now.
    #[serde(default)]
    pub on_hold: Option<String>,
}

/// What a reconciliation did to one source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciled {
    /// The source's name.
    pub name: String,
    /// Where its copies go.
    pub destination: String,
    /// Files and links on disk.
    pub files: u64,
    /// Versions stored.
    pub stored: u64,
    /// Bytes of those files.
    pub bytes: u64,
    /// Bytes they take in the bucket.
    pub stored_bytes: u64,
    /// Deletions marked.
    pub deleted: u64,
    /// Metadata changed without sending content.
    pub metadata_updates: u64,
    /// Paths that are not protected, the first few.
    pub failed: Vec<Fault>,
    /// How many are not.
    pub failed_total: u64,
    /// What is no trouble, but good to know.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Why the comparison is not complete; empty when it is.
    pub incomplete: Vec<String>,
    /// Nothing can be uploaded: why.
    pub outage: Option<Fault>,
    /// What is wrong with the destination though it can be reached.
    #[serde(default)]
    pub troubles: Vec<Trouble>,
}

impl Reconciled {
    /// True when everything in the source is protected, and stays so.
    pub fn is_whole(&self) -> bool {
        self.is_sent() && self.troubles.is_empty()
    }

    /// True when everything in the source is in the bucket, and nothing is lost there.
    pub fn is_safe(&self) -> bool {
        self.is_sent() && !self.troubles.iter().any(|one| one.kind.costs_files())
    }

    /// True when everything in the source is in the bucket, safe there or not.
    pub fn is_sent(&self) -> bool {
        self.failed_total == 0 && self.incomplete.is_empty() && self.outage.is_none()
    }
}

/// How a running daemon stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Program version.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// When it started, milliseconds since 1970.
    pub started_ms: WallMs,
    /// How people know the server.
    pub place: String,
    /// How much of the line may be taken now.
    #[serde(default)]
    pub rates: Rates,
    /// What went over it since the start.
    #[serde(default)]
    pub traffic: Traffic,
    /// Messages that wait to be published.
    pub outbox: u64,
    /// Why no mail goes out, and since when (milliseconds since 1970).
    #[serde(default)]
    pub mail_trouble: Option<(WallMs, Fault)>,
    /// The newest restore drill.
    #[serde(default)]
    pub drill: Option<Drill>,
    /// One per source.
    pub sources: Vec<SourceStatus>,
}

/// How one source stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// Its name.
    pub name: String,
    /// The folder.
    pub path: String,
    /// Where its copies go.
    pub destination: String,
    /// Files and links whose content the bucket has.
    pub files_protected: u64,
    /// Their size.
    pub bytes_protected: u64,
    /// Of the files that the last scan saw, those that wait and are in no bucket yet.
    #[serde(default)]
    pub files_not_stored: u64,
    /// Known from the bucket's listing, not compared yet.
    pub unverified: u64,
    /// Waiting or in work.
    pub waiting: u64,
    /// Files that have had many versions of late and wait for their next one.
    #[serde(default)]
    pub paced: u64,
    /// Until when at most, milliseconds since 1970.
    #[serde(default)]
    pub paced_until_ms: Option<WallMs>,
    /// Paths that are not protected, the first few: what, why and since when.
    pub unprotected: Vec<(Fault, WallMs)>,
    /// How many are not.
    pub unprotected_total: u64,
    /// What it is doing.
    pub board: StatusSnapshot,
}

/// The file with the state as last told, in the state folder.
const KEPT_FILE: &str = "last-status.json";

/// A kept state is no longer than this: [`Status`] names a bounded number of files.
const KEPT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How things stood, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// When, milliseconds since 1970.
    pub at_ms: WallMs,
    /// How things stood.
    pub status: Status,
}

impl Kept {
    /// Write it down, for when nobody answers. Whole or not at all. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn write(&self, state_dir: &Path) -> io::Result<()> {
        let path = state_dir.join(KEPT_FILE);
        let new = path.with_extension("new");
        let text = serde_json::to_vec(self)?;
        os::create_private_file(&new)?.write_all(&text)?;
        std::fs::rename(&new, &path)
    }

    /// What was written down last; `None` when nothing that can be read was. Blocks.
    pub fn read(state_dir: &Path) -> Option<Self> {
        let file = std::fs::File::open(state_dir.join(KEPT_FILE)).ok()?;
        serde_json::from_reader(file.take(KEPT_BYTES_MAX)).ok()
    }
}
