//! The bounded queue of paths that want a look, shared by scan, collect and the
//! upload workers.
//!
//! Invariants: it is keyed by path, so a path waits at most once; a path is
//! never in two workers; a path touched while it is worked on is worked on
//! again. Edits overtake the backlog, the newest first, and the backlog never
//! takes the last workers, nor one source all of them. None waits for ever. A
//! full lane makes the scan wait and the collector ask for a scan: nothing is
//! dropped here. What was set aside (a deletion that may be half of a rename)
//! comes when all of its source is done that was there before, or after its time.
//! What comes later never holds it up: in an office something always changes.

pub(crate) mod aside;
pub(crate) mod item;
mod lanes;

use aside::Ripe;
use item::{Item, Lane};

use crate::types::RelPath;
use lanes::{Entry, Lanes, TRIES_MAX, Want};
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use tokio::sync::Notify;

/// The edit lane is full; ask for a scan instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

struct State {
    sources: Vec<Lanes>,
    next_ticket: u64,
    /// The source that is asked first, so that none waits for another.
    turn: usize,
    closed: bool,
}

struct Inner {
    state: Mutex<State>,
    items_max: usize,
    backlog_running_max: usize,
    source_running_max: usize,
    source_backlog_max: usize,
    work: Notify,
    room: Notify,
    drained: Notify,
}

/// Handle to the queue; cheap to clone.
#[derive(Clone)]
pub struct Queue(Arc<Inner>);

/// How many paths wait and are worked on, for one source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Waiting edits.
    pub edits: usize,
    /// Waiting backlog.
    pub backlog: usize,
    /// In a worker.
    pub running: usize,
}

impl Depth {
    /// Everything that is not done yet.
    pub fn total(self) -> u64 {
        (self.edits + self.backlog + self.running) as u64
    }
}

