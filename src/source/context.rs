//! What all tasks share: the sources, the rooms below, and the queues.

use super::breakers::Gates;
use super::io_watchdog::Answering;
use super::links::HardLinks;
use crate::backup::{Commits, CopyHealth, LateChecks, SwapTracker};
use crate::bandwidth::Kept;
use crate::config::{Config, SourceConfig};
use crate::destination::Destination;
use crate::files::{Compress, Rules};
use crate::guard::Brakes;
use crate::index::{Index, SourceId};
use crate::manifest::Computer;
use crate::os;
use crate::os::clock::wall_ms;
use crate::pacing::Pacing;
use crate::status::Board;
use crate::types::{Fingerprint, RelKey, RelPath};
use crate::work::{Queue, ScanBook, Unsettled};

use crate::s3::Store;
use crate::transfer::{Budget, Uploads};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Instant;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};

/// Hints of one source on their way from watch, scan and upload to collect. Beyond that a
/// scan is asked for, so the bound costs nothing but time.
pub const HINTS_MAX: usize = 16 * 1024;

/// The wall clock, milliseconds since 1970; replaced in tests.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The computer's clock.
pub fn system_clock() -> Clock {
    Arc::new(wall_ms)
}

/// Whether a file may have another owner than the backup says, without that being a
/// change: after a restore by an account that can give files to nobody else, and where
/// this computer takes the place of another. Only for what the index does not know yet.
#[derive(Debug, Clone, Copy)]
pub struct Owners {
    takes_over: bool,
    is_privileged: bool,
}

impl Owners {
    /// True for this file.
    pub fn are_forgiven(self, now: &Fingerprint) -> bool {
        self.takes_over || (!self.is_privileged && os::is_own(now))
    }
}

/// A path that may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// Index of the source in the configuration.
    pub source: usize,
    /// The path.
    pub path: RelPath,
    /// When it was first seen to have changed, by [`Context::steady_ms`].
    pub first_ms: i64,
    /// When it last changed, by [`Context::steady_ms`].
    pub last_ms: i64,
    /// A worker had it and could not store it yet.
    pub is_given_back: bool,
}

/// One watched folder with everything that is needed to work on it.
pub struct Source {
    /// Its settings.
    pub config: SourceConfig,
    /// Its number in the index.
    pub id: SourceId,
    /// What is left out.
    pub rules: Rules,
    /// What is stored compressed.
    pub compress: Compress,
    /// The index has been compared with the bucket at least once, so a path
    /// without a record is really new.
    pub compared: AtomicBool,
    /// What is known of the place that its copies go to.
    pub destination: Destination,
    /// Whether its server copies what it has.
    pub copies: CopyHealth,
}

impl Source {
    /// The object's key in the bucket, and whether it is shortened.
    pub fn bucket_key(&self, key: &RelKey) -> crate::types::BucketKey {
        key.in_bucket(&self.config.prefix)
    }

    /// Whether deletions may be marked in the bucket.
    pub fn marks_deletions(&self) -> bool {
        self.config.on_delete == crate::config::OnDelete::Mark && self.destination.keeps_versions()
    }
}

