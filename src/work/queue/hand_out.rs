//! Handing paths out to workers: who is next, and what becomes of a path afterwards.

use super::deferred::Readiness;
use super::item::{Item, Lane};
use super::lanes::{Entry, Lanes, TRIES_MAX, Want};
use super::shared::{Inner, Queue, State};
use super::source::{HasQueue, SourceQueue};
use crate::types::{MonotonicMs, RelPath};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::Notify;

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
        readiness: impl Fn(&S, MonotonicMs) -> Readiness,
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
        readiness: &impl Fn(&S, MonotonicMs) -> Readiness,
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
            let (lanes, ticket) = state.lanes(item.source.queue().number);
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
}
