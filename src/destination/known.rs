//! What is known of one source's destination.

use super::comparison::Comparison;
use super::policy::{Kind, Troubles, Word};
use crate::clock::Clock;
use crate::config::{Config, OnDelete, SourceConfig};
use crate::index::{Index, SourceId};
use crate::manifest::Computer;
use crate::s3::Store;
use crate::status::LiveStatus;
use crate::types::{Fault, MonotonicMs};
use crate::watchdog::IoWatchdog;
use crate::work::SourceWork;
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Under which name the index remembers what is wrong.
pub(super) const STATE: &str = "destination";

/// What was done to an object: each may be answered without a version id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Content was stored.
    Stored,
    /// The server copied what it has.
    Copied,
    /// A deletion was marked.
    Marked,
}

#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) troubles: Troubles,
    /// Whether it is ours and the bucket said that it keeps versions, by
    /// the monotonic clock.
    pub(super) word: Word,
    /// The id of our record; or that somebody else's is there. `None`: not known yet.
    pub(super) owner: Option<Result<String, ()>>,
    /// The id of a record that took the place of ours while we ran.
    pub(super) displaced_by: Option<String>,
    /// Deeds that this server answers without a version id though it keeps versions.
    pub(super) mute: Vec<Deed>,
    /// Nothing was claimed yet, as the source's folder was not there.
    pub(super) awaits_folder: bool,
}

impl Memory {
    pub(super) fn is_known_ours(&self) -> bool {
        matches!(self.owner, Some(Ok(_)))
    }

    /// Both questions were answered well, and a moment ago.
    pub(super) fn may_mark(&self, now_ms: MonotonicMs) -> bool {
        self.is_known_ours() && self.word.is_fresh(now_ms)
    }
}

/// What is known of a destination, and who is asking or telling just now.
pub struct DestinationMemory {
    memory: Mutex<Memory>,
    /// Published from `memory`, for scans that look at it file by file.
    pub(super) keeps: AtomicBool,
    /// One question serves all who want to know.
    pub(super) asking: tokio::sync::Mutex<()>,
    /// Held by whoever tells the owner: two at once would send an alert twice.
    pub(super) telling: tokio::sync::Mutex<()>,
}

impl DestinationMemory {
    /// What the index remembers. Blocking.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn load(index: &Index, id: SourceId) -> Result<Self, Fault> {
        let known = index.source_state_get(id, STATE)?;
        let troubles = known.and_then(|value| serde_json::from_value(value).ok());
        Ok(Self {
            memory: Mutex::new(Memory {
                troubles: troubles.unwrap_or_default(),
                ..Memory::default()
            }),
            keeps: AtomicBool::default(),
            asking: tokio::sync::Mutex::default(),
            telling: tokio::sync::Mutex::default(),
        })
    }
}

/// The place that one source's copies go to.
pub struct Destination {
    /// The whole configuration: for the commands that a message proposes.
    pub config: Arc<Config>,
    /// The source's settings.
    pub source: Arc<SourceConfig>,
    /// The source in the index.
    pub id: SourceId,
    /// This computer, as it owns destinations.
    pub computer: Computer,
    /// The server.
    pub store: Store,
    /// The index.
    pub index: Index,
    /// The clocks.
    pub clock: Clock,
    /// Shows what is wrong.
    pub status: LiveStatus,
    /// Takes requests for scans, and wakes workers.
    pub work: SourceWork,
    /// Whether index and bucket have been compared.
    pub comparison: Arc<Comparison>,
    /// Watches over the source's disk.
    pub watchdog: IoWatchdog,
    /// What is known of it.
    pub memory: DestinationMemory,
}

impl Destination {
    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.memory.lock()
    }

    /// Bucket and prefix.
    pub(super) fn place(&self) -> (&str, &str) {
        (&self.source.bucket, &self.source.prefix)
    }

    /// Bucket and prefix as one text.
    pub(super) fn name(&self) -> String {
        let (bucket, prefix) = self.place();
        format!("{bucket}/{prefix}")
    }

    /// It is ours, and the bucket has said that it keeps versions, some time ago
    /// perhaps.
    pub fn keeps_versions(&self) -> bool {
        self.memory.keeps.load(Ordering::Relaxed)
    }

    /// It is known to be ours.
    pub fn is_known_ours(&self) -> bool {
        self.memory().is_known_ours()
    }

    /// Whether deletions may be marked in the bucket.
    pub fn marks_deletions(&self) -> bool {
        self.source.on_delete == OnDelete::Mark && self.keeps_versions()
    }

    /// Whether that is wrong with it.
    pub fn has(&self, kind: Kind) -> bool {
        self.memory().troubles.has(kind)
    }

    /// The bucket could not be used for a while: it may be another one by now, so it is
    /// asked at the next beat.
    pub fn doubt(&self) {
        let mut memory = self.memory();
        (memory.word.asked_ms, memory.word.tried_ms) = Default::default();
    }

    /// It is not known to be somebody else's. Before it is known whose it is, who
    /// wants to send something asks ([`super::is_ours`]).
    pub fn may_send(&self) -> bool {
        self.memory().owner != Some(Err(()))
    }
}

/// Where a source's copies go, for people.
pub fn place_name(destination: &Destination) -> String {
    let server = destination.store.place();
    match destination.place() {
        (bucket, "") => format!("bucket {bucket} ({server})"),
        (bucket, prefix) => format!("bucket {bucket}/{prefix} ({server})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Named after the bug: within ten seconds of the bucket's last word deletions were
    /// marked at a destination that another computer had taken over.
    #[test]
    fn nothing_is_marked_while_the_owner_is_not_known_or_another() {
        let ours = || Some(Ok("our record".to_owned()));
        let well = |is_well| Word {
            is_well,
            asked_ms: MonotonicMs(1_000),
            tried_ms: MonotonicMs(1_000),
        };
        for (owner, is_well, now_ms, may) in [
            (ours(), Some(true), 1_000, true),
            (ours(), Some(true), 60_000, false),
            (ours(), Some(false), 1_000, false),
            (ours(), None, 1_000, false),
            (None, Some(true), 1_000, false),
            (Some(Err(())), Some(true), 1_000, false),
        ] {
            let memory = Memory {
                owner: owner.clone(),
                word: well(is_well),
                ..Memory::default()
            };
            assert_eq!(
                memory.may_mark(MonotonicMs(now_ms)),
                may,
                "{owner:?} {is_well:?}"
            );
        }
    }
}
