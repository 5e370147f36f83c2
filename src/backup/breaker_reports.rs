//! Tells the circuit breaker of a path's source what its bucket answered, and everybody
//! when that opens or closes it.

use super::item::Item;
use crate::clock::Clock;
use crate::source::{Sources, announce};
use crate::types::Fault;
use crate::work::Queue;

/// Tells circuit breakers what their buckets answer.
#[derive(Clone)]
pub struct BreakerReports {
    /// All sources: those of one bucket share a breaker.
    pub sources: Sources,
    /// Woken when there is room for one more upload.
    pub queue: Queue,
    /// The clocks.
    pub clock: Clock,
    /// Workers of the run.
    pub workers_max: usize,
}

impl BreakerReports {
    /// The bucket has taken something of this path.
    pub(crate) fn took(&self, item: &Item) {
        let breaker = &item.source.breaker;
        let change = breaker.success(&item.path, self.clock.now_ms());
        announce(&self.sources, &item.source, change);
        if breaker.at_once() < self.workers_max {
            // There may be room for one more now.
            self.queue.wake();
        }
    }

    /// The bucket was asked about this path, and took nothing.
    pub(crate) fn answered(&self, item: &Item) {
        let now_ms = self.clock.now_ms();
        let change = item.source.breaker.answered(&item.path, now_ms);
        announce(&self.sources, &item.source, change);
    }

    /// The path's turn says nothing of the bucket.
    pub(crate) fn abandoned(&self, item: &Item) {
        let now_ms = self.clock.now_ms();
        item.source.breaker.abandoned(&item.path, now_ms);
    }

    /// The server asks for fewer requests.
    pub(crate) fn slowed(&self, item: &Item) {
        let now_ms = self.clock.now_ms();
        item.source.breaker.slowed(&item.path, now_ms);
    }

    /// The path failed. True when it only waits: fewer uploads run at a time from now on.
    pub(crate) fn failed(&self, item: &Item, fault: &Fault) -> bool {
        let now_ms = self.clock.now_ms();
        let (change, only_waits) = item.source.breaker.failure(&item.path, fault, now_ms);
        announce(&self.sources, &item.source, change);
        only_waits
    }
}
