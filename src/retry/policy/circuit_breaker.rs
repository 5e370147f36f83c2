//! The circuit breaker of one bucket: closed, open, or letting one probe through.
//!
//! When a bucket fails as such, ten thousand waiting files must not each find
//! that out. When only one file fails, the others must not wait for it. The
//! breaker tells the two apart; it never decides about a path's own retry.

mod denials;

use super::Backoff;
use super::times::passed;
use crate::types::{Class, Fault, WallMs};
use denials::Denials;

/// A network that fails meets every path: this many *different* paths in a row
/// and no success between. Two can be a coincidence.
const PATHS_TO_OPEN: usize = 3;

/// A probe that has not been reported by then was lost or moves a huge file;
/// another may start.
const PROBE_PATIENCE_MS: u64 = 5 * 60_000;

/// When fewer paths than that are all there is, and they fail for so long, the bucket is
/// asked by itself, once in such a time. Retries of one path span it.
const DOUBT_MS: u64 = 60_000;

/// The state of the breaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything may start.
    Closed,
    /// Nothing may start before `probe_at_ms`, and then one item only.
    Open {
        /// Since when the bucket fails, milliseconds since 1970.
        since_ms: WallMs,
        /// The newest failure.
        fault: Fault,
        /// When the next probe may start, milliseconds since 1970.
        probe_at_ms: WallMs,
        /// Failures that count: the one that opened it and each failed probe.
        attempts: u32,
    },
    /// One item is under way to find out.
    HalfOpen {
        /// As in `Open`.
        since_ms: WallMs,
        /// As in `Open`.
        fault: Fault,
        /// As in `Open`.
        attempts: u32,
        /// Which path was let through.
        path_hash: u64,
        /// When it was let through, milliseconds since 1970.
        started_ms: WallMs,
    },
}

/// Answer to "may this path start now?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MayStart {
    /// Yes.
    Yes,
    /// Yes, and it is the one probe: its outcome must come back through
    /// [`CircuitBreaker::success`], [`CircuitBreaker::failure`] or [`CircuitBreaker::abandoned`].
    ProbeOnly,
    /// Not before this moment (milliseconds since 1970), or the next [`Transition`].
    No {
        /// When to ask again.
        until_ms: WallMs,
    },
}

/// A change that people may want to hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transition {
    /// The bucket takes nothing for now.
    Opened {
        /// Why.
        fault: Fault,
    },
    /// The bucket takes files again.
    Closed {
        /// How long it did not, milliseconds.
        after_ms: u64,
    },
}

/// The breaker of one bucket. Times are milliseconds since 1970; a clock that
/// is set back delays a probe by one backoff at most.
#[derive(Debug, Clone)]
pub struct CircuitBreaker {
    state: BreakerState,
    /// Different paths that failed in passing, without a success between, and
    /// whether by asking alone.
    failing: Vec<(u64, bool)>,
    /// When the first of them failed, or the bucket was asked by itself because of them.
    failing_since_ms: Option<WallMs>,
    denials: Denials,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self::new()
    }
}

impl CircuitBreaker {
    /// A closed breaker.
    pub fn new() -> Self {
        Self {
            state: BreakerState::Closed,
            failing: Vec::with_capacity(PATHS_TO_OPEN),
            failing_since_ms: None,
            denials: Denials::default(),
        }
    }

    /// Its state.
    pub fn state(&self) -> &BreakerState {
        &self.state
    }

    /// Since when the bucket fails and why; `None` while it is closed.
    pub fn outage(&self) -> Option<(WallMs, &Fault)> {
        match &self.state {
            BreakerState::Closed => None,
            BreakerState::Open {
                since_ms, fault, ..
            }
            | BreakerState::HalfOpen {
                since_ms, fault, ..
            } => Some((*since_ms, fault)),
        }
    }

