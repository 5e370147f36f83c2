//! Which manifests stay: dense where people look, sparse where they rarely do.
//!
//! Pure. It never gives up the newest one, and what it gives up is marked as
//! deleted by the caller: the versions stay in the bucket.

use jiff::Timestamp;
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

/// What a moment is kept for: the newest of each span stays.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Span {
    Itself(i64),
    Hour(i64),
    Week(i64),
    Month(i16, i8),
}

/// The moments (milliseconds since 1970) that a later one stands for by now.
pub fn superseded(moments_ms: &[i64], now_ms: i64) -> Vec<i64> {
    let mut newest_first = moments_ms.to_vec();
    newest_first.sort_unstable_by(|a, b| b.cmp(a));
    let mut spans = BTreeSet::new();
    newest_first.retain(|moment_ms| !spans.insert(span(*moment_ms, now_ms)));
    newest_first
}

fn span(moment_ms: i64, now_ms: i64) -> Span {
    let age_ms = now_ms.saturating_sub(moment_ms);
    if age_ms <= EVERY_ONE_OF_MS {
        return Span::Itself(moment_ms);
    }
    if age_ms <= ALL_OF_MS {
        return Span::Hour(moment_ms.div_euclid(HOUR_MS));
    }
    if age_ms <= WEEKLY_FOR_MS {
        return Span::Week(moment_ms.div_euclid(7 * DAY_MS));
    }
    let at = Timestamp::from_millisecond(moment_ms).unwrap_or_default();
    let day = TimeZone::UTC.to_datetime(at).date();
    Span::Month(day.year(), day.month())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_399_214_123;

    /// How many of these ages (in hours) stay.
    fn stay(ages_h: &[f64]) -> usize {
        let moments: Vec<i64> = ages_h
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
        let mut kept: Vec<i64> = Vec::new();
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
    }
}