/// What all tasks share.
pub struct Context {
    /// The validated configuration.
    pub config: Config,
    /// One per `[[source]]`, in the configuration's order.
    pub sources: Vec<Source>,
    /// This computer, as it owns destinations.
    pub computer: Computer,
    /// The server.
    pub store: Store,
    /// The index.
    pub index: Index,
    /// What workers write into it, many at a time.
    pub commits: Commits,
    /// Paths that want a look.
    pub queue: Queue,
    /// Live status.
    pub board: Board,
    /// Scans that are asked for.
    pub scans: ScanBook,
    /// Paths that may have changed, to each source's collector. Use
    /// [`Context::hint`].
    pub hints: Vec<mpsc::Sender<Hint>>,
    /// Which buckets can be reached.
    pub gates: Gates,
    /// Second looks at what was not answered.
    pub late: LateChecks,
    /// Which folders answer.
    pub answering: Answering,
    /// Uploads in parts under way.
    pub uploads: Uploads,
    /// What of the traffic the index has.
    pub kept: Kept,
    /// What is held back from being marked as deleted.
    pub brakes: Brakes,
    /// Files that changed places of late.
    pub moves: SwapTracker,
    /// Files that have several names.
    pub links: HardLinks,
    /// What waits for its next version.
    pub pacing: Pacing,
    /// Memory for file contents.
    pub budget: Budget,
    /// Hints on their way and paths that have not settled yet.
    pub unsettled: Unsettled,
    /// The wall clock.
    pub clock: Clock,
    /// What [`Context::steady_ms`] counts from.
    pub began: Instant,
    /// How often the computer has slept or its clock was set: whoever keeps
    /// something that may not have survived that listens.
    pub woke: watch::Sender<u64>,
    /// True once a stop was asked for: what waits for its time does not wait any
    /// longer. Use [`Context::is_ending`].
    pub ending: watch::Sender<bool>,
    /// When the system last told of a change; use [`Context::note_heard`].
    pub heard_ms: AtomicI64,
}

impl Context {
    /// Whose files the source's are, against what the backup says.
    pub fn owners(&self, source: usize) -> Owners {
        Owners {
            takes_over: self.sources[source].config.take_over.is_some(),
            is_privileged: os::is_privileged(),
        }
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        (self.clock)()
    }

    /// Milliseconds since 1970 by the server's clock, as near as it is known: for
    /// whatever is compared with a time that the server gives, and for schedules.
    pub fn server_now_ms(&self) -> i64 {
        self.store.server_now_ms(self.now_ms())
    }

    /// When something happened by the server's clock, which [`Context::steady_ms`]
    /// said was then `steady_ms`: never later than it was, so that what the server
    /// stored because of it is younger. For moments that are printed in a command;
    /// [`crate::types::moment::before`] gives the one just before it.
    pub fn server_moment_ms(&self, steady_ms: i64) -> i64 {
        let since_ms = (self.steady_ms() - steady_ms).max(0);
        self.store.server_reached_ms(self.now_ms()) - since_ms
    }

    /// Milliseconds since the start, by a clock that nobody sets: for debounce
    /// and latency. A wall clock that is put back must not hold a save up.
    pub fn steady_ms(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// A stop was asked for: whatever can be stored is stored now.
    pub fn is_ending(&self) -> bool {
        *self.ending.borrow()
    }

    /// The system has told of a change, which is on its way to `collect`.
    pub fn note_heard(&self) {
        self.heard_ms.store(self.steady_ms(), Ordering::Relaxed);
    }

    /// Tell collect of a path; when it cannot take any more, a scan will find it.
    pub fn hint(&self, hint: Hint) {
        let Some(hints) = self.hints.get(hint.source) else {
            return;
        };
        self.unsettled
            .add(hint.source, hint.first_ms, hint.is_given_back);
        if let Err(refused) = hints.try_send(hint) {
            let (TrySendError::Full(hint) | TrySendError::Closed(hint)) = refused;
            self.scans
                .ask_subtree(hint.source, hint.path.parent().unwrap_or_default());
            self.settled(hint.source, hint.first_ms, hint.is_given_back.into());
        }
    }

    /// A path heard of first at `first_ms` is in the queue now, or has become one
    /// with another; workers had given it back so often.
    pub fn settled(&self, source: usize, first_ms: i64, given_back: u32) {
        self.unsettled.remove(source, first_ms, given_back);
        if self.queue.has_aside(source) {
            // What was set aside may come now.
            self.queue.wake();
        }
    }

    /// Put a path in the fast lane; when that is full, a scan will find it.
    /// `since_ms` is by [`Context::steady_ms`].
    pub fn edit(&self, source: usize, path: RelPath, since_ms: i64, deadline: bool) {
        let folder = path.parent().unwrap_or_default();
        if self
            .queue
            .push_edit(source, path, since_ms, deadline)
            .is_err()
        {
            self.scans.ask_subtree(source, folder);
        }
    }
}
