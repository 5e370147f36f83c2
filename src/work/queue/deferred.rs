//! When deferred paths come: deletions that may be halves of renames.
//!
//! Invariant: a deferred path comes when all of its source is done that was there before
//! and was not given back since; what comes later never holds it up.

use super::item::Item;
use super::lanes::{Barrier, Entry, Lanes, Want};
use super::shared::Queue;
use super::source::{HasQueue, SourceQueue};
use crate::types::{MonotonicMs, RelPath};

/// Whether a deferred path may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// Not yet: what it waits for may not have reached the queue.
    No,
    /// It has: after all that is in the queue by now, unless a worker gives
    /// something back before that, which this number tells: then it is asked again.
    AfterTheRest {
        /// How often workers have given back a path of this source.
        given_back: u64,
    },
    /// It has waited long enough, whatever else is here.
    Now,
}

/// Deferred paths of one source; at 300 bytes each 30 MB. Beyond, the
/// oldest come at once: whoever renames a folder of more files has both names of
/// some in the bucket a little later than the deletion.
const DEFERRED_MAX: usize = 100_000;

impl Queue {
    /// A worker leaves the path for later: until what came before is done, or its
    /// time has come. True when it is the only one: call
    /// [`Queue::wake`] until [`SourceQueue::has_deferred`] says no.
    pub fn defer<S: HasQueue>(&self, item: &Item<S>, now_ms: MonotonicMs) -> bool {
        let is_only_one = {
            let mut state = self.state();
            let (lanes, ticket) = state.lanes(item.source.queue().number);
            let was_empty = !lanes.has_deferred();
            if let Some(Entry::Running { lane, again, .. }) = lanes.remove_running(&item.path) {
                let back = Want {
                    lane,
                    since_ms: item.since_ms,
                    deadline: item.deadline,
                };
                match again {
                    // Touched meanwhile: it is looked at first.
                    Some(want) => lanes.enqueue(item.path.clone(), want, (0, ticket), ticket),
                    None => lanes.defer(item.path.clone(), back, ticket, now_ms),
                }
            }
            was_empty && lanes.has_deferred()
        };
        self.changed();
        is_only_one
    }
}

impl SourceQueue {
    /// How many paths are deferred, or were and are not done yet.
    pub fn deletions_waiting(&self) -> u64 {
        let state = self.queue.state();
        let lanes = state.lanes_of(self.number);
        (lanes.deferred.len() + lanes.released.len()) as u64
    }

    /// Some path is deferred.
    pub fn has_deferred(&self) -> bool {
        let state = self.queue.state();
        !state.is_closed() && state.lanes_of(self.number).has_deferred()
    }
}

impl Lanes {
    pub(crate) fn has_deferred(&self) -> bool {
        !self.deferred.is_empty()
    }

    /// Defer a path.
    pub(crate) fn defer(
        &mut self,
        path: RelPath,
        want: Want,
        ticket: u64,
        deferred_ms: MonotonicMs,
    ) {
        self.deferred.insert(ticket, path.clone());
        let entry = Entry::Deferred {
            want,
            ticket,
            deferred_ms,
        };
        self.paths.insert(path, entry);
    }

    /// No longer deferred.
    pub(crate) fn take_back(&mut self, path: &RelPath) -> Option<Want> {
        match self.paths.remove(path) {
            Some(Entry::Deferred { want, ticket, .. }) => {
                self.deferred.remove(&ticket);
                Some(want)
            }
            _ => None,
        }
    }

    /// Put what was deferred back into its lane, as far as it may come now.
    pub(crate) fn release(
        &mut self,
        next_ticket: u64,
        readiness: impl Fn(MonotonicMs) -> Readiness,
    ) {
        while self.deferred.len() > DEFERRED_MAX
            || self
                .oldest_deferred_ms()
                .is_some_and(|ms| readiness(ms) == Readiness::Now)
        {
            self.release_oldest();
        }
        let barrier = self
            .barrier
            .take()
            .or_else(|| self.next_barrier(next_ticket, &readiness));
        self.barrier = barrier;
        let Some(barrier) = barrier else {
            return;
        };
        if self.oldest().is_some_and(|oldest| oldest < barrier.after) {
            return;
        }
        self.barrier = None;
        // What was not stored after all is on its way back: once more from the start.
        let given_back = barrier.given_back;
        let is_done = |ms| readiness(ms) == Readiness::AfterTheRest { given_back };
        if self.oldest_deferred_ms().is_some_and(is_done) {
            while self
                .deferred
                .keys()
                .next()
                .is_some_and(|ticket| *ticket < barrier.below)
            {
                self.release_oldest();
            }
        }
    }

    /// Which deferred paths wait for nothing that is still to come.
    fn next_barrier(
        &self,
        next_ticket: u64,
        readiness: impl Fn(MonotonicMs) -> Readiness,
    ) -> Option<Barrier> {
        let mut barrier = None;
        for ticket in self.deferred.keys() {
            let Readiness::AfterTheRest { given_back } = readiness(self.deferred_ms(*ticket)?)
            else {
                break;
            };
            barrier
                .get_or_insert(Barrier {
                    below: 0,
                    after: next_ticket,
                    given_back,
                })
                .below = ticket + 1;
        }
        barrier
    }

    fn deferred_ms(&self, ticket: u64) -> Option<MonotonicMs> {
        match self.paths.get(self.deferred.get(&ticket)?) {
            Some(Entry::Deferred { deferred_ms, .. }) => Some(*deferred_ms),
            _ => None,
        }
    }

    fn oldest_deferred_ms(&self) -> Option<MonotonicMs> {
        let (ticket, _) = self.deferred.first_key_value()?;
        self.deferred_ms(*ticket)
    }

    fn release_oldest(&mut self) {
        if let Some((ticket, path)) = self.deferred.pop_first()
            && let Some(Entry::Deferred { want, .. }) = self.paths.remove(&path)
        {
            self.released.insert(path.clone());
            self.enqueue(path, want, (0, ticket), ticket);
        }
    }
}
