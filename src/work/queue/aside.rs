//! What is set aside: deletions that may be halves of renames. When they come.
//!
//! Invariant: it comes when all of its source is done that was there before and
//! was not given back since; what comes later never holds it up.

use super::Queue;
use super::item::Item;
use super::lanes::{Entry, Lanes, Want};
use crate::types::RelPath;

/// Whether something that was set aside may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ripe {
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

/// Paths of one source that are set aside; at 300 bytes each 30 MB. Beyond, the
/// oldest come at once: whoever renames a folder of more files has both names of
/// some in the bucket a little later than the deletion.
const ASIDE_MAX: usize = 100_000;

/// The paths that were set aside before `below` come when all is done that came
/// before `after`: both are tickets.
#[derive(Clone, Copy)]
pub(crate) struct Barrier {
    below: u64,
    after: u64,
    given_back: u64,
}

impl Queue {
    /// A worker leaves the path for later: until what came before is done, or its
    /// time has come. True when it is the only one: call
    /// [`Queue::wake`] until [`Queue::has_aside`] says no.
    pub fn set_aside(&self, item: &Item, now_ms: i64) -> bool {
        let is_only_one = {
            let mut state = self.state();
            let ticket = state.next_ticket;
            state.next_ticket += 1;
            let Some(lanes) = state.sources.get_mut(item.source) else {
                return false;
            };
            let was_empty = !lanes.has_aside();
            if let Some(Entry::Running { lane, again, .. }) = lanes.remove_running(&item.path) {
                let back = Want {
                    lane,
                    since_ms: item.since_ms,
                    deadline: item.deadline,
                };
                match again {
                    // Touched meanwhile: it is looked at first.
                    Some(want) => lanes.enqueue(item.path.clone(), want, (0, ticket), ticket),
                    None => lanes.put_aside(item.path.clone(), back, ticket, now_ms),
                }
            }
            was_empty && lanes.has_aside()
        };
        self.0.work.notify_one();
        self.0.drained.notify_waiters();
        is_only_one
    }

    /// How many paths of the source are set aside, or were and are not done yet.
    pub fn deletions_waiting(&self, source: usize) -> u64 {
        let state = self.state();
        let lanes = state.sources.get(source);
        lanes.map_or(0, |lanes| (lanes.aside.len() + lanes.released.len()) as u64)
    }

    /// Something of the source is set aside.
    pub fn has_aside(&self, source: usize) -> bool {
        let state = self.state();
        !state.closed && state.sources.get(source).is_some_and(Lanes::has_aside)
    }
}

impl Lanes {
    pub(crate) fn has_aside(&self) -> bool {
        !self.aside.is_empty()
    }

    /// Set a path aside.
    pub(crate) fn put_aside(&mut self, path: RelPath, want: Want, ticket: u64, aside_ms: i64) {
        self.aside.insert(ticket, path.clone());
        let entry = Entry::Aside {
            want,
            ticket,
            aside_ms,
        };
        self.paths.insert(path, entry);
    }

    /// No longer aside.
    pub(crate) fn take_back(&mut self, path: &RelPath) -> Option<Want> {
        match self.paths.remove(path) {
            Some(Entry::Aside { want, ticket, .. }) => {
                self.aside.remove(&ticket);
                Some(want)
            }
            _ => None,
        }
    }

    /// Put what was set aside back into its lane, as far as it may come now.
    pub(crate) fn release(&mut self, next_ticket: u64, ripe: impl Fn(i64) -> Ripe) {
        while self.aside.len() > ASIDE_MAX
            || self
                .oldest_aside_ms()
                .is_some_and(|ms| ripe(ms) == Ripe::Now)
        {
            self.release_oldest();
        }
        let barrier = self
            .ripe
            .take()
            .or_else(|| self.barrier(next_ticket, &ripe));
        self.ripe = barrier;
        let Some(barrier) = barrier else {
            return;
        };
        if self.oldest().is_some_and(|oldest| oldest < barrier.after) {
            return;
        }
        self.ripe = None;
        // What was not stored after all is on its way back: once more from the start.
        let given_back = barrier.given_back;
        let is_done = |ms| ripe(ms) == Ripe::AfterTheRest { given_back };
        if self.oldest_aside_ms().is_some_and(is_done) {
            while self
                .aside
                .keys()
                .next()
                .is_some_and(|ticket| *ticket < barrier.below)
            {
                self.release_oldest();
            }
        }
    }

    /// What of those set aside waits for nothing that is still to come.
    fn barrier(&self, next_ticket: u64, ripe: impl Fn(i64) -> Ripe) -> Option<Barrier> {
        let mut barrier = None;
        for ticket in self.aside.keys() {
            let Ripe::AfterTheRest { given_back } = ripe(self.aside_ms(*ticket)?) else {
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

    fn aside_ms(&self, ticket: u64) -> Option<i64> {
        match self.paths.get(self.aside.get(&ticket)?) {
            Some(Entry::Aside { aside_ms, .. }) => Some(*aside_ms),
            _ => None,
        }
    }

    fn oldest_aside_ms(&self) -> Option<i64> {
        let (ticket, _) = self.aside.first_key_value()?;
        self.aside_ms(*ticket)
    }

    fn release_oldest(&mut self) {
        if let Some((ticket, path)) = self.aside.pop_first()
            && let Some(Entry::Aside { want, .. }) = self.paths.remove(&path)
        {
            self.released.insert(path.clone());
            self.enqueue(path, want, (0, ticket), ticket);
        }
    }
}
