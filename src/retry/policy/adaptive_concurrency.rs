//! How many paths are sent to one bucket at a time.
//!
//! A server that asks for fewer requests (503 SlowDown) gets half as many, and
//! one more per round that goes well, as TCP does it. It never goes below one,
//! so it never stops by itself: a bucket that refuses even that is the circuit
//! breaker's matter. Pure; nothing here waits.

use super::Backoff;
use super::times::{later, passed};
use crate::types::Class;

/// The limit is kept in thousandths, so that it can grow by parts.
const ONE: u64 = 1_000;

/// Pauses when halving did not help, from the second in a row on: until then
/// fewer requests are the remedy, and a pause would only cost time.
const PAUSE: Backoff = Backoff {
    first_ms: 1_000,
    cap_ms: Backoff::of(Class::SlowDown).cap_ms,
};

/// How many paths may be on their way to one bucket.
#[derive(Debug, Clone)]
pub struct AdaptiveConcurrency {
    most: u64,
    limit: u64,
    running: u64,
    edits_running: u64,
    /// Starts so far; each one's number is its ticket.
    started: u64,
    /// Starts before this one belong to the burst that was halved last.
    cut: u64,
    /// Halvings without a success between.
    in_a_row: u32,
    pause_until_ms: i64,
}

/// What a request to slow down led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slowed {
    /// There are fewer at a time now, or there were already since this one began.
    Reduced,
    /// One at a time is too much already.
    AtMinimum,
}

impl AdaptiveConcurrency {
    /// Up to `most` at a time (at least one).
    pub fn new(most: usize) -> Self {
        let most = (most as u64).max(1);
        Self {
            most,
            limit: most * ONE,
            running: 0,
            edits_running: 0,
            started: 0,
            cut: 0,
            in_a_row: 0,
            pause_until_ms: i64::MIN,
        }
    }

    /// How many may run at a time.
    pub fn limit(&self) -> usize {
        usize::try_from(self.limit / ONE).unwrap_or(usize::MAX)
    }

    /// How many run.
    pub fn running(&self) -> usize {
        usize::try_from(self.running).unwrap_or(usize::MAX)
    }

    /// Whether another may start. One edit always may, beyond the limit too: a
    /// save must not wait for the end of somebody's gigabyte.
    pub fn may_start(&self, is_edit: bool, now_ms: i64) -> bool {
        if !passed(self.pause_until_ms, now_ms, PAUSE.cap_ms) {
            return false;
        }
        self.running < self.limit / ONE || (is_edit && self.edits_running == 0)
    }

    /// One starts; its ticket comes back with what becomes of it.
    pub fn start(&mut self, is_edit: bool) -> u64 {
        self.running += 1;
        self.edits_running += u64::from(is_edit);
        let ticket = self.started;
        self.started += 1;
        ticket
    }

    /// One ended, however it did.
    pub fn end(&mut self, is_edit: bool) {
        self.running = self.running.saturating_sub(1);
        self.edits_running = self.edits_running.saturating_sub(u64::from(is_edit));
    }

    /// The server took what began under that ticket: one more a round.
    pub fn worked(&mut self, ticket: u64) {
        if ticket < self.cut {
            return; // begun under the old limit, it proves nothing of the new one
        }
        self.in_a_row = 0;
        let share = ONE * ONE / self.limit;
        self.limit = (self.limit + share).min(self.most * ONE);
    }

