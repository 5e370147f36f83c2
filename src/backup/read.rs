//! Reads a file's content, or a link's target.
//!
//! Invariants: a file that waits for its next version is not read; a file is read early
//! only where memory is free; a thread that hangs on a drive holds no memory.

use super::from_memory::is_to_be_read;
use super::item::Item;
use super::plan::Facts;
use crate::files;
use crate::files::Pulse;
use crate::os;
use crate::transfer;
use crate::transfer::{Budget, Content, Permit, ReadMode, Reading};
use crate::types::{ContentHash, Fault, Fingerprint, Kind, Look, RelPath, WallMs};
use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;

/// Files up to this size are read by the thread that looks at them.
const EARLY_BYTES_MAX: u64 = 1024 * 1024;

/// A content, and the target of a link.
pub(crate) type Taken = (Content, Option<Vec<u8>>);

/// Read the file or link; `None` when it changed meanwhile. For a link the
/// content is its target.
pub(crate) async fn read_object(item: &Item, kind: Kind) -> Result<Option<Taken>, Fault> {
    let item = item.clone();
    let pulse = Pulse::default();
    let beat = pulse.clone();
    item.source
        .watchdog
        .clone()
        .run(&pulse, move || take_now(&item, kind, &beat))
        .await
}

/// A small file's content, read by the thread that has looked at it: each
/// change of thread costs more than the reading.
pub(crate) struct Early {
    pub(crate) memory: Permit,
    pub(crate) taken: Result<Option<Taken>, Fault>,
}

/// Read the file or link if it is small, its plan asks for the content and there is
/// memory for it, which goes into `slot`. What the plan has asked stays in `facts`.
/// Blocking.
pub(crate) fn read_early(
    item: &Item,
    facts: &mut Facts<'_>,
    now_ms: WallMs,
    budget: &Budget,
    slot: &Slot,
    pulse: &Pulse,
) -> Option<Result<Option<Taken>, Fault>> {
    let seen = facts.disk?;
    if seen.size_bytes > EARLY_BYTES_MAX || !is_to_be_read(facts, item, now_ms) {
        return None;
    }
    let has_memory = slot.fill(|| budget.try_take(item.lane, seen.size_bytes));
    has_memory.then(|| take_now(item, seen.kind, pulse))
}

/// Memory that a reading thread takes and the waiting worker holds. It is free again when
/// the worker stops waiting, even if the thread still hangs; what such a thread has read
/// is not counted, since there are few of them.
pub(crate) struct Slot<T = Permit>(Arc<Mutex<Slotted<T>>>);

enum Slotted<T> {
    Open(Option<T>),
    /// Nobody waits any more.
    Left,
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Slot<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Slotted::Open(None))))
    }

    fn lock(&self) -> MutexGuard<'_, Slotted<T>> {
        self.0.lock()
    }

    /// Put in what `take` returns, if somebody waits. True when it holds something.
    fn fill(&self, take: impl FnOnce() -> Option<T>) -> bool {
        match &mut *self.lock() {
            Slotted::Open(held) => {
                *held = take();
                held.is_some()
            }
            Slotted::Left => false,
        }
    }

    /// What is in it; nothing goes in any more.
    pub(crate) fn leave(&self) -> Option<T> {
        match std::mem::replace(&mut *self.lock(), Slotted::Left) {
            Slotted::Open(held) => held,
            Slotted::Left => None,
        }
    }
}

fn take_now(item: &Item, kind: Kind, pulse: &Pulse) -> Result<Option<Taken>, Fault> {
    let root = &item.source.config.path;
    if kind == Kind::Symlink {
        return take_link(root, &item.path);
    }
    let patience = if item.deadline {
        ReadMode::TakeWhatIsThere
    } else {
        ReadMode::Strict
    };
    read_now(root, &item.path, patience, pulse)
}

/// Read a regular file; `None` when it changed meanwhile. Blocking.
pub(crate) fn read_now(
    root: &std::path::Path,
    path: &RelPath,
    patience: ReadMode,
    pulse: &Pulse,
) -> Result<Option<Taken>, Fault> {
    Ok(match transfer::read(root, path, patience, pulse)? {
        Reading::Steady(content) => Some((*content, None)),
        Reading::Changed => None,
    })
}

fn take_link(root: &std::path::Path, path: &RelPath) -> Result<Option<Taken>, Fault> {
    let before = files::stat(root, path)?;
    let target = files::read_link(root, path)?;
    let Some(fingerprint) = before.filter(|f| f.kind == Kind::Symlink) else {
        return Ok(None);
    };
    let seen_at = os::boot_now();
    if files::stat(root, path)? != before {
        return Ok(None);
    }
    let content = Content {
        // As every object says of itself: the size of what it holds.
        fingerprint: Fingerprint {
            size_bytes: target.len() as u64,
            ..fingerprint
        },
        hash: ContentHash::of(&target),
        seen_at,
        seen_ms: None,
        bytes: Some(Bytes::from(target.clone())),
        is_torn: false,
        racy: false,
        look: Look::Unknown,
        segments: Arc::new([]),
        sparse_bytes: None,
        attributes: files::ReadAttributes::default(),
    };
    Ok(Some((content, Some(target))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_a_drive_keeps_waiting_keeps_no_memory() {
        let memory = Arc::new(());
        let take = || Some(Arc::clone(&memory));
        // It hangs with the memory taken, and nobody waits for it any more.
        let slot = Slot::new();
        let hung = slot.clone();
        assert!(hung.fill(take));
        assert_eq!(Arc::strong_count(&memory), 2);
        drop(slot.leave());
        assert_eq!(Arc::strong_count(&memory), 1);
        // It hung before, and comes back too late.
        assert!(!hung.fill(take));
        assert_eq!(Arc::strong_count(&memory), 1);
        // It is back in time: whoever waited holds the memory.
        let slot = Slot::new();
        assert!(slot.clone().fill(take));
        let held = slot.leave();
        drop(slot);
        assert!(held.is_some() && Arc::strong_count(&memory) == 2);
        // None is free.
        assert!(!Slot::<()>::new().fill(|| None));
    }
}
