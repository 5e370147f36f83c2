//! When something that failed is tried again, and when people hear of it.
//!
//! [`Backoff`] spaces the tries of one path, [`CircuitBreaker`] holds back everything for
//! a bucket that fails as such, [`AdaptiveConcurrency`] says how many paths at a time a
//! bucket gets, [`OutageAlert`] what is worth a message, [`SharedAlerts`] which outages
//! are one. Pure: the caller brings the time and the random numbers. Nothing here ever
//! gives up, and nothing here forgets a path.

pub(crate) mod adaptive_concurrency;
pub(crate) mod alert;
pub(crate) mod circuit_breaker;
pub(crate) mod shared;
mod times;

use crate::types::{Class, Fault, FaultDetail};

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// Networks and servers recover within seconds or minutes; five minutes of
/// needless waiting after that is what an owner would still call "at once".
const TRANSIENT: Backoff = Backoff {
    first_ms: SECOND_MS,
    cap_ms: 5 * MINUTE_MS,
};

/// The server asks for patience, so the first wait is longer than for an error.
const SLOW_DOWN: Backoff = Backoff {
    first_ms: 5 * SECOND_MS,
    cap_ms: 5 * MINUTE_MS,
};

/// Somebody has to change a key, a policy or a bucket, or to make room. A probe each minute
/// shows them soon that it worked; later, four an hour cost nothing.
const NEEDS_A_PERSON: Backoff = Backoff {
    first_ms: MINUTE_MS,
    cap_ms: 15 * MINUTE_MS,
};

/// Only a person mends it, or leaving the network that it is in does.
const UNTRUSTED: Backoff = Backoff {
    first_ms: MINUTE_MS,
    cap_ms: 5 * MINUTE_MS,
};

/// Files that others hold open are mostly let go within seconds; some never,
/// and asking those once an hour is enough (a change wakes them at once).
const FILE: Backoff = Backoff {
    first_ms: 10 * SECOND_MS,
    cap_ms: HOUR_MS,
};

/// A program lets a file go when it is closed, which is no change of the file that would
/// wake anybody.
const HELD: Backoff = Backoff {
    cap_ms: 5 * MINUTE_MS,
    ..FILE
};

/// It will not pass by itself; the hourly try finds out that somebody helped.
const STUBBORN: Backoff = Backoff {
    first_ms: MINUTE_MS,
    cap_ms: HOUR_MS,
};

/// The longest wait of any class. A next try further ahead than this was put
/// down by a clock that has been put back since.
pub const WAIT_MAX_MS: u64 = HOUR_MS;

/// Waiting times that double from `first_ms` up to `cap_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The longest wait after the first failure.
    pub first_ms: u64,
    /// The longest wait ever.
    pub cap_ms: u64,
}

impl Backoff {
    /// How failures of that class are spaced.
    pub const fn of(class: Class) -> Self {
        match class {
            // This computer's trouble (a full disk) passes like a network's.
            Class::Transient | Class::Local => TRANSIENT,
            Class::SlowDown => SLOW_DOWN,
            Class::Credentials | Class::Denied | Class::NoBucket | Class::Full => NEEDS_A_PERSON,
            // A sign-in page that answers in the server's place is gone within minutes.
            Class::Untrusted => UNTRUSTED,
            // Changed has its own quiet period before; Vanished is settled by the scan.
            Class::Changed | Class::Vanished => TRANSIENT,
            Class::Unreadable => FILE,
            Class::NotFound | Class::Refused | Class::Unstorable | Class::Damaged => STUBBORN,
        }
    }

    /// How failures like that one are spaced.
    pub fn of_fault(fault: &Fault) -> Self {
        match fault.detail {
            Some(FaultDetail::HeldByProgram) => HELD,
            _ => Self::of(fault.class),
        }
    }

    /// How long to wait after the `attempt`th failure in a row (1 is the first).
    ///
    /// Between half of the doubled wait and the whole of it, by `random` (any
    /// number): many paths that failed at one moment must not come back at one.
    pub fn delay_ms(self, attempt: u32, random: u64) -> u64 {
        let doublings = attempt.saturating_sub(1);
        let factor = 1u64.checked_shl(doublings).unwrap_or(u64::MAX);
        let whole_ms = self.first_ms.saturating_mul(factor).min(self.cap_ms);
        let half_ms = whole_ms / 2;
        whole_ms - half_ms + random % (half_ms + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CLASSES: [Class; 15] = [
        Class::Transient,
        Class::SlowDown,
        Class::Credentials,
        Class::Denied,
        Class::Untrusted,
        Class::NoBucket,
        Class::Full,
        Class::NotFound,
        Class::Refused,
        Class::Vanished,
        Class::Changed,
        Class::Unreadable,
        Class::Unstorable,
        Class::Damaged,
        Class::Local,
    ];

    #[test]
    fn waits_double_up_to_the_cap() {
        let backoff = Backoff {
            first_ms: 1_000,
            cap_ms: 300_000,
        };
        let longest = |attempt| {
            (0..1_000)
                .map(|random| backoff.delay_ms(attempt, random * 997))
                .max()
                .unwrap()
        };
        assert!((990..=1_000).contains(&longest(1)), "{}", longest(1));
        for (attempt, expected_ms) in [(1, 1_000), (2, 2_000), (3, 4_000), (9, 256_000)] {
            let half_ms = expected_ms / 2;
            assert_eq!(backoff.delay_ms(attempt, half_ms), expected_ms, "{attempt}");
            assert_eq!(backoff.delay_ms(attempt, 0), half_ms, "{attempt}");
        }
        for attempt in [10, 63, 64, 65, u32::MAX] {
            assert_eq!(backoff.delay_ms(attempt, 150_000), 300_000, "{attempt}");
        }
        assert_eq!(backoff.delay_ms(0, 500), 1_000);
    }

    #[test]
    fn every_class_has_bounds_that_suit_it() {
        for class in CLASSES {
            let backoff = Backoff::of(class);
            assert!(backoff.first_ms >= 1_000, "{class:?}");
            assert!(backoff.cap_ms <= WAIT_MAX_MS, "{class:?}");
            if class.is_transient() {
                assert!(backoff.cap_ms <= 5 * MINUTE_MS, "{class:?}");
            }
        }
        assert_eq!(Backoff::of(Class::Denied).cap_ms, 15 * MINUTE_MS);
    }

    #[test]
    fn a_file_that_a_program_holds_is_tried_again_every_few_minutes() {
        let fault = Fault::new(Class::Unreadable, "read", "mail.pst", "sharing violation");
        assert_eq!(Backoff::of_fault(&fault), Backoff::of(Class::Unreadable));
        let held = Backoff::of_fault(&fault.detail(FaultDetail::HeldByProgram));
        assert_eq!(held.first_ms, 10 * SECOND_MS);
        assert_eq!(held.cap_ms, 5 * MINUTE_MS);
    }

    proptest! {
        #[test]
        fn a_wait_is_never_nothing_and_never_over_the_cap(
            class in proptest::sample::select(&CLASSES[..]),
            attempt: u32,
            random: u64,
        ) {
            let backoff = Backoff::of(class);
            let delay_ms = backoff.delay_ms(attempt, random);
            prop_assert!(delay_ms >= backoff.first_ms / 2);
            prop_assert!(delay_ms <= backoff.cap_ms);
        }
    }
}
