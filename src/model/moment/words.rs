//! A day and a time of day in words: `yesterday 18:00`, `last friday`, `14:30`.
//!
//! Pure. Words become a date and perhaps a time on the wall; what the clocks of a
//! zone make of that is the caller's business.

use jiff::Span;
use jiff::civil::{Date, Time, Weekday};

/// What somebody wrote, as far as a calendar can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) day: Day,
    /// `None`: the day alone.
    pub(super) time: Option<Time>,
}

/// Which day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Day {
    /// None was written.
    Unsaid,
    /// This one.
    On(Date),
    /// The latest day of that name, today among them.
    Named(Weekday),
}

/// Read it; `None` when it is nothing of the kind. `today` is the zone's.
pub(super) fn read(text: &str, today: Date) -> Option<Written> {
    let text = text.to_lowercase();
    let (day, rest) = day(&text, today)?;
    let rest = rest.trim_start_matches([',', ' ']);
    let rest = rest.strip_prefix("at ").unwrap_or(rest).trim();
    let time = match rest {
        "" => None,
        _ => Some(time(rest)?),
    };
    let says_something = day != Day::Unsaid || time.is_some();
    says_something.then_some(Written { day, time })
}

/// The day at the text's beginning, and what follows.
fn day(text: &str, today: Date) -> Option<(Day, &str)> {
    if let Some((length, rest)) = text.split_once(" ago ") {
        return Some((Day::On(days_ago(length, today)?), rest));
    }
    let (word, rest) = split(text);
    let before_today = |weekday| today.nth_weekday(-1, weekday).ok().map(Day::On);
    let day = match word {
        "today" => Day::On(today),
        "yesterday" => Day::On(today.yesterday().ok()?),
        "last" => {
            let (word, rest) = split(rest.trim_start());
            return Some((before_today(weekday(word)?)?, rest));
        }
        _ => match (weekday(word), date(word)) {
            (Some(weekday), _) if weekday == today.weekday() => Day::Named(weekday),
            (Some(weekday), _) => before_today(weekday)?,
            (None, Some(date)) => Day::On(date),
            _ => return Some((Day::Unsaid, text)),
        },
    };
    Some((day, rest))
}

/// `2026-11-20`, and no more: the parser passes over a time that follows.
fn date(word: &str) -> Option<Date> {
    let is_date = word.len() >= "20260101".len()
        && word
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-');
    is_date.then(|| word.parse().ok())?
}

/// The first word, without a comma behind it, and the rest.
fn split(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    (word.trim_end_matches(','), rest)
}

/// `3 days`, `a week`: whole days alone, since a time of day follows.
fn days_ago(length: &str, today: Date) -> Option<Date> {
    let span: Span = with_number(length).parse().ok()?;
    let has_hours = span.get_hours() != 0
        || span.get_minutes() != 0
        || span.get_seconds() != 0
        || span.get_milliseconds() != 0
        || span.get_microseconds() != 0
        || span.get_nanoseconds() != 0;
    (!has_hours && !span.is_negative()).then(|| today.checked_sub(span).ok())?
}

/// `an hour` as `1 hour`.
pub(super) fn with_number(length: &str) -> String {
    let length = length.trim();
    let after = |article| length.strip_prefix(article);
    match after("an ").or_else(|| after("a ")) {
        Some(unit) => format!("1 {unit}"),
        None => length.to_owned(),
    }
}

fn weekday(word: &str) -> Option<Weekday> {
    const NAMES: [(&str, Weekday); 7] = [
        ("monday", Weekday::Monday),
        ("tuesday", Weekday::Tuesday),
        ("wednesday", Weekday::Wednesday),
        ("thursday", Weekday::Thursday),
        ("friday", Weekday::Friday),
        ("saturday", Weekday::Saturday),
        ("sunday", Weekday::Sunday),
    ];
    // `mon`, `tues` and the like, but no single letters.
    let is_it = |name: &str| word.len() >= 3 && name.starts_with(word);
    let named = NAMES.iter().find(|(name, _)| is_it(name));
    named.map(|(_, weekday)| *weekday)
}

/// `14:30`, `9:00:15`, `9:30 pm`, `6pm`.
fn time(text: &str) -> Option<Time> {
    let half = |suffix: &str| text.strip_suffix(suffix).map(str::trim_end);
    let (clock, afternoon) = match (half("am"), half("pm")) {
        (Some(clock), _) => (clock, Some(false)),
        (_, Some(clock)) => (clock, Some(true)),
        _ => (text, None),
    };
    let mut numbers = Vec::new();
    for (place, part) in clock.split(':').enumerate() {
        let digits = part.len();
        let has_length = if place == 0 {
            (1..=2).contains(&digits)
        } else {
            digits == 2
        };
        if !has_length || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        numbers.push(part.parse::<i8>().ok()?);
    }
    let (hour, minute, second) = match (numbers.as_slice(), afternoon) {
        ([hour], Some(_)) => (*hour, 0, 0),
        ([hour, minute], _) => (*hour, *minute, 0),
        ([hour, minute, second], _) => (*hour, *minute, *second),
        _ => return None,
    };
    let hour = match (hour, afternoon) {
        (_, None) => hour,
        // Twelve comes before one.
        (1..=12, Some(afternoon)) => hour % 12 + if afternoon { 12 } else { 0 },
        (_, Some(_)) => return None,
    };
    Time::new(hour, minute, second, 0).ok()
}
