//! One source's deletion guard: what it works with, and what it remembers.

use super::noticed::Noticed;
use super::policy::{Brake, Hold, Now};
use super::ransomware::{Halves, Window};
use super::standing::Judged;
use crate::clock::Clock;
use crate::config::{Config, SourceConfig};
use crate::files::Rules;
use crate::index::{Index, SourceId};
use crate::os::clock::wall_ms;
use crate::s3::Store;
use crate::status::LiveStatus;
use crate::types::{Fault, MonotonicMs, RelKey};
use crate::watchdog::IoWatchdog;
use crate::work::SourceWork;
use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use std::ops::Deref;
use std::sync::Arc;

/// Under which name the index remembers a source's brake.
pub(super) const STATE: &str = "brake";

/// What survives a restart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Saved {
    pub(super) brake: Brake,
    /// Files that look encrypted, of the last minutes.
    #[serde(default)]
    pub(super) window: Window,
}

#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) saved: Saved,
    /// Deletions that may be marked before the files are counted again; none at
    /// a start, so nothing that a kill lost can add up.
    pub(super) allowance: u64,
    /// Looks in a row at which the root was not there.
    pub(super) away: u32,
    /// Known mounts that were not there at the last look.
    pub(super) lost: Vec<RelKey>,
    /// Halves of renames that may come to look like encryption.
    pub(super) halves: Halves,
    /// What the last root was judged to be that no marker proves.
    pub(super) judged: Option<Judged>,
    /// Deletions that were let go and whose answer has not come yet.
    pub(super) in_flight: u64,
    /// Somebody is counting the files.
    pub(super) is_counting: bool,
    /// When the newest hold began, by the steady clock.
    pub(super) held_at_ms: MonotonicMs,
}

/// What a guard works with.
pub struct GuardParts {
    /// The whole configuration: for the commands that a message proposes.
    pub config: Arc<Config>,
    /// The source's settings.
    pub source: SourceConfig,
    /// The source in the index.
    pub id: SourceId,
    /// What is left out of the backup.
    pub rules: Arc<Rules>,
    /// The index.
    pub index: Index,
    /// Knows the server's time.
    pub store: Store,
    /// The clocks.
    pub clock: Clock,
    /// Where it shows what is held back.
    pub status: LiveStatus,
    /// Where it asks for scans, and what is still to come.
    pub work: SourceWork,
    /// Watches over its calls to the disk.
    pub watchdog: IoWatchdog,
}

/// Holds back the deletions of one source.
pub struct DeletionGuard {
    parts: GuardParts,
    memory: Mutex<Memory>,
    /// Deletions that came one soon after the other. Its own lock: the queue asks
    /// for it, and must not wait for the index.
    noticed: Mutex<Noticed>,
    /// One at a time, or an alert could go out twice.
    pub(super) telling: tokio::sync::Mutex<()>,
}

impl Deref for DeletionGuard {
    type Target = GuardParts;

    fn deref(&self) -> &GuardParts {
        &self.parts
    }
}

impl DeletionGuard {
    /// With what the index remembers; a source that it does not know (of) begins
    /// with the number of files that the index has. Blocking.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn load(parts: GuardParts) -> Result<Self, Fault> {
        let known = parts.index.source_state_get(parts.id, STATE)?;
        let saved = known.and_then(|value| serde_json::from_value(value).ok());
        let mut saved: Saved = saved.unwrap_or_else(|| {
            let counts = parts.index.counts(parts.id);
            let mut saved = Saved::default();
            saved.brake.baseline = counts.files + counts.links;
            saved
        });
        saved.brake.go_on(parts.clock.now_ms());
        let memory = Mutex::new(Memory {
            saved,
            ..Memory::default()
        });
        Ok(Self {
            parts,
            memory,
            noticed: Mutex::default(),
            telling: tokio::sync::Mutex::default(),
        })
    }

    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock()
    }

    pub(super) fn noticed(&self) -> MutexGuard<'_, Noticed> {
        self.noticed.lock()
    }

    /// As if another worker began, or ended, to count the source's files.
    pub fn counts(&self, is_counting: bool) {
        self.memory().is_counting = is_counting;
    }

    /// What is held back.
    pub fn holds(&self) -> Vec<Hold> {
        self.memory().saved.brake.holds.clone()
    }

    /// The time now, by both clocks.
    pub(super) fn now(&self) -> Now {
        Now {
            here_ms: self.clock.now_ms(),
            server_ms: self.store.server_now_ms(wall_ms()),
        }
    }
}
