//! Moments in milliseconds, by three clocks that have nothing to do with each other. Each clock
//! has a type of its own, so that a moment of one cannot be compared with, or subtracted from,
//! a moment of another. A difference of two moments, and what is added to one, is an `i64` of
//! milliseconds. At the ends of time the arithmetic saturates.
//!
//! ```compile_fail
//! use keepwatch::types::{MonotonicMs, WallMs};
//! assert!(MonotonicMs(1) > WallMs(0));
//! ```

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::ops::{Add, AddAssign, Sub, SubAssign};

macro_rules! moment {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl $name {
            /// The first moment there is.
            pub const MIN: Self = Self(i64::MIN);

            /// The last moment there is.
            pub const MAX: Self = Self(i64::MAX);

            /// So many milliseconds later, of an unsigned duration.
            #[must_use]
            pub fn plus(self, ms: u64) -> Self {
                Self(self.0.saturating_add_unsigned(ms))
            }

            /// The milliseconds that have passed since `earlier`; 0 when that is later.
            pub fn elapsed_ms(self, earlier: Self) -> u64 {
                u64::try_from(self - earlier).unwrap_or(0)
            }
        }

        impl Sub for $name {
            type Output = i64;

            fn sub(self, earlier: Self) -> i64 {
                self.0.saturating_sub(earlier.0)
            }
        }

        impl Add<i64> for $name {
            type Output = Self;

            fn add(self, ms: i64) -> Self {
                Self(self.0.saturating_add(ms))
            }
        }

        impl AddAssign<i64> for $name {
            fn add_assign(&mut self, ms: i64) {
                *self = *self + ms;
            }
        }

        impl SubAssign<i64> for $name {
            fn sub_assign(&mut self, ms: i64) {
                *self = *self - ms;
            }
        }

        impl Sub<i64> for $name {
            type Output = Self;

            fn sub(self, ms: i64) -> Self {
                Self(self.0.saturating_sub(ms))
            }
        }
    };
}

moment! {
    /// A moment by a clock that people and servers read and set: milliseconds since 1970.
    /// It is stored, sent and shown as that number.
    WallMs
}
moment! {
    /// A moment by [`crate::clock::Clock::monotonic_ms`]: a clock that nobody sets, which
    /// counts from the start of the process and on Linux and macOS stands still while the
    /// computer sleeps. For waits and ages within one run.
    MonotonicMs
}
moment! {
    /// A moment by [`crate::os::boot_now`]: a clock that nobody sets and that goes on while
    /// the computer sleeps. For what is compared with the wall clock later in the same run.
    BootMs
}

impl WallMs {
    /// The same for the calendar.
    ///
    /// # Errors
    /// A moment that no calendar has.
    pub fn timestamp(self) -> Result<Timestamp, jiff::Error> {
        Timestamp::from_millisecond(self.0)
    }
}

impl From<Timestamp> for WallMs {
    fn from(at: Timestamp) -> Self {
        Self(at.as_millisecond())
    }
}

impl From<WallMs> for serde_json::Value {
    fn from(at: WallMs) -> Self {
        at.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_at_the_ends_of_time_do_not_wrap() {
        let (first, last) = (MonotonicMs::MIN, MonotonicMs::MAX);
        assert_eq!(last - first, i64::MAX);
        assert_eq!(first - last, i64::MIN);
        assert_eq!((last + 1, first - 1), (last, first));
        assert_eq!(last.plus(1), last);
        assert_eq!(first.elapsed_ms(last), 0);
        assert_eq!(WallMs(5) - 7, WallMs(-2));
        assert_eq!(WallMs(5) - WallMs(7), -2);
    }

    #[test]
    fn a_stored_moment_is_the_bare_number() {
        assert_eq!(serde_json::to_string(&WallMs(5)).unwrap(), "5");
        assert_eq!(serde_json::from_str::<WallMs>("-5").unwrap(), WallMs(-5));
        assert_eq!(
            serde_json::Value::from(Some(WallMs(5))),
            serde_json::json!(5)
        );
    }
}
