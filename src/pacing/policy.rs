//! How often a file that changes all the time gets a new version: the first
//! saves at once, then so many an hour, the last state always.
//!
//! Invariant: whatever the settings, clocks and histories, a version waits no
//! longer than [`Policy::wait_max_ms`].

use crate::types::WallMs;

/// Saves of one file that are stored at once although only some an hour are
/// meant to be: what a person saves in half an hour's work, at most.
const BURST: i64 = 6;

const HOUR_MS: i64 = 60 * 60 * 1000;

/// What a source's owner wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Policy {
    /// Between two versions of one file, at the least.
    pub min_interval_ms: u64,
    /// Versions of one file an hour once [`BURST`] is used up; 0 for no limit.
    pub per_hour_max: u32,
}

/// What is remembered of one file: the moment at which everything that was
/// stored of it is paid for (milliseconds since 1970).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Paid(pub WallMs);

impl Policy {
    /// Nothing ever waits.
    pub fn is_off(self) -> bool {
        self.min_interval_ms == 0 && self.per_hour_max == 0
    }

    /// What one version costs of the time, once there are many.
    fn each_ms(self) -> i64 {
        match self.per_hour_max {
            0 => 0,
            per_hour => HOUR_MS / i64::from(per_hour),
        }
    }

    fn min_ms(self) -> i64 {
        i64::try_from(self.min_interval_ms).unwrap_or(i64::MAX / 4)
    }

    /// The longest that a version can have to wait.
    pub fn wait_max_ms(self) -> i64 {
        self.min_ms().max(self.each_ms())
    }

    /// When the next version may be stored: now, or at a moment to come.
    /// `stored_ms` is when the last one was.
    pub fn due_ms(self, paid: Option<Paid>, stored_ms: WallMs, now_ms: WallMs) -> WallMs {
        // Farther ahead than [`Policy::stored`] writes is of a clock that has
        // been put back since: believed, it would move on with every question.
        let by_hour = match paid {
            Some(paid) if self.per_hour_max > 0 && paid.0 <= self.paid_max_ms(now_ms) => {
                paid.0 - (BURST - 1) * self.each_ms()
            }
            _ => now_ms,
        };
        // A moment in the future is of a clock that has been put back since.
        let by_interval = match stored_ms <= now_ms {
            true => stored_ms + self.min_ms(),
            false => now_ms,
        };
        by_hour
            .max(by_interval)
            .clamp(now_ms, now_ms + self.wait_max_ms())
    }

    /// A version was stored.
    pub fn stored(self, paid: Option<Paid>, now_ms: WallMs) -> Paid {
        let each_ms = self.each_ms();
        let was = paid.map_or(now_ms, |paid| paid.0.max(now_ms));
        let most = self.paid_max_ms(now_ms);
        Paid((was + each_ms).min(most))
    }

    /// Never more than a burst ahead, whatever clocks did.
    fn paid_max_ms(self, now_ms: WallMs) -> WallMs {
        now_ms + BURST * self.each_ms()
    }
}

