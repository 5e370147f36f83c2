//! The circuit breaker of one bucket: closed, open, or letting one probe through.
//!
//! When a bucket fails as such, ten thousand waiting files must not each find
//! that out. When only one file fails, the others must not wait for it. The
//! breaker tells the two apart; it never decides about a path's own retry.

use super::Backoff;
use super::times::{between, later, passed};
use crate::types::{Class, Fault};

/// A network that fails meets every path: this many *different* paths in a row
/// and no success between. Two can be a coincidence.
const PATHS_TO_OPEN: usize = 3;

/// A probe that has not been reported by then was lost or moves a huge file;
/// another may start.
const PROBE_PATIENCE_MS: u64 = 5 * 60_000;

/// Paths known to be denied while others pass (a policy with a hole). They no
/// longer open the breaker; more than these are a fault of the bucket as such.
const EXCUSED_MAX: usize = 16;

/// The state of the breaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything may start.
    Closed,
    /// Nothing may start before `probe_at_ms`, and then one item only.
    Open {
        /// Since when the bucket fails, milliseconds since 1970.
        since_ms: i64,
        /// The newest failure.
        fault: Fault,
        /// When the next probe may start, milliseconds since 1970.
        probe_at_ms: i64,
        /// Failures that count: the one that opened it and each failed probe.
        attempts: u32,
    },
    /// One item is under way to find out.
    HalfOpen {
        /// As in `Open`.
        since_ms: i64,
        /// As in `Open`.
        fault: Fault,
        /// As in `Open`.
        attempts: u32,
        /// Which path was let through.
        path_hash: u64,
        /// When it was let through, milliseconds since 1970.
        started_ms: i64,
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
        until_ms: i64,
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
    /// The path whose denial opened the breaker, while it is open.
    denied: Option<u64>,
    /// Paths that are denied for themselves; newest last.
    excused: Vec<u64>,
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
            denied: None,
            excused: Vec::new(),
        }
    }

    /// Its state.
    pub fn state(&self) -> &BreakerState {
        &self.state
    }

    /// Since when the bucket fails and why; `None` while it is closed.
    pub fn outage(&self) -> Option<(i64, &Fault)> {
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
    pub fn may_start(&mut self, path_hash: u64, now_ms: i64) -> MayStart {
        let (since_ms, fault, attempts) = match &self.state {
            BreakerState::Closed => return MayStart::Yes,
            BreakerState::Open {
                since_ms,
                fault,
                probe_at_ms,
                attempts,
            } => {
                if !passed(*probe_at_ms, now_ms, Backoff::of(fault.class).cap_ms) {
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
                let until_ms = later(*started_ms, PROBE_PATIENCE_MS);
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

    /// The bucket has acknowledged something of this path. A large file need
    /// not be complete: its first stored part proves as much.
    pub fn success(&mut self, path_hash: u64, now_ms: i64) -> Option<Transition> {
        self.failing.clear();
        self.excused.retain(|excused| *excused != path_hash);
        let since_ms = self.outage()?.0;
        if let Some(denied) = self.denied.take().filter(|denied| *denied != path_hash) {
            self.excuse(denied);
        }
        self.state = BreakerState::Closed;
        Some(Transition::Closed {
            after_ms: between(since_ms, now_ms),
        })
    }

    /// The bucket has answered a question about this path, and stored nothing.
    /// That proves that it answers questions: it ends an outage of questions,
    /// never one of a bucket that takes no files.
    pub fn answered(&mut self, path_hash: u64, now_ms: i64) -> Option<Transition> {
        match self.outage() {
            Some((_, fault)) if fault.operation.is_reading() => self.success(path_hash, now_ms),
            Some(_) => {
                self.abandoned(path_hash, now_ms);
                None
            }
            None => {
                self.failing.retain(|(_, is_reading)| !is_reading);
                None
            }
        }
    }

    /// The bucket answers questions, and nothing waits for it any more: there
    /// is no outage that would harm anybody.
    pub fn idle(&mut self, now_ms: i64) -> Option<Transition> {
        let since_ms = self.outage()?.0;
        self.failing.clear();
        self.denied = None;
        self.state = BreakerState::Closed;
        Some(Transition::Closed {
            after_ms: between(since_ms, now_ms),
        })
    }

    /// This path failed. Faults that are the path's own leave the breaker as it
    /// is, except that its probe is over.
    pub fn failure(
        &mut self,
        fault: &Fault,
        path_hash: u64,
        now_ms: i64,
        random: u64,
    ) -> Option<Transition> {
        match &self.state {
            BreakerState::Closed => {
                if !self.opens(fault, path_hash) {
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
    pub fn abandoned(&mut self, path_hash: u64, now_ms: i64) {
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
    fn opens(&mut self, fault: &Fault, path_hash: u64) -> bool {
        match fault.class {
            Class::Credentials | Class::NoBucket | Class::Untrusted => true,
            Class::Denied => {
                if self.excused.contains(&path_hash) {
                    return false;
                }
                self.denied = Some(path_hash);
                true
            }
            // One file may be too large for the room that is left.
            Class::Transient | Class::SlowDown | Class::Full => {
                if !self.failing.iter().any(|(path, _)| *path == path_hash) {
                    self.failing.push((path_hash, fault.operation.is_reading()));
                }
                self.failing.len() >= PATHS_TO_OPEN
            }
            _ => false,
        }
    }

    fn open(&mut self, fault: &Fault, since_ms: i64, now_ms: i64, attempts: u32, random: u64) {
        self.failing.clear();
        let delay_ms = Backoff::of(fault.class).delay_ms(attempts, random);
        self.state = BreakerState::Open {
            since_ms,
            fault: fault.clone(),
            probe_at_ms: later(now_ms, delay_ms),
            attempts,
        };
    }

    /// Another path passed while this one was denied: it is this path alone.
    fn excuse(&mut self, path_hash: u64) {
        if self.excused.len() >= EXCUSED_MAX {
            self.excused.remove(0);
        }
        self.excused.push(path_hash);
    }
}

#[cfg(test)]
mod tests;