    /// Whether this path may start now. Saying [`MayStart::ProbeOnly`] makes it the probe.
    pub fn may_start(&mut self, path_hash: u64, now_ms: WallMs) -> MayStart {
        let (since_ms, fault, attempts) = match &self.state {
            BreakerState::Closed => return MayStart::Yes,
            BreakerState::Open {
                since_ms,
                fault,
                probe_at_ms,
                attempts,
            } => {
                if !passed(*probe_at_ms, now_ms, probe_wait_max_ms(fault.class)) {
                    return MayStart::No {
                        until_ms: *probe_at_ms,
                    };
                }
                (*since_ms, fault.clone(), *attempts)
            }
            BreakerState::HalfOpen {
                since_ms,
                fault,
                attempts,
                started_ms,
                ..
            } => {
                let until_ms = started_ms.plus(PROBE_PATIENCE_MS);
                if !passed(until_ms, now_ms, PROBE_PATIENCE_MS) {
                    return MayStart::No { until_ms };
                }
                (*since_ms, fault.clone(), *attempts)
            }
        };
        self.state = BreakerState::HalfOpen {
            since_ms,
            fault,
            attempts,
            path_hash,
            started_ms: now_ms,
        };
        MayStart::ProbeOnly
    }

    /// Let the next path find out now whether the bucket answers again.
    pub fn probe_now(&mut self, now_ms: WallMs) {
        if let BreakerState::Open { probe_at_ms, .. } = &mut self.state {
            *probe_at_ms = now_ms;
        }
    }

    /// Whether everything may start, or a probe may or is under way.
    pub fn is_passing(&self, now_ms: WallMs) -> bool {
        match &self.state {
            BreakerState::Closed | BreakerState::HalfOpen { .. } => true,
            BreakerState::Open {
                probe_at_ms, fault, ..
            } => passed(*probe_at_ms, now_ms, probe_wait_max_ms(fault.class)),
        }
    }

    /// The bucket has acknowledged something of this path. A large file need
    /// not be complete: its first stored part proves as much.
    pub fn success(&mut self, path_hash: u64, now_ms: WallMs) -> Option<Transition> {
        self.forget_failing();
        self.denials.excuse_others(path_hash);
        let since_ms = self.outage()?.0;
        self.state = BreakerState::Closed;
        Some(Transition::Closed {
            after_ms: now_ms.elapsed_ms(since_ms),
        })
    }

    /// The bucket has answered a question about this path, and stored nothing.
    /// That proves that it answers questions: it ends an outage of questions,
    /// never one of a bucket that takes no files.
    pub fn answered(&mut self, path_hash: u64, now_ms: WallMs) -> Option<Transition> {
        match self.outage() {
            Some((_, fault)) if fault.operation.is_reading() => self.success(path_hash, now_ms),
            Some(_) => {
                self.abandoned(path_hash, now_ms);
                None
            }
            None => {
                self.failing.retain(|(_, is_reading)| !is_reading);
                if self.failing.is_empty() {
                    self.forget_failing();
                }
                None
            }
        }
    }

    /// Whether to ask the bucket itself: a path or two have failed for long, and there are
    /// no others that would tell whether it is them or the bucket. A yes is given once in
    /// [`DOUBT_MS`]; an answer that is a failure goes to [`CircuitBreaker::unreachable`].
    pub fn is_in_doubt(&mut self, now_ms: WallMs) -> bool {
        let is_due = self.outage().is_none()
            && self
                .failing_since_ms
                .is_some_and(|since_ms| passed(since_ms.plus(DOUBT_MS), now_ms, DOUBT_MS));
        if is_due {
            self.failing_since_ms = Some(now_ms);
        }
        is_due
    }

    /// A question that no path asked was not answered: if nothing else tells, the bucket is
    /// asked by itself after a while.
    pub fn doubt(&mut self, now_ms: WallMs) {
        if self.outage().is_none() {
            self.failing_since_ms.get_or_insert(now_ms);
        }
    }

    /// The bucket was asked by itself, and failed: it is not the paths.
    pub fn unreachable(
        &mut self,
        fault: &Fault,
        now_ms: WallMs,
        random: u64,
    ) -> Option<Transition> {
        if self.outage().is_some() || !fault.class.is_destination() {
            return None;
        }
        self.open(fault, now_ms, now_ms, 1, random);
        Some(Transition::Opened {
            fault: fault.clone(),
        })
    }