impl Paid {
    /// Nothing need be remembered any more.
    pub fn is_over(self, now_ms: WallMs) -> bool {
        self.0 <= now_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE_MS: i64 = 60_000;

    /// When versions of a file that is saved every `every_ms` for `hours` are
    /// stored.
    fn stored(policy: Policy, every_ms: i64, hours: i64) -> Vec<i64> {
        let (mut paid, mut out) = (None, Vec::<i64>::new());
        for at in (0..hours * HOUR_MS).step_by(usize::try_from(every_ms).unwrap()) {
            let last = out.last().copied().unwrap_or(-HOUR_MS);
            if policy.due_ms(paid, WallMs(last), WallMs(at)) == WallMs(at) {
                paid = Some(policy.stored(paid, WallMs(at)));
                out.push(at);
            }
        }
        out
    }

    fn policy(min_minutes: i64, per_hour_max: u32) -> Policy {
        Policy {
            min_interval_ms: (min_minutes * MINUTE_MS).cast_unsigned(),
            per_hour_max,
        }
    }

    #[test]
    fn how_many_versions_a_day_makes() {
        for (name, policy, every_ms, hours, versions) in [
            ("an office user", policy(0, 12), 5 * MINUTE_MS, 8, 96),
            (
                "one who saves all the time",
                policy(0, 12),
                MINUTE_MS,
                1,
                17,
            ),
            ("a database", policy(0, 12), 10_000, 8, 101),
            ("a database, no limit", policy(0, 0), 10_000, 1, 360),
            ("a mailbox once an hour", policy(60, 12), MINUTE_MS, 24, 24),
            ("an interval alone", policy(10, 0), 10_000, 1, 6),
            ("rarely", policy(60, 12), 2 * HOUR_MS, 24, 12),
        ] {
            let times = stored(policy, every_ms, hours);
            assert_eq!(times.len(), versions, "{name}: {times:?}");
            assert_eq!(times[0], 0, "{name}: the first at once");
        }
        let times = stored(policy(0, 12), MINUTE_MS, 1);
        assert_eq!(times[..7], [0, 1, 2, 3, 4, 5, 6].map(|m| m * MINUTE_MS));
        let gaps = times[7..].windows(2).map(|pair| pair[1] - pair[0]);
        assert!(gaps.into_iter().all(|gap| gap == 5 * MINUTE_MS));
    }

    #[test]
    fn a_clock_that_is_put_back_holds_nothing_up_for_long() {
        let policy = policy(60, 12);
        let paid = Some(Paid(WallMs(100 * HOUR_MS)));
        assert!(policy.due_ms(paid, WallMs(99 * HOUR_MS), WallMs(0)) <= WallMs(HOUR_MS));
        assert!(policy.stored(paid, WallMs(0)).0 <= WallMs(HOUR_MS));
        let paid_until = |ms| Paid(WallMs(ms)).is_over(WallMs(5));
        assert!(paid_until(5) && !paid_until(6));
    }

    #[test]
    fn a_file_that_is_saved_all_the_time_is_stored_soon_after_the_clock_was_put_back() {
        for (name, policy, back_ms) in [
            ("a day", policy(0, 12), 24 * HOUR_MS),
            ("a day, with an interval", policy(60, 12), 24 * HOUR_MS),
            ("summer time", policy(0, 12), HOUR_MS),
            ("a little", policy(0, 12), 3 * MINUTE_MS),
            ("a moment", policy(0, 1), 1),
        ] {
            let worn_out_ms = WallMs(1000 * HOUR_MS);
            let mut paid = None;
            while paid
                .is_none_or(|paid| policy.due_ms(Some(paid), WallMs(0), worn_out_ms) == worn_out_ms)
            {
                paid = Some(policy.stored(paid, worn_out_ms));
            }
            let from_ms = worn_out_ms - back_ms;
            let saves = (from_ms.0..).step_by(10_000).map(WallMs);
            let stored_ms = saves
                .take_while(|now_ms| *now_ms < worn_out_ms + 2 * HOUR_MS)
                .find(|now_ms| policy.due_ms(paid, worn_out_ms, *now_ms) == *now_ms);
            let waited_ms = stored_ms.unwrap() - from_ms;
            assert!(waited_ms <= policy.wait_max_ms(), "{name}: {waited_ms} ms");
        }
    }

    proptest! {
        #[test]
        fn nothing_waits_longer_than_the_most(
            min in any::<u64>(), per_hour in any::<u32>(), paid in any::<Option<i64>>(),
            last in any::<i64>(), now in any::<i64>(),
        ) {
            let policy = Policy { min_interval_ms: min, per_hour_max: per_hour };
            let (paid, last, now) = (paid.map(WallMs), WallMs(last), WallMs(now));
            let due = policy.due_ms(paid.map(Paid), last, now);
            prop_assert!(due >= now && due <= now + policy.wait_max_ms());
            prop_assert!(!policy.is_off() || due == now);
            let _ = policy.stored(paid.map(Paid), now);
        }
    }
}
