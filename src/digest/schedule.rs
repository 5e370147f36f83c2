//! When the daily job runs: once per civil day, at a wall-clock time.
//!
//! The digest task asks it whenever it wakes. It never reads the clock, never
//! sleeps, and never lets one day run twice or a missed day pass unnoticed.

use jiff::civil::{Date, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan as _};

/// A last run that lies further ahead than this was noted by a clock that was
/// wrong by more than a day. Waiting for such a date could silence the digest
/// for years, so it counts as unknown. Shorter steps back (a corrected clock)
/// hide at most one run, which has in truth happened.
const LAST_RUN_AHEAD_MAX: SignedDuration = SignedDuration::from_hours(26);

/// Days that are looked at on either side of today. Two suffice everywhere:
/// one because a gap at midnight moves a run into the next day, one because a
/// zone that crossed the date line has skipped a whole day.
const DAYS_AROUND: i64 = 3;

/// A gap has one transition; a few more are looked at because a zone may note
/// transitions that move nothing.
const TRANSITIONS_MAX: usize = 4;

/// What [`next_run`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Run at once. After several missed days this comes once, not once a day.
    Now {
        /// The moment it should have run, at most a day or so ago.
        scheduled: Timestamp,
    },
    /// Nothing to do before this moment.
    ///
    /// Do not sleep until then in one go: computers sleep and clocks are set.
    /// Ask again every minute or so.
    At(Timestamp),
}

/// What to remember as the last run before asking [`next_run`].
///
/// A schedule that has never run starts to count now, and so does one whose
/// last run lies in an impossible future. Store the answer when it differs:
/// without it a first run would be put off for ever.
pub fn remember(last_run: Option<Timestamp>, now: Timestamp) -> Timestamp {
    known(last_run, now).unwrap_or(now)
}

/// Whether the daily job is due, and if not, when.
///
/// A wall time that daylight saving skips runs at the first instant after the
/// gap, one that it repeats runs once, at its first passing. A run that was
/// missed (computer off or asleep) is due now. `last_run` is when the job last
/// began, or what [`remember`] gave; `None` waits for the next time.
pub fn next_run(
    digest_at: Time,
    zone: &TimeZone,
    now: Timestamp,
    last_run: Option<Timestamp>,
) -> Due {
    let last_run = known(last_run, now);
    let today = zone.to_datetime(now).date();
    let runs = (-DAYS_AROUND..=DAYS_AROUND)
        .filter_map(|days| today.checked_add(days.days()).ok())
        .filter_map(|date| run_of(date, digest_at, zone));

    let mut latest = None;
    let mut next = None;
    // A run that was noted a little ahead of the present is not waited for again.
    let after = last_run.map_or(now, |last| last.max(now));
    for run in runs {
        if run <= now {
            latest = latest.max(Some(run));
        } else if run > after {
            next = Some(next.map_or(run, |earliest: Timestamp| earliest.min(run)));
        }
    }
    match (latest, last_run) {
        (Some(scheduled), Some(last)) if scheduled > last => Due::Now { scheduled },
        _ => Due::At(next.unwrap_or(Timestamp::MAX)),
    }
}

/// The last run, unless the clock that noted it was wrong by more than a day.
fn known(last_run: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    last_run.filter(|last| last.duration_since(now) <= LAST_RUN_AHEAD_MAX)
}

