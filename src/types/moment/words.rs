//! A day and a time of day in words: `yesterday 18:00`, `last friday`, `14:30`.
//!
//! Pure. Words become a date and perhaps a time on the wall; what the clocks of a
//! zone make of that is the caller's business.

use jiff::Span;
use jiff::civil::{Date, Time, Weekday};

/// What somebody wrote, as far as a calendar can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WrittenMoment {
    pub(crate) day: DayWord,
    /// `None`: the day alone.
    pub(crate) time: Option<Time>,
}

/// Which day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DayWord {
    /// None was written.
    Unsaid,
    /// This one.
    On(Date),
    /// The latest day of that name, today among them.
    Named(Weekday),
}

/// Read it; `None` when it is nothing of the kind. `today` is the zone's.
pub(crate) fn read(text: &str, today: Date) -> Option<WrittenMoment> {
    let text = text.to_lowercase();
    let (day, rest) = day(&text, today)?;
    let rest = rest.trim_start_matches([',', ' ']);
    let rest = rest.strip_prefix("at ").unwrap_or(rest).trim();
    let time = match rest {
        "" => None,
        _ => Some(time(rest)?),
    };
    let says_something = day != DayWord::Unsaid || time.is_some();
    says_something.then_some(WrittenMoment { day, time })
}

/// The day at the text's beginning, and what follows.
fn day(text: &str, today: Date) -> Option<(DayWord, &str)> {
    if let Some((length, rest)) = text.split_once(" ago ") {
        return Some((DayWord::On(days_ago(length, today)?), rest));
    }
    if let Some(dated) = written_date(text, today) {
        return Some(dated);
    }
    let text = text.strip_prefix("on ").unwrap_or(text).trim_start();
    if let Some(dated) = written_date(text, today) {
        return Some(dated);
    }
    let (word, rest) = split(text);
    let before_today = |weekday| today.nth_weekday(-1, weekday).ok().map(DayWord::On);
    let day = match word {
        "today" => DayWord::On(today),
        "yesterday" => DayWord::On(today.yesterday().ok()?),
        "last" => {
            let (word, rest) = split(rest.trim_start());
            return Some((before_today(weekday(word)?)?, rest));
        }
        _ => match (weekday(word), date(word)) {
            (Some(weekday), _) if weekday == today.weekday() => DayWord::Named(weekday),
            (Some(weekday), _) => before_today(weekday)?,
            (None, Some(date)) => DayWord::On(date),
            _ => return Some((DayWord::Unsaid, text)),
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

/// A date with its numbers or its month's name as people write them: `24.11.2026`,
/// `24.11.`, `24/11/2026`, `Nov 24`, `24 November 2026`. Without a year it is the
/// latest such day that is not still to come.
fn written_date(text: &str, today: Date) -> Option<(DayWord, &str)> {
    let (first, rest) = split(text);
    if let Some(date) = of_numbers(first, today) {
        return Some((DayWord::On(date), rest));
    }
    let (second, behind) = split(rest.trim_start());
    let (number, name) = match month(first) {
        Some(name) => (second, name),
        None => (first, month(second)?),
    };
    let number = number.trim_end_matches(['.', ',']);
    let number = ["st", "nd", "rd", "th"]
        .iter()
        .find_map(|ending| number.strip_suffix(ending))
        .unwrap_or(number);
    let day = small(number)?;
    let (third, last) = split(behind.trim_start());
    let (year, rest) = match year(third) {
        Some(year) => (Some(year), last),
        None => (None, behind),
    };
    Some((DayWord::On(on(day, name, year, today)?), rest))
}

/// `24.11.2026` and `24.11.` (the day first, as with dots everywhere), and with
/// slashes where only one order makes a date: `24/11/2026`, `11/24/2026`.
fn of_numbers(word: &str, today: Date) -> Option<Date> {
    if word.contains('.') {
        let mut parts = word.split('.');
        let (day, month) = (small(parts.next()?)?, small(parts.next()?)?);
        let year = match (parts.next()?, parts.next()) {
            ("", None) => None,
            (text, None) => Some(year(text)?),
            _ => return None,
        };
        return on(day, month, year, today);
    }
    let mut parts = word.split('/');
    let (one, other) = (small(parts.next()?)?, small(parts.next()?)?);
    let year = year(parts.next()?)?;
    let is_day = |number: i8| number > 12;
    let (day, month) = match (is_day(one), is_day(other)) {
        (true, false) => (one, other),
        (false, true) => (other, one),
        _ if one == other => (one, other),
        // Either could be the day: nobody guesses.
        _ => return None,
    };
    let whole = parts.next().is_none();
    whole.then(|| on(day, month, Some(year), today))?
}

fn small(text: &str) -> Option<i8> {
    let is_it = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_it.then(|| text.parse().ok())?
}

fn year(text: &str) -> Option<i16> {
    let is_it = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_it.then(|| text.parse().ok())?
}

/// The day in that year, or the last time that it was.
fn on(day: i8, month: i8, year: Option<i16>, today: Date) -> Option<Date> {
    match year {
        Some(year) => Date::new(year, month, day).ok(),
        // The 29th of February was up to eight years ago.
        None => (0..=8)
            .filter_map(|years| Date::new(today.year() - years, month, day).ok())
            .find(|date| *date <= today),
    }
}

fn month(word: &str) -> Option<i8> {
    const NAMES: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let word = word.trim_end_matches('.');
    let is_it = |name: &&str| word.len() >= 3 && name.starts_with(word);
    let place = NAMES.iter().position(is_it)?;
    i8::try_from(place + 1).ok()
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
pub(crate) fn with_number(length: &str) -> String {
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
