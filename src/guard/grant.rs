//! Letting one deletion go, or holding it back.
//!
//! Invariants: between a hold's beginning and its alert nothing is let go, and what
//! was let go before has its answer; what is marked is counted when the bucket has
//! answered, and the moment before the first of it is kept before it is asked.

use super::change::change;
use super::count::count_surely;
use super::deletion_guard::{DeletionGuard, Memory};
use super::holding::is_held;
use crate::files;
use crate::files::Pulse;
use crate::os::clock::wall_ms;
use crate::types::{Fault, Kind, RelKey, WallMs};
use std::cell::Cell;
use std::sync::Arc;

/// Whether a path that is gone may be marked as deleted.
pub(crate) enum May {
    /// Mark it.
    Mark(Grant),
    /// It is held back: it stays known.
    Hold,
    /// It is there again: look once more.
    Later,
    /// Another worker is counting the files: it waits for that.
    Busy,
}

/// One deletion that may be marked; until it is dropped nothing is told about how
/// many were.
pub(crate) struct Grant {
    guard: Arc<DeletionGuard>,
    /// A file or link, which counts.
    counts: bool,
}

impl Grant {
    /// The bucket has taken the marker, of a file that is lost or `renamed`.
    ///
    /// # Errors
    /// The index cannot keep it.
    pub(crate) fn marked(&self, key: &RelKey, renamed: bool) -> Result<(), Fault> {
        if !self.counts {
            return Ok(());
        }
        change(&self.guard, |memory| {
            memory.saved.brake.marked(key, renamed);
        })
    }
}

/// The index has let go of a file that was marked. Kept with the next change: a kill
/// before it only has the file looked for once more.
pub(crate) fn settled(guard: &DeletionGuard, key: &RelKey) {
    guard.memory().saved.brake.settled(key);
}

/// A file that is counted as marked already, though the index still has it.
pub(crate) fn is_counted(guard: &DeletionGuard, key: &RelKey) -> bool {
    let memory = guard.memory();
    memory.saved.brake.unsettled.contains(key)
}

impl Drop for Grant {
    fn drop(&mut self) {
        let mut memory = self.guard.memory();
        memory.in_flight = memory.in_flight.saturating_sub(1);
    }
}

/// Whether a path that is gone may be marked as deleted. `counts` for a file or
/// link. `pulse` beats while the disk is asked.
///
/// # Errors
/// The root cannot be looked at, or the index fails.
pub(crate) fn may_mark(
    guard: &Arc<DeletionGuard>,
    key: &RelKey,
    counts: bool,
    pulse: &Pulse,
) -> Result<May, Fault> {
    let held = || {
        pulse.beat();
        let held = is_held(guard, key);
        pulse.rest();
        held
    };
    if held()? {
        return Ok(May::Hold);
    }
    pulse.beat();
    let is_there = is_there(guard, key);
    pulse.rest();
    if is_there? {
        // It was missing while another folder or disk was in its place.
        return Ok(May::Later);
    }
    // This one among them.
    let waiting = match counts {
        true => guard.work.queue.deletions_waiting().max(1),
        false => 0,
    };
    if let Some(may) = grant(guard, key, counts, |memory| {
        if counts && memory.is_counting {
            return Decided::Busy;
        }
        if memory.allowance >= waiting {
            memory.allowance -= u64::from(counts);
            return Decided::Let;
        }
        memory.is_counting = true;
        Decided::Not
    })? {
        return Ok(may);
    }
    // Whoever waited for this one would hold a worker for as long as a disk may hang.
    let _counting = Counting(guard);
    let counted = count_surely(guard, pulse)?;
    let on_disk = counted.on_disk;
    // A root or disk that went away meanwhile makes the count worthless.
    if held()? {
        return Ok(May::Hold);
    }
    let now = guard.now();
    let may = grant(guard, key, counts, |memory| {
        let brake = &mut memory.saved.brake;
        brake.raise(counted.were(), now.here_ms);
        // Names that are gone of files that are there, as of hard links, are no loss.
        let lost = counted.missing.saturating_sub(counted.renamed);
        if lost > 0 && brake.has_fallen(on_disk) {
            let (missing, of) = (brake.missing(on_disk), brake.expected());
            brake.hold_fall(missing, of, now);
            return Decided::Not;
        }
        // What waits was missing when they were counted.
        memory.allowance = brake.allowance(on_disk).saturating_add(waiting - 1);
        Decided::Let
    })?;
    if let Some(may) = may {
        return Ok(may);
    }
    // It counts exactly, and has marked what turns out to be well.
    guard.work.scans.ask_later();
    Ok(May::Hold)
}

/// What the key says stands on the disk after all.
fn is_there(guard: &DeletionGuard, key: &RelKey) -> Result<bool, Fault> {
    let root = &guard.source.path;
    let found = files::stat_unless_excluded(root, &key.path(), &guard.rules)?;
    Ok(found.is_some_and(|found| match found.kind {
        Kind::File | Kind::Symlink => !key.is_folder(),
        Kind::Folder => key.is_folder(),
        Kind::Special => false,
    }))
}

/// Let it go when `decide` says so and nothing holds it back: in one step, so that
/// a hold knows all that was let go before it.
fn grant(
    guard: &Arc<DeletionGuard>,
    key: &RelKey,
    counts: bool,
    decide: impl FnOnce(&mut Memory) -> Decided,
) -> Result<Option<May>, Fault> {
    let before_ms = before_any_marker_ms(guard);
    let now_ms = guard.clock.now_ms();
    let is_let = Cell::new(false);
    let changed = change(guard, |memory| {
        if memory.saved.brake.held(key).is_some() {
            return None;
        }
        let decided = decide(memory);
        if decided == Decided::Let {
            memory.saved.brake.marking(before_ms, now_ms);
            memory.in_flight += 1;
            is_let.set(true);
        }
        Some(decided)
    });
    if changed.is_err() && is_let.get() {
        // It is not let go after all, and nobody would ever take it off.
        let mut memory = guard.memory();
        memory.in_flight = memory.in_flight.saturating_sub(1);
    }
    let decided = changed?;
    Ok(match decided {
        None => Some(May::Hold),
        Some(Decided::Let) => Some(May::Mark(Grant {
            guard: Arc::clone(guard),
            counts,
        })),
        Some(Decided::Busy) => Some(May::Busy),
        Some(Decided::Not) => None,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decided {
    /// Let it go.
    Let,
    /// Not by what is known.
    Not,
    /// Somebody counts the files: nothing goes before that is done.
    Busy,
}

/// The right to count the files of a source: one count serves all.
struct Counting<'a>(&'a DeletionGuard);

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        self.0.memory().is_counting = false;
    }
}

/// The last millisecond that every marker requested from now on is younger than,
/// also where the server tells times in whole seconds, rounded down.
fn before_any_marker_ms(guard: &DeletionGuard) -> WallMs {
    let reached_ms = guard.store.server_reached_ms(wall_ms());
    WallMs(reached_ms.0.div_euclid(1_000) * 1_000 - 1)
}

/// A deletion was deferred.
pub(crate) fn noticed(guard: &DeletionGuard, pause_ms: i64) {
    let now_ms = guard.clock.monotonic_ms();
    guard.noticed().note(now_ms, pause_ms);
}

/// Many deletions have come and more may: none has had `pause_ms` to itself yet.
pub(crate) fn is_filling(guard: &DeletionGuard, pause_ms: i64) -> bool {
    let now_ms = guard.clock.monotonic_ms();
    guard.noticed().is_filling(now_ms, pause_ms)
}
