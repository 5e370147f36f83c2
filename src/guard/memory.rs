//! What a source's guard remembers.

use super::noticed::Noticed;
use super::policy::GuardState;
use super::ransomware::{Halves, Window};
use super::standing::Judged;
use crate::index::{Index, SourceId};
use crate::types::{Fault, MonotonicMs, RelKey, WallMs};
use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use std::sync::atomic::AtomicBool;

/// Under which name the index remembers what survives a restart.
pub(super) const STATE: &str = "brake";

/// What survives a restart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Saved {
    #[serde(rename = "brake")]
    pub(super) state: GuardState,
    /// Files of the last minutes that look encrypted.
    #[serde(default)]
    pub(super) window: Window,
}

#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) saved: Saved,
    /// Deletions that may be marked before the files are counted again; none at a start,
    /// so nothing that a kill lost can add up.
    pub(super) allowance: u64,
    /// Looks in a row at which the root was not there.
    pub(super) away: u32,
    /// Known mounts that were not there at the last look.
    pub(super) lost: Vec<RelKey>,
    /// Halves of renames that may come to look like encryption.
    pub(super) halves: Halves,
    /// What the last root was judged to be that no sentinel proves.
    pub(super) judged: Option<Judged>,
    /// Granted deletions whose answer has not come yet.
    pub(super) in_flight: u64,
    /// Somebody is counting the files.
    pub(super) is_counting: bool,
    /// When the newest hold began, by the monotonic clock.
    pub(super) held_at_ms: MonotonicMs,
}

/// What a source's guard remembers, each part behind its lock.
pub struct GuardMemory {
    memory: Mutex<Memory>,
    /// Deletions that came one soon after the other. It has its own lock: the queue asks
    /// for it, and must not wait for the index.
    noticed: Mutex<Noticed>,
    /// A change was heard of at a path that is there: what had fallen may be coming back.
    /// No lock: the collector must not wait for the index.
    pub(super) came: AtomicBool,
    /// Held by whoever tells the owner: two at once would send an alert twice.
    pub(super) telling: tokio::sync::Mutex<()>,
}

impl GuardMemory {
    /// What the index remembers. For a source that it does not know, the number of files
    /// in the index is the baseline. Blocking.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn load(index: &Index, id: SourceId, now_ms: WallMs) -> Result<Self, Fault> {
        let known = index.source_state_get(id, STATE)?;
        let saved = known.and_then(|value| serde_json::from_value(value).ok());
        let mut saved: Saved = saved.unwrap_or_else(|| {
            let counts = index.counts(id);
            let mut saved = Saved::default();
            saved.state.baseline.files = counts.files + counts.links;
            saved
        });
        saved.state.bursts.go_on(now_ms);
        Ok(Self {
            memory: Mutex::new(Memory {
                saved,
                ..Memory::default()
            }),
            noticed: Mutex::default(),
            came: AtomicBool::new(false),
            telling: tokio::sync::Mutex::default(),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock()
    }

    pub(super) fn noticed(&self) -> MutexGuard<'_, Noticed> {
        self.noticed.lock()
    }
}