    /// The bucket answers questions, and nothing waits for it any more: there
    /// is no outage that would harm anybody.
    pub fn idle(&mut self, now_ms: WallMs) -> Option<Transition> {
        if self.failing.is_empty() {
            self.failing_since_ms = None;
        }
        let since_ms = self.outage()?.0;
        self.forget_failing();
        self.denials.forget();
        self.state = BreakerState::Closed;
        Some(Transition::Closed {
            after_ms: now_ms.elapsed_ms(since_ms),
        })
    }

    /// This path failed. Faults that are the path's own leave the breaker as it
    /// is, except that its probe is over.
    pub fn failure(
        &mut self,
        fault: &Fault,
        path_hash: u64,
        now_ms: WallMs,
        random: u64,
    ) -> Option<Transition> {
        match &self.state {
            BreakerState::Closed => {
                if !self.opens(fault, path_hash, now_ms) {
                    return None;
                }
                self.open(fault, now_ms, now_ms, 1, random);
                Some(Transition::Opened {
                    fault: fault.clone(),
                })
            }
            // Started before it opened, or without asking it: no news.
            BreakerState::Open { .. } => None,
            BreakerState::HalfOpen {
                path_hash: probe,
                since_ms,
                attempts,
                ..
            } => {
                if *probe != path_hash {
                    return None;
                }
                let (since_ms, attempts) = (*since_ms, attempts.saturating_add(1));
                if fault.class == Class::Denied {
                    self.denials.note(path_hash, now_ms);
                }
                if fault.class.is_destination() {
                    self.open(fault, since_ms, now_ms, attempts, random);
                } else {
                    self.abandoned(path_hash, now_ms);
                }
                None
            }
        }
    }

    /// This path ended without saying anything about the bucket (nothing to
    /// upload, cancelled). If it was the probe, another may start at once.
    pub fn abandoned(&mut self, path_hash: u64, now_ms: WallMs) {
        if let BreakerState::HalfOpen {
            since_ms,
            fault,
            attempts,
            path_hash: probe,
            ..
        } = &self.state
            && *probe == path_hash
        {
            self.state = BreakerState::Open {
                since_ms: *since_ms,
                fault: fault.clone(),
                probe_at_ms: now_ms,
                attempts: *attempts,
            };
        }
    }

    /// Whether a failure that came while closed is the bucket's.
    fn opens(&mut self, fault: &Fault, path_hash: u64, now_ms: WallMs) -> bool {
        match fault.class {
            Class::Credentials | Class::NoBucket | Class::Untrusted => true,
            Class::Denied => self.denials.are_of_the_bucket(path_hash, now_ms),
            // One file may be too large for the room that is left.
            Class::Transient | Class::SlowDown | Class::Full => {
                if !self.failing.iter().any(|(path, _)| *path == path_hash) {
                    self.failing.push((path_hash, fault.operation.is_reading()));
                }
                self.failing_since_ms.get_or_insert(now_ms);
                self.failing.len() >= PATHS_TO_OPEN
            }
            _ => false,
        }
    }

    fn forget_failing(&mut self) {
        self.failing.clear();
        self.failing_since_ms = None;
    }

    fn open(
        &mut self,
        fault: &Fault,
        since_ms: WallMs,
        now_ms: WallMs,
        attempts: u32,
        random: u64,
    ) {
        self.forget_failing();
        let delay_ms = match fault.class {
            Class::Denied => denials::probe_delay_ms(attempts, random),
            class => Backoff::of(class).delay_ms(attempts, random),
        };
        self.state = BreakerState::Open {
            since_ms,
            fault: fault.clone(),
            probe_at_ms: now_ms.plus(delay_ms),
            attempts,
        };
    }
}

/// The longest wait for a probe.
fn probe_wait_max_ms(class: Class) -> u64 {
    match class {
        Class::Denied => denials::PROBES.cap_ms,
        _ => Backoff::of(class).cap_ms,
    }
}

#[cfg(test)]
mod tests;
