//! Letting one deletion go, or holding it back.
//!
//! Invariants: between a hold's beginning and its alert nothing is let go, and what
//! was let go before has its answer; what is marked is counted when the bucket has
//! answered, and the moment before the first of it is kept before it is asked.

use super::count::count_surely;
use super::{change, is_held, now};
use crate::files;
use crate::files::Pulse;
use crate::os::clock::wall_ms;
use crate::source::Context;
use crate::types::{Fault, Kind, RelKey};
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
    ctx: Arc<Context>,
    source: usize,
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
        change(&self.ctx, self.source, |memory| {
            memory.saved.brake.marked(key, renamed);
        })
    }
}

/// The index has let go of a file that was marked. Kept with the next change: a kill
/// before it only has the file looked for once more.
pub(crate) fn settled(ctx: &Context, source: usize, key: &RelKey) {
    ctx.brakes.memory(source).saved.brake.settled(key);
}

/// A file that is counted as marked already, though the index still has it.
pub(crate) fn is_counted(ctx: &Context, source: usize, key: &RelKey) -> bool {
    let memory = ctx.brakes.memory(source);
    memory.saved.brake.unsettled.contains(key)
}

impl Drop for Grant {
    fn drop(&mut self) {
        let mut memory = self.ctx.brakes.memory(self.source);
        memory.in_flight = memory.in_flight.saturating_sub(1);
    }
}

/// Whether a path that is gone may be marked as deleted. `counts` for a file or
/// link. `pulse` beats while the disk is asked.
///
/// # Errors
/// The root cannot be looked at, or the index fails.
pub(crate) fn may_mark(
    ctx: &Arc<Context>,
    source: usize,
    key: &RelKey,
    counts: bool,
    pulse: &Pulse,
) -> Result<May, Fault> {
    let held = || {
        pulse.beat();
        let held = is_held(ctx, source, key);
        pulse.rest();
        held
    };
    if held()? {
        return Ok(May::Hold);
    }
    pulse.beat();
    let is_there = is_there(ctx, source, key);
    pulse.rest();
    if is_there? {
        // It was missing while another folder or disk was in its place.
        return Ok(May::Later);
    }
    // This one among them.
    let waiting = match counts {
        true => ctx.queue.deletions_waiting(source).max(1),
        false => 0,
    };
    if let Some(may) = grant(ctx, source, key, counts, |memory| {
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
    let _counting = Counting { ctx, source };
    let counted = count_surely(ctx, source, pulse)?;
    let on_disk = counted.on_disk;
    // A root or disk that went away meanwhile makes the count worthless.
    if held()? {
        return Ok(May::Hold);
    }
    let now = now(ctx);
    let may = grant(ctx, source, key, counts, |memory| {
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
    ctx.scans.ask_later(source);
    Ok(May::Hold)
}

/// What the key says stands on the disk after all.
fn is_there(ctx: &Context, source: usize, key: &RelKey) -> Result<bool, Fault> {
    let source = &ctx.sources[source];
    let found = files::stat_unless_excluded(&source.config.path, &key.path(), &source.rules)?;
    Ok(found.is_some_and(|found| match found.kind {
        Kind::File | Kind::Symlink => !key.is_folder(),
        Kind::Folder => key.is_folder(),
        Kind::Special => false,
    }))
}

/// Let it go when `decide` says so and nothing holds it back: in one step, so that
/// a hold knows all that was let go before it.
fn grant(
    ctx: &Arc<Context>,
    source: usize,
    key: &RelKey,
    counts: bool,
    decide: impl FnOnce(&mut super::Memory) -> Decided,
) -> Result<Option<May>, Fault> {
    let before_ms = before_any_marker_ms(ctx);
    let now_ms = ctx.now_ms();
    let is_let = Cell::new(false);
    let changed = change(ctx, source, |memory| {
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
        let mut memory = ctx.brakes.memory(source);
        memory.in_flight = memory.in_flight.saturating_sub(1);
    }
    let decided = changed?;
    Ok(match decided {
        None => Some(May::Hold),
        Some(Decided::Let) => Some(May::Mark(Grant {
            ctx: Arc::clone(ctx),
            source,
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
struct Counting<'a> {
    ctx: &'a Context,
    source: usize,
}

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        self.ctx.brakes.memory(self.source).is_counting = false;
    }
}

/// The last millisecond that every marker requested from now on is younger than,
/// also where the server tells times in whole seconds, rounded down.
fn before_any_marker_ms(ctx: &Context) -> i64 {
    let reached_ms = ctx.store.server_reached_ms(wall_ms());
    reached_ms.div_euclid(1_000) * 1_000 - 1
}

/// Deletions that came one soon after the other.
#[derive(Debug, Default)]
pub(crate) struct Noticed {
    files: u64,
    /// When the first and the last of them were heard of, by the steady clock.
    first_ms: i64,
    last_ms: i64,
}

/// No more than this are told from people who tidy up, and not waited for.
const FEW: u64 = crate::guard::policy::FALL_MIN;

/// So long the first of many deletions waits at the most for the last of them, so
/// that it is known how many there are before any is marked. Whole folders are
/// deleted within seconds; a tree of a million files takes minutes, and then what
/// is marked before it was too much is told.
const FILLING_MAX_MS: i64 = 30 * 1_000;

/// A deletion was set aside.
pub(crate) fn noticed(ctx: &Context, source: usize, pause_ms: i64) {
    let now_ms = ctx.steady_ms();
    let mut noticed = ctx.brakes.noticed(source);
    if now_ms - noticed.last_ms > pause_ms {
        *noticed = Noticed {
            first_ms: now_ms,
            ..Noticed::default()
        };
    }
    noticed.files += 1;
    noticed.last_ms = now_ms;
}

/// Many deletions have come and more may: none has had `pause_ms` to itself yet.
pub(crate) fn is_filling(ctx: &Context, source: usize, pause_ms: i64) -> bool {
    let now_ms = ctx.steady_ms();
    let noticed = ctx.brakes.noticed(source);
    noticed.files > FEW
        && now_ms - noticed.last_ms <= pause_ms
        && now_ms - noticed.first_ms < FILLING_MAX_MS
}