impl Queue {
    /// A queue for `sources` sources; each lane of each holds `items_max` paths.
    pub fn new(sources: usize, items_max: usize, workers: usize) -> Self {
        // One worker in eight, at least one, is kept for edits: a save must not
        // wait for the end of somebody's gigabyte.
        let kept_for_edits = (workers / 8).max(1);
        // The same for the other sources: one whose disk hangs must not hold
        // all workers.
        let kept_for_others = if sources > 1 { kept_for_edits } else { 0 };
        Self(Arc::new(Inner {
            state: Mutex::new(State {
                sources: (0..sources).map(|_| Lanes::default()).collect(),
                next_ticket: 0,
                turn: 0,
                closed: false,
            }),
            items_max,
            backlog_running_max: workers.saturating_sub(kept_for_edits).max(1),
            source_running_max: workers.saturating_sub(kept_for_others).max(1),
            source_backlog_max: workers
                .saturating_sub(kept_for_others + kept_for_edits)
                .max(1),
            work: Notify::new(),
            room: Notify::new(),
            drained: Notify::new(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while holding the lock leaves counters, not memory, in doubt.
        self.0.state.lock()
    }

    /// Put an edit in the fast lane.
    ///
    /// # Errors
    /// [`Full`] when the lane is full and the path is not in it already.
    pub fn push_edit(
        &self,
        source: usize,
        path: RelPath,
        since_ms: i64,
        deadline: bool,
    ) -> Result<(), Full> {
        let want = Want {
            lane: Lane::Edit,
            since_ms,
            deadline,
        };
        self.push(source, path, want, self.0.items_max)
    }

    /// Put a path in the slow lane, waiting while the lane is full.
    pub async fn push_backlog(&self, source: usize, path: RelPath, since_ms: i64) {
        let want = Want {
            lane: Lane::Backlog,
            since_ms,
            deadline: false,
        };
        loop {
            let room = self.0.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if self.is_closed()
                || self
                    .push(source, path.clone(), want, self.0.items_max)
                    .is_ok()
            {
                return;
            }
            room.await;
        }
    }

    /// Put a path in the slow lane if there is room, for another try: one that
    /// waits or is being worked on already is left alone, or a try that takes
    /// longer than its pause would be followed by the next at once.
    ///
    /// # Errors
    /// [`Full`] when the lane is full.
    pub fn push_retry(&self, source: usize, path: RelPath, since_ms: i64) -> Result<(), Full> {
        let want = Want {
            lane: Lane::Backlog,
            since_ms,
            deadline: false,
        };
        let is_known = self
            .state()
            .sources
            .get(source)
            .is_none_or(|lanes| lanes.paths.contains_key(&path));
        if is_known {
            return Ok(());
        }
        self.push(source, path, want, self.0.items_max)
    }

    fn push(&self, source: usize, path: RelPath, want: Want, max: usize) -> Result<(), Full> {
        let mut state = self.state();
        let ticket = state.next_ticket;
        let Some(lanes) = state.sources.get_mut(source) else {
            return Ok(());
        };
        let (want, old) = match lanes.paths.get_mut(&path) {
            Some(Entry::Running { again, .. }) => {
                *again = Some(again.map_or(want, |a| a.merge(want)));
                return Ok(());
            }
            Some(Entry::Waiting {
                want: old,
                place,
                came,
            }) => {
                if want.lane == Lane::Backlog {
                    // A scan's find is no news of a path that waits.
                    *old = old.merge(want);
                    return Ok(());
                }
                (old.merge(want), Some((old.lane, *place, *came)))
            }
            Some(Entry::Aside { .. }) => {
                // News of it: it is looked at again.
                let old = lanes.take_back(&path);
                (old.map_or(want, |old| old.merge(want)), None)
            }
            None => (want, None),
        };
        let is_more = old.is_none_or(|(lane, ..)| lane != want.lane);
        if is_more && lanes.line(want.lane).paths.len() >= max {
            return Err(Full);
        }
        if let Some((lane, place, _)) = old {
            lanes.line(lane).paths.remove(&place);
        }
        // Saved again: among the newest, with the tries that it has behind it.
        let (tries, came) = old.map_or((0, ticket), |(_, place, came)| (place.0, came));
        lanes.enqueue(path, want, (tries, ticket), came);
        state.next_ticket += 1;
        drop(state);
        self.0.work.notify_one();
        Ok(())
    }

    /// The next path to work on, edits first and the newest of them; waits for one. `None` after
    /// [`Queue::close`]. `may_start` says whether a source's destination takes
    /// this path of this lane now; a path it says yes to is handed out. Call [`Queue::wake`]
    /// when its answer may have changed.
    ///
    /// `ripe` is asked of a path that was set aside: the source, and since when it is.
    pub async fn pop(
        &self,
        may_start: impl Fn(usize, &RelPath, Lane) -> bool,
        ripe: impl Fn(usize, i64) -> Ripe,
    ) -> Option<Item> {
        loop {
            let work = self.0.work.notified();
            tokio::pin!(work);
            work.as_mut().enable();
            {
                let mut state = self.state();
                if state.closed {
                    return None;
                }
                if let Some(item) = self.take(&mut state, &may_start, &ripe) {
                    drop(state);
                    self.0.room.notify_waiters();
                    return Some(item);
                }
            }
            work.await;
        }
    }

    fn take(
        &self,
        state: &mut State,
        may_start: &impl Fn(usize, &RelPath, Lane) -> bool,
        ripe: &impl Fn(usize, i64) -> Ripe,
    ) -> Option<Item> {
        let next_ticket = state.next_ticket;
        for (source, lanes) in state.sources.iter_mut().enumerate() {
            lanes.release(next_ticket, |aside_ms| ripe(source, aside_ms));
        }
        let count = state.sources.len();
        let backlog_running: usize = state.sources.iter().map(|l| l.backlog.running).sum();
        for lane in [Lane::Edit, Lane::Backlog] {
            if lane == Lane::Backlog && backlog_running >= self.0.backlog_running_max {
                return None;
            }
            for step in 0..count {
                let source = (state.turn + step) % count;
                if self.is_busy(&state.sources[source], lane) {
                    continue;
                }
                let Some((path, want)) = state.sources[source].peek(lane) else {
                    continue;
                };
                if may_start(source, &path, lane) {
                    let was_aside = state.sources[source].start(lane, &path);
                    state.turn = source + 1;
                    return Some(Item {
                        source,
                        path,
                        lane,
                        since_ms: want.since_ms,
                        deadline: want.deadline,
                        was_aside,
                    });
                }
            }
        }
        None
    }

    /// Whether a source has all the workers that it may have for that lane. Its
    /// backlog leaves some for its own edits; one edit may always run.
    fn is_busy(&self, lanes: &Lanes, lane: Lane) -> bool {
        match lane {
            Lane::Edit => lanes.running() >= self.0.source_running_max && lanes.edits.running > 0,
            Lane::Backlog => {
                lanes.running() >= self.0.source_running_max
                    || lanes.backlog.running >= self.0.source_backlog_max
            }
        }
    }

    /// A worker is done with the path; if it was touched meanwhile it waits again.
    pub fn done(&self, item: &Item) {
        self.settle(item, None);
    }

    /// A worker gives the path back unfinished: it waits again where it stood,
    /// behind those that were not given back.
    pub fn give_back(&self, item: &Item) {
        self.settle(
            item,
            Some(Want {
                lane: item.lane,
                since_ms: item.since_ms,
                deadline: item.deadline,
            }),
        );
    }

    fn settle(&self, item: &Item, back: Option<Want>) {
        {
            let mut state = self.state();
            let ticket = state.next_ticket;
            state.next_ticket += 1;
            let Some(lanes) = state.sources.get_mut(item.source) else {
                return;
            };
            if let Some(Entry::Running {
                place, came, again, ..
            }) = lanes.remove_running(&item.path)
            {
                // Over the lane's bound by at most one per worker.
                match (back, again) {
                    (None, None) => {}
                    (None, Some(want)) => {
                        lanes.enqueue(item.path.clone(), want, (0, ticket), ticket)
                    }
                    (Some(back), again) => {
                        let tries = place.0.saturating_add(1).min(TRIES_MAX);
                        let (want, ticket) = match again {
                            Some(again) => (back.merge(again), ticket),
                            None => (back, place.1),
                        };
                        lanes.enqueue(item.path.clone(), want, (tries, ticket), came);
                    }
                }
            }
        }
        // A place for backlog may have become free as well as work added.
        self.0.work.notify_one();
        self.0.drained.notify_waiters();
    }

    /// Wait until a source's backlog is empty and none of it is in a worker, nor any of
    /// what was set aside.
    pub async fn backlog_drained(&self, source: usize) {
        loop {
            let drained = self.0.drained.notified();
            tokio::pin!(drained);
            drained.as_mut().enable();
            {
                let state = self.state();
                let empty = state.sources.get(source).is_none_or(Lanes::is_drained);
                if empty || state.closed {
                    return;
                }
            }
            drained.await;
        }
    }

    /// How much waits and runs for a source.
    pub fn depth(&self, source: usize) -> Depth {
        let state = self.state();
        state
            .sources
            .get(source)
            .map_or_else(Depth::default, |l| Depth {
                edits: l.edits.paths.len(),
                backlog: l.backlog_len(),
                running: l.running(),
            })
    }

    /// Edits wait or are worked on, or deletions that nothing of the backlog holds
    /// up: a stop waits for these.
    pub fn has_recent(&self, source: usize) -> bool {
        self.state()
            .sources
            .get(source)
            .is_some_and(Lanes::has_recent)
    }

    /// True while this very path is in a worker.
    pub fn is_running(&self, source: usize, path: &RelPath) -> bool {
        let state = self.state();
        let entry = state.sources.get(source).and_then(|l| l.paths.get(path));
        matches!(entry, Some(Entry::Running { .. }))
    }

    /// The destination of this source takes files again: what was given back
    /// because it did not waits as if it had never been tried.
    pub fn forget_tries(&self, source: usize) {
        if let Some(lanes) = self.state().sources.get_mut(source) {
            lanes.forget_tries();
        }
    }

    /// Let every waiting worker look again.
    pub fn wake(&self) {
        self.0.work.notify_waiters();
    }

    /// No more work is handed out; waiting callers return.
    pub fn close(&self) {
        self.state().closed = true;
        self.0.work.notify_waiters();
        self.0.work.notify_one();
        self.0.room.notify_waiters();
        self.0.drained.notify_waiters();
    }

    /// True after [`Queue::close`].
    pub fn is_closed(&self) -> bool {
        self.state().closed
    }
}

#[cfg(test)]
mod tests;
