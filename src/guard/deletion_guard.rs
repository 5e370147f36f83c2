//! One source's deletion guard.

use super::memory::{GuardMemory, Memory};
use super::policy::{DeletionHold, Now};
use crate::clock::Clock;
use crate::config::{Config, SourceConfig};
use crate::files::Rules;
use crate::index::{Index, SourceId};
use crate::os::clock::wall_ms;
use crate::s3::Store;
use crate::status::LiveStatus;
use crate::watchdog::IoWatchdog;
use crate::work::SourceWork;
use parking_lot::MutexGuard;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Holds back the deletions of one source.
pub struct DeletionGuard {
    /// The whole configuration: for the commands that a message proposes.
    pub config: Arc<Config>,
    /// The source's settings.
    pub source: Arc<SourceConfig>,
    /// The source in the index.
    pub id: SourceId,
    /// What is left out of the backup.
    pub rules: Arc<Rules>,
    /// Keeps what the guard remembers, and knows the files.
    pub index: Index,
    /// Knows the server's time.
    pub store: Store,
    /// The clocks.
    pub clock: Clock,
    /// Shows what is held back.
    pub status: LiveStatus,
    /// Takes requests for scans, and knows what is still to come.
    pub work: SourceWork,
    /// Watches over the guard's calls to the disk.
    pub watchdog: IoWatchdog,
    /// What the guard remembers.
    pub memory: GuardMemory,
}

impl DeletionGuard {
    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock()
    }

    /// As if another worker began, or ended, to count the source's files.
    pub fn counts(&self, is_counting: bool) {
        self.memory().is_counting = is_counting;
    }

    /// A deletion was deferred.
    pub(crate) fn note_deferred(&self, pause_ms: i64) {
        let now_ms = self.clock.monotonic_ms();
        self.memory.noticed().note(now_ms, pause_ms);
    }

    /// A change was heard of at a path that is there.
    pub(crate) fn note_came(&self) {
        self.memory.came.store(true, Ordering::Relaxed);
    }

    /// Many deletions have come and more may: none has had `pause_ms` to itself yet.
    pub(crate) fn is_filling(&self, pause_ms: i64) -> bool {
        let now_ms = self.clock.monotonic_ms();
        self.memory.noticed().is_filling(now_ms, pause_ms)
    }

    /// What is held back.
    pub fn holds(&self) -> Vec<DeletionHold> {
        self.memory().saved.state.holds.clone()
    }

    /// The time now, by both clocks.
    pub(super) fn now(&self) -> Now {
        Now {
            here_ms: self.clock.now_ms(),
            server_ms: self.store.server_now_ms(wall_ms()),
        }
    }
}
