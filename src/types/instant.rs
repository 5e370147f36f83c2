//! Moments in milliseconds, by two clocks that have nothing to do with each other. Each clock
//! has a type of its own, so that a moment of one cannot be compared with, or subtracted from,
//! a moment of the other.
//!
//! ```compile_fail
//! use keepwatch::types::{MonotonicMs, WallMs};
//! assert!(MonotonicMs(1) > WallMs(0));
//! ```

/// A moment by a clock that people read and set: milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallMs(pub i64);

/// A moment by a clock that nobody sets and that goes on while the computer sleeps. It
/// means something within one run of the computer only, so it is never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonotonicMs(pub i64);

macro_rules! moment {
    ($name:ident) => {
        impl $name {
            /// So many milliseconds later (earlier, when negative).
            #[must_use]
            pub fn after_ms(self, ms: i64) -> Self {
                Self(self.0.saturating_add(ms))
            }

            /// How many milliseconds have passed since `earlier`; negative when that is
            /// later.
            pub fn since_ms(self, earlier: Self) -> i64 {
                self.0.saturating_sub(earlier.0)
            }
        }
    };
}

moment!(WallMs);
moment!(MonotonicMs);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_at_the_ends_of_time_do_not_wrap() {
        let (first, last) = (MonotonicMs(i64::MIN), MonotonicMs(i64::MAX));
        assert_eq!(last.since_ms(first), i64::MAX);
        assert_eq!(last.after_ms(1), last);
        assert_eq!(WallMs(5).after_ms(-7), WallMs(-2));
        assert_eq!(WallMs(5).since_ms(WallMs(7)), -2);
    }
}
