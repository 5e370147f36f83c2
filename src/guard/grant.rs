//! Granting one deletion, or holding it back.
//!
//! Invariants: between a hold's beginning and its alert no deletion is granted, and those
//! that were granted before have their answer. A marked file is counted when the bucket
//! has answered, and the moment before the first of them is kept before the bucket is
//! asked.

use super::change::change;
use super::count::count_surely;
use super::deletion_guard::DeletionGuard;
use super::holding::is_held;
use super::memory::Memory;
use crate::files;
use crate::files::Pulse;
use crate::os::clock::wall_ms;
use crate::types::{Fault, Kind, RelKey};
use std::cell::Cell;
use std::sync::Arc;

/// Whether a path that is gone may be marked as deleted.
pub(crate) enum Permission {
    /// Mark it.
    Granted(Grant),
    /// It is held back: it stays known.
    Held,
    /// The path is there again: look once more.
    Reappeared,
    /// Another worker is counting the files: wait for that.
    Counting,
}

/// One deletion that may be marked. Until it is dropped, nothing is told about how many
/// were marked.
pub(crate) struct Grant {
    guard: Arc<DeletionGuard>,
    /// It is a file or link, which counts.
    counts: bool,
}

impl Grant {
    /// The bucket has taken the marker of a file that is lost or `renamed`.
    ///
    /// # Errors
    /// The index cannot keep it.
    pub(crate) fn marked(&self, key: &RelKey, renamed: bool) -> Result<(), Fault> {
        if !self.counts {
            return Ok(());
        }
        change(&self.guard, |memory| {
            memory.saved.state.marked(key, renamed);
        })
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        let mut memory = self.guard.memory();
        memory.in_flight = memory.in_flight.saturating_sub(1);
    }
}

/// The index has forgotten a file that was marked. It is kept with the next change: a
/// kill before that only has the file looked for once more.
pub(crate) fn forgotten(guard: &DeletionGuard, key: &RelKey) {
    guard.memory().saved.state.forgotten(key);
}

/// Whether a file is counted as marked already, though the index still has it.
pub(crate) fn is_counted(guard: &DeletionGuard, key: &RelKey) -> bool {
    let memory = guard.memory();
    memory.saved.state.unforgotten.contains(key)
}

/// Whether a path that is gone may be marked as deleted. `counts` is for a file or link.
/// `pulse` beats while the disk is asked.
///
/// # Errors
/// The root cannot be looked at, or the index fails.
pub(crate) fn may_mark(
    guard: &Arc<DeletionGuard>,
    key: &RelKey,
    counts: bool,
    pulse: &Pulse,
) -> Result<Permission, Fault> {
    let asked = Asked {
        guard,
        key,
        counts,
        pulse,
    };
    if asked.is_held()? {
        return Ok(Permission::Held);
    }
    if asked.is_there()? {
        // It was missing while another folder or disk was in its place.
        return Ok(Permission::Reappeared);
    }
    // This one is among them.
    let waiting = match counts {
        true => guard.work.queue.deletions_waiting().max(1),
        false => 0,
    };
    if let Some(permission) = asked.by_allowance(waiting)? {
        return Ok(permission);
    }
    // Whoever waited for the count would hold a worker for as long as a disk may hang.
    let _counting = Counting(guard);
    if let Some(permission) = asked.by_count(waiting)? {
        return Ok(permission);
    }
    // A scan counts exactly, and has those marked that turn out to be well.
    guard.work.scans.ask_later();
    Ok(Permission::Held)
}

/// A deletion that somebody asks for.
struct Asked<'a> {
    guard: &'a Arc<DeletionGuard>,
    key: &'a RelKey,
    counts: bool,
    pulse: &'a Pulse,
}

