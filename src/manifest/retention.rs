//! Which manifests stay: dense where people look, sparse where they rarely do.
//!
//! Pure. It never gives up the newest one, and what it gives up is marked as
//! deleted by the caller: the versions stay in the bucket. A clock alone makes
//! nothing old: there must also be younger manifests of as many days.

use crate::types::WallMs;
use jiff::tz::TimeZone;
use std::collections::BTreeSet;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// All of these days stay, but one an hour: somebody may ask for a comparison
/// every minute, and each manifest names every file.
const ALL_OF_MS: i64 = 14 * DAY_MS;

/// Of the last day even those stay.
const EVERY_ONE_OF_MS: i64 = DAY_MS;

/// After that one a week for a year, then one a month.
const WEEKLY_FOR_MS: i64 = 366 * DAY_MS;

/// Days with a younger manifest that there are before one is given up for its week.
const YOUNGER_DAYS_MIN: usize = 14;

/// Weeks with a younger manifest before one is given up for its month: a year, less
/// what a computer may be off in it.
const YOUNGER_WEEKS_MIN: usize = 48;

/// What a moment is kept for: the newest of each span stays.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Span {
    Itself(WallMs),
    Hour(i64),
    Week(i64),
    Month(i16, i8),
}

/// The moments (milliseconds since 1970) that a later one stands for by now.
pub fn superseded(moments_ms: &[WallMs], now_ms: WallMs) -> Vec<WallMs> {
    let mut newest_first = moments_ms.to_vec();
    newest_first.sort_unstable_by(|a, b| b.cmp(a));
    let (mut spans, mut younger) = (BTreeSet::new(), Younger::default());
    newest_first.retain(|moment_ms| {
        let is_superseded = !spans.insert(span(*moment_ms, now_ms, &younger));
        younger.count(*moment_ms, now_ms);
        is_superseded
    });
    newest_first
}

/// On how many days, and in how many weeks, there is a younger one. A clock that is
/// ahead makes all of them look old, but it makes no younger ones.
#[derive(Debug, Default)]
struct Younger {
    days: BTreeSet<i64>,
    weeks: BTreeSet<i64>,
}

impl Younger {
    fn count(&mut self, moment_ms: WallMs, now_ms: WallMs) {
        // What is said to be still to come was written by a clock that was wrong.
        if moment_ms <= now_ms {
            self.days.insert(moment_ms.0.div_euclid(DAY_MS));
            self.weeks.insert(moment_ms.0.div_euclid(7 * DAY_MS));
        }
    }
}

fn span(moment_ms: WallMs, now_ms: WallMs, younger: &Younger) -> Span {
    let age_ms = now_ms - moment_ms;
    // A day on which nothing younger was written may not have passed at all.
    if age_ms <= EVERY_ONE_OF_MS || younger.days.is_empty() {
        return Span::Itself(moment_ms);
    }
    if age_ms <= ALL_OF_MS || younger.days.len() < YOUNGER_DAYS_MIN {
        return Span::Hour(moment_ms.0.div_euclid(HOUR_MS));
    }
    if age_ms <= WEEKLY_FOR_MS || younger.weeks.len() < YOUNGER_WEEKS_MIN {
        return Span::Week(moment_ms.0.div_euclid(7 * DAY_MS));
    }
    let at = moment_ms.timestamp().unwrap_or_default();
    let day = TimeZone::UTC.to_datetime(at).date();
    Span::Month(day.year(), day.month())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: WallMs = WallMs(1_795_399_214_123);

    /// How many of these ages (in hours) stay.
    fn stay(ages_h: &[f64]) -> usize {
        let moments: Vec<WallMs> = ages_h
            .iter()
            .map(|age_h| NOW - (age_h * HOUR_MS as f64) as i64)
            .collect();
        moments.len() - superseded(&moments, NOW).len()
    }

    #[test]
    fn dense_first_then_a_week_then_a_month() {
        let every = |step_h: f64, count: u32| (0..count).map(|n| f64::from(n) * step_h).collect();
        let cases: [(&str, Vec<f64>, _); 6] = [
            ("fourteen days, daily", every(24.0, 14), 14..=14),
            ("one alone", vec![90_000.0], 1..=1),
            ("none", vec![], 0..=0),
            ("a year, daily", every(24.0, 365), 64..=67),
            ("ten years, daily", every(24.0, 3650), 170..=178),
            ("two days, four an hour", every(0.25, 192), 120..=122),
        ];
        for (name, ages_h, want) in cases {
            let got = stay(&ages_h);
            assert!(want.contains(&got), "{name}: {got}");
        }
    }

    #[test]
    fn thinned_every_day_it_comes_to_the_same_and_the_newest_stays() {
        let mut kept: Vec<WallMs> = Vec::new();
        for day in 0..1_000 {
            let now_ms = NOW + day * DAY_MS;
            kept.push(now_ms);
            let gone = superseded(&kept, now_ms);
            assert!(!gone.contains(&now_ms));
            kept.retain(|moment| !gone.contains(moment));
            assert!(kept.len() <= 16 + 54 + 34, "{} on day {day}", kept.len());
        }
        // Nothing is further from a kept one than its span is long.
        kept.sort_unstable();
        let gaps = kept.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(gaps.max().unwrap() <= 62 * DAY_MS);
    }

    #[test]
    fn a_clock_that_was_ahead_gives_nothing_up_wrongly() {
        let ahead = NOW + 400 * DAY_MS;
        assert!(superseded(&[NOW, ahead], NOW).is_empty());
        // Fifteen daily ones, and one written while the clock was ahead.
        let daily: Vec<WallMs> = (0..15).map(|day| NOW - day * DAY_MS).collect();
        for ahead_days in [1, 2, 20, 400, 4_000] {
            let ahead_ms = NOW + ahead_days * DAY_MS;
            let all = [daily.clone(), vec![ahead_ms]].concat();
            // The clock is still ahead, and is right again.
            for now_ms in [ahead_ms, NOW + DAY_MS / 2] {
                // No more than on any day: the oldest one goes into its week.
                let gone = superseded(&all, now_ms);
                assert!(gone.len() <= 1, "{ahead_days} days: {gone:?}");
                assert!(gone.iter().all(|ms| *ms <= NOW - 13 * DAY_MS));
            }
        }
    }

    #[test]
    fn a_clock_that_stays_ahead_thins_as_the_days_pass() {
        let year_ms = 400 * DAY_MS;
        let mut kept: Vec<WallMs> = (0..14).map(|day| NOW - day * DAY_MS).collect();
        for day in 1..=40 {
            let now_ms = NOW + year_ms + day * DAY_MS;
            kept.push(now_ms);
            let gone = superseded(&kept, now_ms);
            kept.retain(|moment| !gone.contains(moment));
            let older = kept.iter().filter(|ms| **ms <= NOW).count() as i64;
            assert!(older >= 14 - day, "{older} on day {day}");
        }
        assert!(kept.len() < 14 + 8 + 4, "{}", kept.len());
    }
}
