//! Validates single values: names, numbers, times, patterns.
//! Pure: no disk, no clock.

use super::problem::{Problem, shown};
use super::problems::nearest;
use crate::types::is_hidden;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use std::ops::RangeInclusive;

/// A name is for people and for `--source`; longer ones are sentences.
const NAME_CHARS_MAX: usize = 64;

/// The name of a source.
pub(super) fn name(text: &str) -> Result<String, Problem> {
    let remedy = "give it a short name for messages and commands, like \"documents\"";
    if text.trim().is_empty() {
        return Err(Problem::new("the name is empty", remedy));
    }
    if text.chars().any(is_hidden) || text.trim() != text {
        return Err(Problem::new(
            format!(
                "the name {} has invisible characters or spaces at its ends",
                shown(text)
            ),
            remedy,
        ));
    }
    if text.chars().count() > NAME_CHARS_MAX {
        return Err(Problem::new(
            format!(
                "the name {} has more than {NAME_CHARS_MAX} characters",
                shown(text)
            ),
            remedy,
        ));
    }
    Ok(text.to_owned())
}

/// A length of time with its unit, as milliseconds.
pub(super) fn duration_ms(
    text: &str,
    range_ms: RangeInclusive<u64>,
    in_words: &str,
) -> Result<u64, Problem> {
    let remedy =
        format!("write a number with its unit, like \"30s\", \"30m\" or \"2h\": {in_words}");
    let Ok(span) = text.trim().parse::<jiff::SignedDuration>() else {
        return Err(Problem::new(
            format!("{} is not a length of time", shown(text)),
            remedy,
        ));
    };
    match u64::try_from(span.as_millis()) {
        Ok(ms) if range_ms.contains(&ms) => Ok(ms),
        _ => Err(Problem::new(
            format!("{} is out of range", shown(text)),
            remedy,
        )),
    }
}

/// A time of day as `HH:MM`.
pub(super) fn time_of_day(text: &str) -> Result<Time, Problem> {
    let parsed = text.split_once(':').and_then(|(hour, minute)| {
        let digits = |part: &str, most: usize| {
            let fits = (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            fits.then(|| part.parse::<i8>().ok()).flatten()
        };
        let minute = (minute.len() == 2).then(|| digits(minute, 2)).flatten()?;
        Time::new(digits(hour, 2)?, minute, 0, 0).ok()
    });
    parsed.ok_or_else(|| {
        Problem::new(
            format!("{} is not a time of day", shown(text)),
            "write hours and minutes from \"00:00\" to \"23:59\", like \"02:00\"",
        )
    })
}

/// A time zone by its IANA name.
pub(super) fn time_zone(text: &str) -> Result<TimeZone, Problem> {
    // jiff also takes POSIX rules and paths; a misspelt name must not pass as one.
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '+');
    if !text.is_empty()
        && text.chars().all(is_name)
        && let Ok(zone) = TimeZone::get(text)
    {
        return Ok(zone);
    }
    let known: Vec<String> = jiff::tz::db()
        .available()
        .map(|name| name.to_string())
        .collect();
    let remedy = match nearest(text, known.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean \"{meant}\"?"),
        None if known.is_empty() => {
            "install the system's time zone data (package tzdata), or leave it out".to_owned()
        }
        None => "write a name like \"Europe/Berlin\", or leave it out to use the computer's own"
            .to_owned(),
    };
    Err(Problem::new(
        format!(
            "the time zone {} is not known on this computer",
            shown(text)
        ),
        remedy,
    ))
}

/// A whole number in a range that has a reason.
pub(super) fn number(value: i64, range: RangeInclusive<u64>, why: &str) -> Result<u64, Problem> {
    match u64::try_from(value) {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(Problem::new(
            format!("{value} is out of range: {why}"),
            format!("choose a number from {} to {}", range.start(), range.end()),
        )),
    }
}

