//! The queue itself: who is next, and what becomes of a path afterwards.

use super::deferred::Readiness;
use super::item::{Item, Lane};
use super::lanes::{Entry, Lanes, TRIES_MAX, Want};
use super::source::{Full, HasQueue, SourceQueue};
use crate::types::RelPath;
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use tokio::sync::Notify;

pub(super) struct State {
    sources: Vec<Lanes>,
    next_ticket: u64,
    /// The source that is asked first, so that none waits for another.
    turn: usize,
    closed: bool,
}

impl State {
    /// The lanes of one source, and a ticket for what comes now.
    pub(super) fn lanes(&mut self, source: &SourceQueue) -> (&mut Lanes, u64) {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        (&mut self.sources[source.number], ticket)
    }

    pub(super) fn lanes_of(&self, source: &SourceQueue) -> &Lanes {
        &self.sources[source.number]
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }
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

impl Queue {
    /// A queue for `sources` sources, and each one's own part of it; each lane of each
    /// holds `items_max` paths.
    pub fn new(sources: usize, items_max: usize, workers: usize) -> (Self, Vec<SourceQueue>) {
        // One worker in eight, at least one, is kept for edits: a save must not
        // wait for the end of somebody's gigabyte.
        let kept_for_edits = (workers / 8).max(1);
        // The same for the other sources: one whose disk hangs must not hold
        // all workers.
        let kept_for_others = if sources > 1 { kept_for_edits } else { 0 };
        let queue = Self(Arc::new(Inner {
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
        }));
        let part = |number| SourceQueue {
            queue: queue.clone(),
            number,
        };
        let parts = (0..sources).map(part).collect();
        (queue, parts)
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A panic while holding the lock leaves counters, not memory, in doubt.
        self.0.state.lock()
    }

    pub(super) fn push(&self, source: &SourceQueue, path: RelPath, want: Want) -> Result<(), Full> {
        let mut state = self.state();
        let ticket = state.next_ticket;
        let lanes = &mut state.sources[source.number];
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
            Some(Entry::Deferred { .. }) => {
                // News of it: it is looked at again.
                let old = lanes.take_back(&path);
                (old.map_or(want, |old| old.merge(want)), None)
            }
            None => (want, None),
        };
        let is_more = old.is_none_or(|(lane, ..)| lane != want.lane);
        if is_more && lanes.lane(want.lane).paths.len() >= self.0.items_max {
            return Err(Full);
        }
        if let Some((lane, place, _)) = old {
            lanes.lane(lane).paths.remove(&place);
        }
        // Saved again: among the newest, with the tries that it has behind it.
        let (tries, came) = old.map_or((0, ticket), |(_, place, came)| (place.0, came));
        lanes.enqueue(path, want, (tries, ticket), came);
        state.next_ticket += 1;
        drop(state);
        self.0.work.notify_one();
        Ok(())
    }

    /// Wait until `is_done` says yes; it is asked again whenever a path was taken out of
    /// a lane.
    pub(super) async fn when_room(&self, is_done: impl Fn() -> bool) {
        until(&self.0.room, is_done).await;
    }

    /// The same, whenever a worker is done with a path.
    pub(super) async fn when_drained(&self, is_done: impl Fn() -> bool) {
        until(&self.0.drained, is_done).await;
    }

    /// Something changed that is no path taken out.
    pub(super) fn changed(&self) {
        // A place for backlog may have become free as well as work added.
        self.0.work.notify_one();
        self.0.drained.notify_waiters();
    }

    /// The next path to work on, edits first and the newest of them; waits for one. `None`
    /// after [`Queue::close`]. `sources` are all sources of this queue. `may_start` says
    /// whether a source's destination takes this path of this lane now; a path it says yes
    /// to is handed out. Call [`Queue::wake`] when its answer may have changed.
    ///
    /// `readiness` is asked of a deferred path: its source, and since when it is deferred.
    pub async fn pop<S: HasQueue + Clone>(
        &self,
        sources: &[S],
        may_start: impl Fn(&S, &RelPath, Lane) -> bool,
        readiness: impl Fn(&S, i64) -> Readiness,
    ) -> Option<Item<S>> {
        loop {
            let work = self.0.work.notified();
            tokio::pin!(work);
            work.as_mut().enable();
            {
                let mut state = self.state();
                if state.closed {
                    return None;
                }
                if let Some(item) = self.take(&mut state, sources, &may_start, &readiness) {
                    drop(state);
                    self.0.room.notify_waiters();
                    return Some(item);
                }
            }
            work.await;
        }
    }

    fn take<S: HasQueue + Clone>(
        &self,
        state: &mut State,
        sources: &[S],
        may_start: &impl Fn(&S, &RelPath, Lane) -> bool,
        readiness: &impl Fn(&S, i64) -> Readiness,
    ) -> Option<Item<S>> {
        let next_ticket = state.next_ticket;
        for source in sources {
            let lanes = &mut state.sources[source.queue().number];
            lanes.release(next_ticket, |since_ms| readiness(source, since_ms));
        }
        let backlog_running: usize = state.sources.iter().map(|l| l.backlog.running).sum();
        for lane in [Lane::Edit, Lane::Backlog] {
            if lane == Lane::Backlog && backlog_running >= self.0.backlog_running_max {
                return None;
            }
            for step in 0..sources.len() {
                let turn = (state.turn + step) % sources.len();
                let source = &sources[turn];
                let lanes = &mut state.sources[source.queue().number];
                if self.is_busy(lanes, lane) {
                    continue;
                }
                let Some((path, want)) = lanes.peek(lane) else {
                    continue;
                };
                if may_start(source, &path, lane) {
                    let was_deferred = lanes.start(lane, &path);
                    state.turn = turn + 1;
                    return Some(Item {
                        source: source.clone(),
                        path,
                        lane,
                        since_ms: want.since_ms,
                        deadline: want.deadline,
                        was_deferred,
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
    pub fn done<S: HasQueue>(&self, item: &Item<S>) {
        self.settle(item, None);
    }

    /// A worker gives the path back unfinished: it waits again where it stood,
    /// behind those that were not given back.
    pub fn give_back<S: HasQueue>(&self, item: &Item<S>) {
        self.settle(
            item,
            Some(Want {
                lane: item.lane,
                since_ms: item.since_ms,
                deadline: item.deadline,
            }),
        );
    }

    fn settle<S: HasQueue>(&self, item: &Item<S>, back: Option<Want>) {
        {
            let mut state = self.state();
            let (lanes, ticket) = state.lanes(item.source.queue());
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
        self.changed();
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

/// Wait until `is_done` says yes; it is asked now, and after each notification.
async fn until(changed: &Notify, is_done: impl Fn() -> bool) {
    loop {
        let notified = changed.notified();
        tokio::pin!(notified);
        notified.as_mut().enable();
        if is_done() {
            return;
        }
        notified.await;
    }
}