    /// The server asks for fewer: half of what runs, once a burst.
    pub fn slowed(&mut self, ticket: u64, now_ms: i64, random: u64) -> Slowed {
        if ticket < self.cut {
            return Slowed::Reduced;
        }
        let was_least = self.limit / ONE <= 1;
        let at_once = self.limit.min(self.running.max(1) * ONE);
        self.limit = (at_once / 2).max(ONE);
        self.cut = self.started;
        self.in_a_row = self.in_a_row.saturating_add(1);
        if self.in_a_row > 1 {
            let delay_ms = PAUSE.delay_ms(self.in_a_row - 1, random);
            self.pause_until_ms = later(now_ms, delay_ms);
        }
        if was_least {
            Slowed::AtMinimum
        } else {
            Slowed::Reduced
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Start as many as may; their tickets.
    fn fill(concurrency: &mut AdaptiveConcurrency, now_ms: i64) -> Vec<u64> {
        let mut tickets = Vec::new();
        while concurrency.may_start(false, now_ms) {
            tickets.push(concurrency.start(false));
        }
        tickets
    }

    #[test]
    fn a_burst_is_halved_once_and_each_good_round_adds_one() {
        let mut concurrency = AdaptiveConcurrency::new(16);
        let mut now_ms = 0;
        let mut falling = Vec::new();
        for _ in 0..5 {
            let tickets = fill(&mut concurrency, now_ms);
            falling.push(tickets.len());
            for ticket in tickets {
                concurrency.slowed(ticket, now_ms, 0);
                concurrency.end(false);
            }
            now_ms += 300_000;
        }
        assert_eq!(falling, [16, 8, 4, 2, 1]);
        let mut rising = Vec::new();
        for _ in 0..20 {
            let tickets = fill(&mut concurrency, now_ms);
            rising.push(tickets.len());
            for ticket in tickets {
                concurrency.worked(ticket);
                concurrency.end(false);
            }
        }
        assert_eq!(rising[..4], [1, 2, 2, 3]);
        assert!(rising.is_sorted(), "{rising:?}");
        assert_eq!(concurrency.limit(), 16, "{rising:?}");
    }

    #[test]
    fn only_at_one_it_is_the_breakers_matter() {
        let mut concurrency = AdaptiveConcurrency::new(4);
        let first = fill(&mut concurrency, 0);
        assert_eq!(concurrency.slowed(first[0], 0, 0), Slowed::Reduced);
        assert_eq!(
            concurrency.slowed(first[1], 0, 0),
            Slowed::Reduced,
            "the same burst"
        );
        assert_eq!(concurrency.limit(), 2);
        first.iter().for_each(|_| concurrency.end(false));
        let one = concurrency.start(false);
        assert_eq!(concurrency.slowed(one, 0, 0), Slowed::Reduced);
        concurrency.end(false);
        let one = concurrency.start(false);
        assert_eq!(concurrency.slowed(one, 0, 0), Slowed::AtMinimum);
        assert_eq!(concurrency.limit(), 1);
    }

    #[test]
    fn it_pauses_when_halving_did_not_help_but_not_for_a_clock_put_back() {
        let mut concurrency = AdaptiveConcurrency::new(4);
        for _ in 0..2 {
            assert!(concurrency.may_start(false, 10_000_000));
            let ticket = concurrency.start(false);
            concurrency.slowed(ticket, 10_000_000, 0);
            concurrency.end(false);
        }
        assert!(!concurrency.may_start(true, 10_000_100));
        assert!(concurrency.may_start(true, 10_001_000));
        assert!(
            concurrency.may_start(true, 1_000_000),
            "an hour and more back"
        );
    }

    #[test]
    fn an_edit_never_waits_for_the_backlog() {
        let mut concurrency = AdaptiveConcurrency::new(1);
        concurrency.start(false);
        assert!(!concurrency.may_start(false, 0) && concurrency.may_start(true, 0));
        concurrency.start(true);
        assert!(!concurrency.may_start(true, 0));
    }

    proptest! {
        /// Whatever the server says, it stays between one and most.
        #[test]
        fn it_stays_between_one_and_most(
            most in 1..40usize,
            answers in proptest::collection::vec(any::<bool>(), 1..300),
            random: u64,
        ) {
            let mut concurrency = AdaptiveConcurrency::new(most);
            for good in answers {
                let ticket = concurrency.start(false);
                match good {
                    true => concurrency.worked(ticket),
                    false => { concurrency.slowed(ticket, 0, random); }
                }
                concurrency.end(false);
                prop_assert!((1..=most).contains(&concurrency.limit()));
                prop_assert_eq!(concurrency.running(), 0);
            }
        }
    }
}