/// The one instant at which that day's run is due; `None` for a day that the
/// zone skipped altogether (crossing the date line).
fn run_of(date: Date, digest_at: Time, zone: &TimeZone) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(date.to_datetime(digest_at));
    let AmbiguousOffset::Gap { after, .. } = ambiguous.offset() else {
        // The first passing of a repeated time; the only one of any other.
        return ambiguous.earlier().ok();
    };
    let gap_end = zone
        .following(ambiguous.earlier().ok()?)
        .take(TRANSITIONS_MAX)
        .map(|transition| transition.timestamp())
        .find(|instant| zone.to_offset(*instant) == after)?;
    let day_exists = zone
        .to_ambiguous_timestamp(date.to_datetime(Time::midnight()))
        .compatible()
        .is_ok_and(|midnight| zone.to_datetime(midnight).date() == date);
    day_exists.then_some(gap_end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn time(text: &str) -> Time {
        text.parse().unwrap()
    }

    /// `next_run` with everything as text; the answer as text too.
    fn due(place: &str, digest_at: &str, now: &str, last: &str) -> String {
        let last = (!last.is_empty()).then(|| at(last));
        match next_run(time(digest_at), &zone(place), at(now), last) {
            Due::Now { scheduled } => format!("now {scheduled}"),
            Due::At(next) => format!("at {next}"),
        }
    }

    #[test]
    fn ordinary_days() {
        let table = [
            // first start: wait for the next time, today's or tomorrow's
            (
                "02:30",
                "2026-11-23T00:00:00Z",
                "",
                "at 2026-11-23T01:30:00Z",
            ),
            (
                "02:30",
                "2026-11-23T09:00:00Z",
                "",
                "at 2026-11-24T01:30:00Z",
            ),
            // the moment itself, just before it and just after
            (
                "02:30",
                "2026-11-23T01:30:00Z",
                "2026-11-22T01:30:00Z",
                "now 2026-11-23T01:30:00Z",
            ),
            (
                "02:30",
                "2026-11-23T01:29:59.9Z",
                "2026-11-22T01:30:00Z",
                "at 2026-11-23T01:30:00Z",
            ),
            (
                "02:30",
                "2026-11-23T01:30:00Z",
                "2026-11-23T01:30:00Z",
                "at 2026-11-24T01:30:00Z",
            ),
            // asleep at the time, and off for a month: due once
            (
                "02:30",
                "2026-11-23T08:00:00Z",
                "2026-11-22T01:30:09Z",
                "now 2026-11-23T01:30:00Z",
            ),
            (
                "02:30",
                "2026-11-23T08:00:00Z",
                "2026-10-20T01:30:09Z",
                "now 2026-11-23T01:30:00Z",
            ),
            (
                "02:30",
                "2026-11-23T08:00:01Z",
                "2026-11-23T08:00:00Z",
                "at 2026-11-24T01:30:00Z",
            ),
            // a missed run made up just before the next one does not replace it
            (
                "02:30",
                "2026-11-23T01:30:00Z",
                "2026-11-23T01:29:00Z",
                "now 2026-11-23T01:30:00Z",
            ),
            // the year's end
            (
                "00:00",
                "2026-12-31T22:59:59Z",
                "2026-12-31T00:00:00Z",
                "at 2026-12-31T23:00:00Z",
            ),
            (
                "00:00",
                "2026-12-31T23:00:00Z",
                "2026-12-31T00:00:00Z",
                "now 2026-12-31T23:00:00Z",
            ),
            (
                "23:59",
                "2027-01-01T10:00:00Z",
                "2026-12-30T23:00:00Z",
                "now 2026-12-31T22:59:00Z",
            ),
        ];
        for (digest_at, now, last, expected) in table {
            assert_eq!(
                due("Europe/Berlin", digest_at, now, last),
                expected,
                "{now}"
            );
        }
    }

    #[test]
    fn daylight_saving_and_odd_zones() {
        let table = [
            // Berlin, 02:30 skipped: 03:00 summer time, the first instant there is
            (
                "Europe/Berlin",
                "02:30",
                "2026-03-28T20:00:00Z",
                "2026-03-28T01:30:00Z",
                "at 2026-03-29T01:00:00Z",
            ),
            (
                "Europe/Berlin",
                "02:30",
                "2026-03-29T01:00:00Z",
                "2026-03-28T01:30:00Z",
                "now 2026-03-29T01:00:00Z",
            ),
            (
                "Europe/Berlin",
                "02:30",
                "2026-03-29T01:00:01Z",
                "2026-03-29T01:00:00Z",
                "at 2026-03-30T00:30:00Z",
            ),
            // Berlin, 02:30 twice: the first only
            (
                "Europe/Berlin",
                "02:30",
                "2026-10-25T00:00:00Z",
                "2026-10-24T00:30:00Z",
                "at 2026-10-25T00:30:00Z",
            ),
            (
                "Europe/Berlin",
                "02:30",
                "2026-10-25T00:30:00Z",
                "2026-10-24T00:30:00Z",
                "now 2026-10-25T00:30:00Z",
            ),
            (
                "Europe/Berlin",
                "02:30",
                "2026-10-25T01:30:00Z",
                "2026-10-25T00:30:00Z",
                "at 2026-10-26T01:30:00Z",
            ),
            // half and quarter hours
            (
                "Asia/Kolkata",
                "02:30",
                "2026-11-22T21:00:00Z",
                "2026-11-21T21:00:00Z",
                "now 2026-11-22T21:00:00Z",
            ),
            (
                "Asia/Kathmandu",
                "02:30",
                "2026-11-22T20:00:00Z",
                "2026-11-21T20:45:00Z",
                "at 2026-11-22T20:45:00Z",
            ),
            // Lord Howe: summer time is half an hour; 02:15 skipped, 01:45 twice
            (
                "Australia/Lord_Howe",
                "02:15",
                "2026-10-03T12:00:00Z",
                "2026-10-02T15:45:00Z",
                "at 2026-10-03T15:30:00Z",
            ),
            (
                "Australia/Lord_Howe",
                "01:45",
                "2026-04-04T14:50:00Z",
                "2026-04-04T14:45:00Z",
                "at 2026-04-05T15:15:00Z",
            ),
            // Nuuk: the hour before midnight is skipped, so the run falls on the next date
            (
                "America/Nuuk",
                "23:30",
                "2026-03-28T20:00:00Z",
                "2026-03-28T01:30:00Z",
                "at 2026-03-29T01:00:00Z",
            ),
            (
                "America/Nuuk",
                "23:30",
                "2026-03-29T01:00:01Z",
                "2026-03-29T01:00:00Z",
                "at 2026-03-30T00:30:00Z",
            ),
            // Apia: 30 December 2011 never was, so it owes no run
            (
                "Pacific/Apia",
                "02:30",
                "2011-12-30T00:00:00Z",
                "2011-12-29T12:30:00Z",
                "at 2011-12-30T12:30:00Z",
            ),
            (
                "Pacific/Apia",
                "02:30",
                "2011-12-30T12:29:00Z",
                "2011-12-29T12:30:00Z",
                "at 2011-12-30T12:30:00Z",
            ),
        ];
        for (place, digest_at, now, last, expected) in table {
            assert_eq!(due(place, digest_at, now, last), expected, "{place} {now}");
        }
    }

    #[test]
    fn a_clock_that_goes_back_runs_nothing_twice() {
        // An hour back over the run: not due again, and not waited for again.
        assert_eq!(
            due(
                "Europe/Berlin",
                "02:30",
                "2026-11-23T01:00:00Z",
                "2026-11-23T01:30:05Z"
            ),
            "at 2026-11-24T01:30:00Z"
        );
        // A clock that was a year ahead must not silence the digest for a year.
        let (now, wrong) = (at("2026-11-23T12:00:00Z"), at("2027-11-23T01:30:00Z"));
        assert_eq!(remember(Some(wrong), now), now);
        assert_eq!(
            due(
                "Europe/Berlin",
                "02:30",
                "2026-11-23T12:00:00Z",
                "2027-11-23T01:30:00Z"
            ),
            "at 2026-11-24T01:30:00Z"
        );
    }

    #[test]
    fn the_ends_of_time_are_survived() {
        for now in [Timestamp::MIN, Timestamp::MAX] {
            let due = next_run(time("02:30"), &zone("Europe/Berlin"), now, None);
            assert!(matches!(due, Due::At(_)), "{due:?}");
        }
    }

    const ZONES: [&str; 7] = [
        "Europe/Berlin",
        "America/New_York",
        "America/Nuuk",
        "Asia/Kolkata",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "UTC",
    ];

    proptest! {
        /// The daemon's loop: ask, run when due, remember. Whatever the steps
        /// between two questions, no day runs twice; while no step is longer
        /// than a few hours every day runs.
        #[test]
        fn every_day_runs_exactly_once(
            place in proptest::sample::select(&ZONES[..]),
            minute_of_day in 0i8..=95,
            start_s in 1_767_225_600i64..1_800_000_000,
            steps_s in proptest::collection::vec(1i64..20_000, 50..200),
        ) {
            let zone = zone(place);
            let digest_at = Time::new(minute_of_day / 4, minute_of_day % 4 * 15, 0, 0).unwrap();
            let start = Timestamp::from_second(start_s).unwrap();
            let mut now = start;
            let mut last = None;
            let mut runs: BTreeMap<Timestamp, u32> = BTreeMap::new();
            for step_s in steps_s {
                last = Some(remember(last, now));
                match next_run(digest_at, &zone, now, last) {
                    Due::Now { scheduled } => {
                        prop_assert!(scheduled <= now);
                        *runs.entry(scheduled).or_default() += 1;
                        last = Some(now);
                    }
                    Due::At(next) => prop_assert!(next > now),
                }
                now += SignedDuration::from_secs(step_s);
            }
            prop_assert!(runs.values().all(|count| *count == 1), "{runs:?}");
            let days = now.duration_since(start).as_hours() / 24;
            let count = i64::try_from(runs.len()).unwrap();
            prop_assert!((days - 1..=days + 1).contains(&count), "{count} runs in {days} days");
        }
    }
}