impl Asked<'_> {
    fn is_held(&self) -> Result<bool, Fault> {
        self.pulse.beat();
        let held = is_held(self.guard, self.key);
        self.pulse.rest();
        held
    }

    /// Whether what the key names is on the disk after all.
    fn is_there(&self) -> Result<bool, Fault> {
        self.pulse.beat();
        let root = &self.guard.source.path;
        let found = files::stat_unless_excluded(root, &self.key.path(), &self.guard.rules);
        self.pulse.rest();
        Ok(found?.is_some_and(|found| match found.kind {
            Kind::File | Kind::Symlink => !self.key.is_folder(),
            Kind::Folder => self.key.is_folder(),
            Kind::Special => false,
        }))
    }

    /// Grant it by the allowance of the last count. `None`: the files must be counted,
    /// and this worker does it.
    fn by_allowance(&self, waiting: u64) -> Result<Option<Permission>, Fault> {
        self.decide(|memory| {
            if self.counts && memory.is_counting {
                return Decision::Counting;
            }
            if memory.allowance >= waiting {
                memory.allowance -= u64::from(self.counts);
                return Decision::Grant;
            }
            memory.is_counting = true;
            Decision::Undecided
        })
    }

    /// Count the files, and grant it if they are no fall. `None`: they are.
    fn by_count(&self, waiting: u64) -> Result<Option<Permission>, Fault> {
        let counted = count_surely(self.guard, self.pulse)?;
        let on_disk = counted.on_disk;
        // A root or disk that went away meanwhile makes the count worthless.
        if self.is_held()? {
            return Ok(Some(Permission::Held));
        }
        let now = self.guard.now();
        self.decide(|memory| {
            let state = &mut memory.saved.state;
            state.raise(counted.were(), now.here_ms);
            // A name that is gone while its file is there, as of a hard link, is no loss.
            let lost = counted.missing.saturating_sub(counted.renamed);
            if lost > 0 && state.has_fallen(on_disk) {
                let (missing, of) = (state.missing(on_disk), state.expected());
                state.hold_fall(missing, of, now);
                return Decision::Undecided;
            }
            // Those that wait were missing when the files were counted.
            memory.allowance = state.allowance(on_disk).saturating_add(waiting - 1);
            Decision::Grant
        })
    }

    /// Grant it when `decide` says so and nothing holds it back: in one step, so that a
    /// hold knows all that was granted before it.
    fn decide(
        &self,
        decide: impl FnOnce(&mut Memory) -> Decision,
    ) -> Result<Option<Permission>, Fault> {
        let guard = self.guard;
        let before_ms = before_any_marker_ms(guard);
        let now_ms = guard.clock.now_ms();
        let is_granted = Cell::new(false);
        let changed = change(guard, |memory| {
            if memory.saved.state.held(self.key).is_some() {
                return None;
            }
            let decision = decide(memory);
            if decision == Decision::Grant {
                memory.saved.state.granted(before_ms, now_ms);
                memory.in_flight += 1;
                is_granted.set(true);
            }
            Some(decision)
        });
        if changed.is_err() && is_granted.get() {
            // It is not granted after all, and nobody else would take it off.
            let mut memory = guard.memory();
            memory.in_flight = memory.in_flight.saturating_sub(1);
        }
        Ok(match changed? {
            None => Some(Permission::Held),
            Some(Decision::Grant) => Some(Permission::Granted(Grant {
                guard: Arc::clone(guard),
                counts: self.counts,
            })),
            Some(Decision::Counting) => Some(Permission::Counting),
            Some(Decision::Undecided) => None,
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Grant,
    /// What is known does not tell.
    Undecided,
    /// Somebody counts the files: nothing is granted before that is done.
    Counting,
}

/// The right to count the files of a source: one count serves all.
struct Counting<'a>(&'a DeletionGuard);

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        self.0.memory().is_counting = false;
    }
}

/// The last millisecond that every marker requested from now on is younger than, also
/// where the server tells times in whole seconds, rounded down.
fn before_any_marker_ms(guard: &DeletionGuard) -> i64 {
    let reached_ms = guard.store.server_reached_ms(wall_ms());
    reached_ms.div_euclid(1_000) * 1_000 - 1
}