/// One gitignore pattern.
pub(super) fn pattern(text: &str) -> Result<(), Problem> {
    let remedy = "write a gitignore pattern like \"*.tmp\", \"/Scans/\" or \"**/cache/**\"";
    let fault = if text.trim().is_empty() {
        Some("is empty and matches nothing".to_owned())
    } else if text.starts_with('#') {
        Some("is a comment and matches nothing (for a name that begins with # write \\#)".into())
    } else if text.chars().any(is_hidden) {
        Some("has control or invisible characters in it".into())
    } else if ends_in_blank(text) {
        return Err(Problem::new(
            format!(
                "{} has a blank at its end, which does not count",
                shown(text)
            ),
            format!(
                "write \"{0}\" (for a name that ends in a blank write '{0}\\ ')",
                text.trim_end()
            ),
        ));
    } else {
        let mut rules = ignore::gitignore::GitignoreBuilder::new("");
        match rules.add_line(None, text) {
            Ok(rules) => rules
                .build()
                .err()
                .map(|error| format!("is not a pattern: {error}")),
            Err(error) => Some(format!("is not a pattern: {error}")),
        }
    };
    match fault {
        None => Ok(()),
        Some(fault) => Err(Problem::new(format!("{} {fault}", shown(text)), remedy)),
    }
}

fn ends_in_blank(text: &str) -> bool {
    text.ends_with(char::is_whitespace) && !text.trim_end().ends_with('\\')
}

/// A log level, or a filter of `target=level` parts.
pub(super) fn log_level(text: &str) -> Result<String, Problem> {
    const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
    let plain = text.trim().to_lowercase();
    if LEVELS.contains(&plain.as_str()) {
        return Ok(plain);
    }
    // A single word would be read as the name of a module, and a typo would pass.
    let is_filter = text.contains('=')
        && text
            .split(',')
            .all(|part| part.contains('=') || LEVELS.contains(&part.trim()))
        && tracing_subscriber::EnvFilter::builder().parse(text).is_ok();
    if is_filter {
        return Ok(text.trim().to_owned());
    }
    let remedy = match nearest(text, LEVELS) {
        Some(meant) => format!("did you mean \"{meant}\"?"),
        None => {
            "write error, warn, info, debug or trace, or a filter like \"info,keepwatch::s3=debug\""
                .into()
        }
    };
    Err(Problem::new(
        format!("{} is not a log level", shown(text)),
        remedy,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit_and_a_sensible_size() {
        let check = |text| duration_ms(text, 1_000..=600_000, "1s to 10m").ok();
        for (text, ms) in [
            ("30s", Some(30_000)),
            ("1m 30s", Some(90_000)),
            (" 10m ", Some(600_000)),
            ("1s", Some(1_000)),
            ("999ms", None),
            ("11m", None),
            ("-5s", None),
            ("30", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(check(text), ms, "{text}");
        }
    }

    #[test]
    fn times_of_day_are_hours_and_minutes() {
        for (text, at) in [
            ("02:00", Some((2, 0))),
            ("2:05", Some((2, 5))),
            ("23:59", Some((23, 59))),
            ("24:00", None),
            ("02:60", None),
            ("2:5", None),
            ("02:00:00", None),
            ("-2:00", None),
            ("2", None),
        ] {
            let found = time_of_day(text)
                .ok()
                .map(|time| (time.hour(), time.minute()));
            assert_eq!(found, at, "{text}");
        }
    }

    #[test]
    fn zones_are_names_that_are_known() {
        assert!(time_zone("UTC").is_ok());
        for bad in [
            "",
            "Europe/Bärlin",
            "CET-1CEST,M3.5.0,M10.5.0/3",
            "../etc/passwd",
        ] {
            assert!(time_zone(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn patterns_that_match_nothing_are_refused() {
        for good in [
            "*.csv",
            "!keep.tmp",
            "/Scans/",
            "a\\ b",
            "\\#name",
            "\\!name",
            "**/x",
            "[ab].txt",
        ] {
            assert!(pattern(good).is_ok(), "{good}");
        }
        for bad in ["", " ", "# old", "a ", "a\nb", "[z-a]"] {
            assert!(pattern(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_misspelt_level_is_not_taken_for_a_module() {
        for good in [
            "info",
            "DEBUG",
            "off",
            "info,keepwatch::s3=debug",
            "keepwatch=trace",
        ] {
            assert!(log_level(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "infoo",
            "verbose",
            "keepwatch=loud",
            "infoo,keepwatch=debug",
        ] {
            assert!(log_level(bad).is_err(), "{bad}");
        }
    }
}
