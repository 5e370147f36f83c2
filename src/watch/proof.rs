//! Decides when the watch is put to the proof, and what follows. Pure: time is an argument.
//!
//! Invariant: a watch that does not answer is set up again at once the first time, then
//! less and less often, but for ever.

use std::time::{Duration, Instant};

/// After so many failures in a row the watch counts as blind: it was set up again and
/// stayed silent.
const BLIND_AFTER: u32 = 2;

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing.
    Wait,
    /// Touch the sentinel, then call [`Prover::asked`] or [`Prover::put_off`].
    Touch,
    /// The event came.
    Proven,
    /// The event did not come: set the watch up again.
    Failed,
}

/// The state of the proof.
#[derive(Debug)]
pub(crate) struct Prover {
    every: Duration,
    within: Duration,
    wait_max: Duration,
    asked_at: Option<Instant>,
    due_at: Instant,
    failures: u32,
}

impl Prover {
    /// Prove every `every`; the event must come `within` its time. After failures the next
    /// proof waits up to `wait_max`.
    pub fn new(every: Duration, within: Duration, wait_max: Duration, now: Instant) -> Self {
        Self {
            every,
            within,
            wait_max,
            asked_at: None,
            due_at: now,
            failures: 0,
        }
    }

    /// What to do now; `heard` says whether an event of the sentinel has come since it was
    /// touched.
    pub fn step(&mut self, now: Instant, heard: bool) -> Step {
        match self.asked_at {
            None if now >= self.due_at => Step::Touch,
            None => Step::Wait,
            Some(asked_at) if heard => {
                self.asked_at = None;
                self.due_at = asked_at + self.every;
                self.failures = 0;
                Step::Proven
            }
            Some(asked_at) if now.saturating_duration_since(asked_at) < self.within => Step::Wait,
            Some(_) => {
                self.asked_at = None;
                self.failures = self.failures.saturating_add(1);
                self.due_at = now + self.pause();
                Step::Failed
            }
        }
    }

    /// How long to leave a watch alone that was set up again after a failure.
    fn pause(&self) -> Duration {
        match self.failures {
            0 | 1 => Duration::ZERO,
            // Doubles: 2, 4, ... times `within`.
            more => {
                let times = 2_u32.saturating_pow(more - 1);
                self.within.saturating_mul(times).min(self.wait_max)
            }
        }
    }

    /// The sentinel was touched.
    pub fn asked(&mut self, now: Instant) {
        self.asked_at = Some(now);
    }

    /// The sentinel cannot be touched for now.
    pub fn put_off(&mut self, now: Instant) {
        self.asked_at = None;
        self.due_at = now + self.every;
    }

    /// Prove at once: the watch was set up for another reason, or the computer has slept.
    /// After repeated failures the pause stays.
    pub fn at_once(&mut self, now: Instant) {
        self.asked_at = None;
        if self.failures < BLIND_AFTER {
            self.due_at = now;
        }
    }

    /// True when the watch was set up again and stayed silent: it cannot be relied on.
    pub fn is_blind(&self) -> bool {
        self.failures >= BLIND_AFTER
    }

    /// How long nothing needs to be done unless an event comes.
    pub fn wait(&self, now: Instant) -> Duration {
        let next = self.asked_at.map_or(self.due_at, |at| at + self.within);
        next.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(60);
    const WITHIN: Duration = Duration::from_secs(10);
    const MAX: Duration = Duration::from_secs(600);

    #[test]
    fn a_watch_that_answers_is_asked_once_a_minute() {
        let start = Instant::now();
        let mut prover = Prover::new(EVERY, WITHIN, MAX, start);
        for minute in 0..5 {
            let now = start + EVERY * minute;
            assert_eq!(prover.step(now, true), Step::Touch, "an old event is none");
            prover.asked(now);
            assert_eq!(prover.step(now, false), Step::Wait);
            assert_eq!(prover.wait(now), WITHIN);
            let soon = now + Duration::from_millis(250);
            assert_eq!(prover.step(soon, true), Step::Proven);
            assert_eq!(prover.step(soon, true), Step::Wait);
            assert_eq!(prover.wait(now), EVERY);
            assert!(!prover.is_blind());
        }
    }

    #[test]
    fn a_silent_watch_is_set_up_at_once_then_less_and_less_often() {
        let start = Instant::now();
        let mut now = start;
        let mut prover = Prover::new(EVERY, WITHIN, MAX, now);
        let mut pauses = Vec::new();
        for round in 0..9 {
            assert_eq!(prover.step(now, false), Step::Touch, "{round}");
            prover.asked(now);
            now += WITHIN;
            assert_eq!(prover.step(now, false), Step::Failed);
            assert_eq!(prover.is_blind(), round > 0);
            // That the watch was set up again is no reason to ask sooner.
            prover.at_once(now);
            let pause = prover.wait(now);
            pauses.push(pause.as_secs());
            now += pause;
        }
        assert_eq!(pauses, [0, 20, 40, 80, 160, 320, 600, 600, 600]);
        assert_eq!(prover.step(now, false), Step::Touch);
        prover.asked(now);
        assert_eq!(prover.step(now, true), Step::Proven);
        assert!(!prover.is_blind());
        assert_eq!(prover.wait(now), EVERY);
    }

    #[test]
    fn waking_up_proves_at_once_and_what_cannot_be_touched_waits() {
        let now = Instant::now();
        let mut prover = Prover::new(EVERY, WITHIN, MAX, now);
        prover.put_off(now);
        assert_eq!(prover.step(now, false), Step::Wait);
        assert_eq!(prover.wait(now), EVERY);
        prover.at_once(now);
        assert_eq!(prover.step(now, false), Step::Touch);
    }
}
