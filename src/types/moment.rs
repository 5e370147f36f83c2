//! A moment as people write it: `2026-11-20 14:30`, `yesterday 18:00`, `2 hours ago`.
//!
//! Pure: the clock and the time zone come in as arguments. It never guesses: a
//! time that the zone has twice, or not at all, or that is still to come today,
//! is refused with what to write instead.

mod words;

use super::fatal::Fatal;
use super::instant::WallMs;
use super::one_line::is_hidden;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, Timestamp, ZonedDateTime};
use words::{DayWord, WrittenMoment};

/// What may be written, for every refusal.
const EXAMPLES: &str = "write it like \"2026-11-20 14:30\", \"2026-11-20\" (the end of that day), \"yesterday 18:00\", \"last friday\", \"monday 9:00\", \"20.11.2026 14:30\", \"Nov 20\", \"14:30\", \"2 hours ago\" or \"2026-11-20T14:30:00+01:00\"";

/// A longer text is no time; it is not repeated in full.
const TEXT_CHARS_SHOWN_MAX: usize = 60;

/// A moment and how it was meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since 1970; what was stored at this very millisecond counts.
    pub at_ms: WallMs,
    /// Only a day was given: this is its last millisecond.
    pub end_of_day: bool,
}

/// Servers say when they stored something in whole seconds, rounded down.
const SERVER_GRAIN_MS: i64 = 1_000;

/// Seconds that a moment lies back, so that it is before another: one because of
/// the grain, and one because a file's time of reading goes by a clock of which the
/// first answers say no more than the second.
const BACK_S: i64 = 2;

/// The last whole second before a moment (milliseconds since 1970, by the server's
/// clock) that lies before everything that was stored from the moment on, whatever
/// a server makes of its second. A restore of it brings nothing of that.
pub fn before(at_ms: WallMs) -> WallMs {
    WallMs((at_ms.0.div_euclid(SERVER_GRAIN_MS) - BACK_S) * SERVER_GRAIN_MS)
}

/// Read a moment. Times without an offset are the zone's; a day alone means
/// its end, so that everything of that day is included.
///
/// # Errors
/// A usage error with examples when the text is no moment, or no single one.
pub fn parse_moment(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Moment, Fatal> {
    let text = text.trim();
    let exact = |at: Timestamp| Moment {
        at_ms: at.into(),
        end_of_day: false,
    };
    let unreadable = || refused(text, "it is not a date or time", EXAMPLES);
    if text.eq_ignore_ascii_case("now") {
        return Ok(exact(now));
    }
    if let Ok(zoned) = text.parse::<ZonedDateTime>() {
        return Ok(exact(zoned.timestamp()));
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(exact(at));
    }
    // Before lengths of time: `9:00:15` can be read as one.
    let local = zone.to_datetime(now);
    if let Some(written) = words::read(text, local.date()) {
        return in_words(text, written, local, zone);
    }
    if let Ok(span) = words::with_number(&text.to_lowercase()).parse::<Span>() {
        return ago(text, span, now, zone).map(exact);
    }
    // Without a time it would be the day's first moment, and a day means its last.
    if !text.contains([':', 'T', 't']) {
        return Err(unreadable());
    }
    // The parser would pass over an offset that it could not read above.
    let wall = text.parse::<DateTime>().map_err(|_| unreadable())?;
    if text.get(11..).is_some_and(|tail| tail.contains(['+', '-'])) {
        return Err(unreadable());
    }
    on_the_wall(text, wall, zone).map(exact)
}

/// A day and a time of day, as the zone's clocks had them.
fn in_words(
    text: &str,
    written: WrittenMoment,
    local: DateTime,
    zone: &TimeZone,
) -> Result<Moment, Fatal> {
    let unreadable = || refused(text, "it is not a date or time", EXAMPLES);
    let WrittenMoment { day, time } = written;
    let (date, last_one) = match day {
        DayWord::On(date) => (date, None),
        DayWord::Unsaid => (local.date(), Some(format!("yesterday {}", excerpt(text)))),
        DayWord::Named(_) => {
            let word = text.get(..3).filter(|on| on.eq_ignore_ascii_case("on "));
            let plain = word.map_or(text, |on| text[on.len()..].trim_start());
            (local.date(), Some(format!("last {}", excerpt(plain))))
        }
    };
    let Some(time) = time else {
        return match last_one {
            Some(last_one) => Err(refused(
                text,
                "that is today, which is not over",
                &format!("write \"now\", \"{last_one}\", or a time of day with it"),
            )),
            None => end_of(date, zone).ok_or_else(unreadable),
        };
    };
    let wall = date.to_datetime(time);
    if let Some(last_one) = last_one.filter(|_| wall > local) {
        return Err(refused(
            text,
            "today it is not that late yet",
            &format!("write \"{last_one}\" if you mean the last time that it was"),
        ));
    }
    on_the_wall(text, wall, zone).map(|at| Moment {
        at_ms: at.into(),
        end_of_day: false,
    })
}

/// The last millisecond of a day; the next one need not begin at midnight.
fn end_of(date: Date, zone: &TimeZone) -> Option<Moment> {
    let next = date.tomorrow().ok()?.to_zoned_datetime(zone.clone()).ok()?;
    Some(Moment {
        at_ms: WallMs::from(next.timestamp()) - 1,
        end_of_day: true,
    })
}

fn ago(text: &str, span: Span, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, Fatal> {
    let is_ago = text.to_lowercase().ends_with("ago");
    if span.is_zero() && is_ago {
        return Ok(now);
    }
    if !span.is_negative() {
        let remedy = match is_ago {
            true => EXAMPLES.to_owned(),
            false => format!("write \"{} ago\"", excerpt(text)),
        };
        return Err(refused(
            text,
            "a length of time alone is not a moment",
            &remedy,
        ));
    }
    now.to_zoned_datetime(zone.clone())
        .checked_add(span)
        .map(|then| then.timestamp())
        .map_err(|_| refused(text, "that is too long ago", EXAMPLES))
}

/// A wall-clock time, unless the clocks were changed just then.
fn on_the_wall(text: &str, wall: DateTime, zone: &TimeZone) -> Result<Timestamp, Fatal> {
    let ambiguous = zone.to_ambiguous_timestamp(wall);
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => ambiguous
            .unambiguous()
            .map_err(|_| refused(text, "it is too far away", EXAMPLES)),
        AmbiguousOffset::Fold { before, after } => Err(refused(
            text,
            "the clocks were set back then, so there are two such times",
            &format!(
                "write which: \"{wall}{before}\" is the earlier one, \"{wall}{after}\" the later"
            ),
        )),
        AmbiguousOffset::Gap { .. } => Err(refused(
            text,
            "the clocks were set forward then, so there is no such time",
            "write an hour earlier or later",
        )),
    }
}

fn refused(text: &str, cause: &str, hint: &str) -> Fatal {
    Fatal::usage(format!("use the time \"{}\"", excerpt(text)), cause, hint)
}

fn excerpt(text: &str) -> String {
    let seen = text.chars().filter(|c| !is_hidden(*c));
    seen.take(TEXT_CHARS_SHOWN_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-23T12:00:00Z";

    fn parse(text: &str) -> Result<Moment, Fatal> {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        parse_moment(text, NOW.parse().unwrap(), &berlin)
    }

    #[test]
    fn the_moment_before_is_before_what_a_server_rounds_down() {
        for at_ms in [0, 1, 999, 1_000, 1_795_456_800_999, -1, -1_000] {
            let before_ms = before(WallMs(at_ms)).0;
            assert_eq!(before_ms.rem_euclid(1_000), 0, "{at_ms}");
            // What is stored at the moment itself, on a server with whole seconds.
            let listed_ms = at_ms.div_euclid(1_000) * 1_000;
            assert!(before_ms + 999 < listed_ms - 1_000, "{at_ms}");
            assert!(at_ms - before_ms < 3_000, "{at_ms}");
        }
    }

    #[test]
    fn what_people_write() {
        for (text, want, end_of_day) in [
            ("2026-11-20 14:30", "2026-11-20T13:30:00Z", false),
            (" 2026-11-20T14:30 ", "2026-11-20T13:30:00Z", false),
            ("2026-11-20 14:30:15.25", "2026-11-20T13:30:15.25Z", false),
            ("2026-07-01 14:30", "2026-07-01T12:30:00Z", false),
            ("2026-11-20", "2026-11-20T22:59:59.999Z", true),
            ("20261120", "2026-11-20T22:59:59.999Z", true),
            ("2026-07-01", "2026-07-01T21:59:59.999Z", true),
            ("2026-11-20T14:30:00Z", "2026-11-20T14:30:00Z", false),
            ("2026-11-20 14:30+05:30", "2026-11-20T09:00:00Z", false),
            ("2026-11-20T14:30:00-08:00", "2026-11-20T22:30:00Z", false),
            (
                "2026-11-20T14:30[America/New_York]",
                "2026-11-20T19:30:00Z",
                false,
            ),
            ("2026-10-25T02:30:00+01:00", "2026-10-25T01:30:00Z", false),
            ("2 hours ago", "2026-11-23T10:00:00Z", false),
            // Named after the bug: the remedy was to write "0 hours ago ago".
            ("0 hours ago", "2026-11-23T12:00:00Z", false),
            ("30m ago", "2026-11-23T11:30:00Z", false),
            ("1h 30m ago", "2026-11-23T10:30:00Z", false),
            ("3 days ago", "2026-11-20T12:00:00Z", false),
            // A month is the calendar's, an hour more or less of summer time with it.
            ("1 month ago", "2026-10-23T11:00:00Z", false),
            ("yesterday", "2026-11-22T22:59:59.999Z", true),
            ("now", NOW, false),
            // It is Monday, 13:00 in Berlin.
            ("yesterday 18:00", "2026-11-22T17:00:00Z", false),
            ("Yesterday at 18:00", "2026-11-22T17:00:00Z", false),
            ("yesterday, 6 pm", "2026-11-22T17:00:00Z", false),
            ("today 9:05", "2026-11-23T08:05:00Z", false),
            ("today", "2026-11-23T22:59:59.999Z", true),
            ("today 14:30", "2026-11-23T13:30:00Z", false),
            ("12:59", "2026-11-23T11:59:00Z", false),
            ("9am", "2026-11-23T08:00:00Z", false),
            // Not a length of nine hours.
            ("9:00:15", "2026-11-23T08:00:15Z", false),
            ("12:30 am", "2026-11-22T23:30:00Z", false),
            ("12:30 pm", "2026-11-23T11:30:00Z", false),
            ("monday 9:00", "2026-11-23T08:00:00Z", false),
            ("last monday 9:00", "2026-11-16T08:00:00Z", false),
            ("last monday", "2026-11-16T22:59:59.999Z", true),
            ("friday 18:00", "2026-11-20T17:00:00Z", false),
            ("last friday", "2026-11-20T22:59:59.999Z", true),
            ("Fri 18:00:30", "2026-11-20T17:00:30Z", false),
            ("tuesday", "2026-11-17T22:59:59.999Z", true),
            ("3 days ago 14:30", "2026-11-20T13:30:00Z", false),
            ("a week ago at 8:00", "2026-11-16T07:00:00Z", false),
            ("an hour ago", "2026-11-23T11:00:00Z", false),
            ("2026-11-20 9:00", "2026-11-20T08:00:00Z", false),
            ("2026-11-20 6pm", "2026-11-20T17:00:00Z", false),
            // As people write dates elsewhere.
            ("20.11.2026", "2026-11-20T22:59:59.999Z", true),
            ("20.11.2026 14:30", "2026-11-20T13:30:00Z", false),
            ("20.11.2026, 9 am", "2026-11-20T08:00:00Z", false),
            ("1.7.2026", "2026-07-01T21:59:59.999Z", true),
            ("20.11.", "2026-11-20T22:59:59.999Z", true),
            ("24.11. 14:30", "2025-11-24T13:30:00Z", false),
            ("20/11/2026", "2026-11-20T22:59:59.999Z", true),
            ("11/20/2026 14:30", "2026-11-20T13:30:00Z", false),
            ("Nov 20", "2026-11-20T22:59:59.999Z", true),
            // It is the 23rd: the last one was a year ago.
            ("Nov 24", "2025-11-24T22:59:59.999Z", true),
            ("nov 20 14:30", "2026-11-20T13:30:00Z", false),
            ("20 November 2026 at 14:30", "2026-11-20T13:30:00Z", false),
            ("November 20th, 2026, 14:30", "2026-11-20T13:30:00Z", false),
            ("20. Nov. 2026", "2026-11-20T22:59:59.999Z", true),
            ("on 20.11.2026", "2026-11-20T22:59:59.999Z", true),
            ("Feb 29", "2024-02-29T22:59:59.999Z", true),
            ("on friday", "2026-11-20T22:59:59.999Z", true),
            ("on Friday at 18:00", "2026-11-20T17:00:00Z", false),
            ("on 2026-11-20", "2026-11-20T22:59:59.999Z", true),
            ("on monday 9:00", "2026-11-23T08:00:00Z", false),
            // Before the clocks were set back, and the day itself has 25 hours.
            ("2026-10-24 18:00", "2026-10-24T16:00:00Z", false),
            ("2026-10-25", "2026-10-25T22:59:59.999Z", true),
            ("2026-10-25 03:00", "2026-10-25T02:00:00Z", false),
            ("2026-03-29 03:00", "2026-03-29T01:00:00Z", false),
        ] {
            let want = want.parse::<Timestamp>().unwrap().into();
            let got = parse(text).map_err(|fatal| fatal.to_string());
            assert_eq!(
                got,
                Ok(Moment {
                    at_ms: want,
                    end_of_day
                }),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_moment_or_not_one_alone() {
        for (text, in_message) in [
            ("", "2 hours ago"),
            ("32.11.2026", "2026-11-20 14:30"),
            // The fourth of May or the fifth of April.
            ("04/05/2026", "2026-11-20 14:30"),
            ("Nov", "2026-11-20 14:30"),
            ("Nov 31", "2026-11-20 14:30"),
            ("20.11", "2026-11-20 14:30"),
            ("on", "2026-11-20 14:30"),
            ("last", "2026-11-20 14:30"),
            ("last moonday", "2026-11-20 14:30"),
            ("f 14:30", "2026-11-20 14:30"),
            ("14", "2026-11-20 14:30"),
            ("14:3", "2026-11-20 14:30"),
            ("24:00", "2026-11-20 14:30"),
            ("13:00 pm", "2026-11-20 14:30"),
            ("yesterday evening", "2026-11-20 14:30"),
            ("2 hours ago 14:30", "2026-11-20 14:30"),
            ("2026-11-20 14:30+xy", "2026-11-20 14:30"),
            ("14:30", "\"yesterday 14:30\""),
            ("Monday 14:30", "\"last Monday 14:30\""),
            ("monday", "\"last monday\""),
            ("On monday", "\"last monday\""),
            ("2026-13-01", "2026-11-20 14:30"),
            ("2026-11-20 25:00", "2026-11-20 14:30"),
            ("2026-02-30 10:00", "2026-11-20 14:30"),
            ("2 hours", "\"2 hours ago\""),
            ("19000 years ago", "too long ago"),
            ("2026-10-25 02:30", "two such times"),
            ("2026-10-25 02:30", "\"2026-10-25T02:30:00+02\""),
            ("2026-03-29 02:30", "no such time"),
        ] {
            let fatal = parse(text).unwrap_err();
            assert!(fatal.to_string().contains(in_message), "{text}: {fatal}");
            assert_eq!(fatal.exit_code(), 2);
        }
    }

    #[test]
    fn what_happened_while_the_clocks_were_set_is_asked_again() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        // An hour after 02:30 came for the second time.
        let now = "2026-10-25T02:30:00Z".parse().unwrap();
        for (text, in_message) in [
            ("2:30", "two such times"),
            ("today 02:30", "two such times"),
            ("sunday 2:30 am", "\"2026-10-25T02:30:00+01\""),
        ] {
            let fatal = parse_moment(text, now, &berlin).unwrap_err();
            assert!(fatal.to_string().contains(in_message), "{text}: {fatal}");
        }
        // Lengths of time are not.
        let hours = parse_moment("3 hours ago", now, &berlin).unwrap();
        assert_eq!(hours.at_ms, WallMs::from(now) - 3 * 3_600_000);
        let next = "2026-03-29T12:00:00Z".parse().unwrap();
        let fatal = parse_moment("2:30", next, &berlin).unwrap_err();
        assert!(fatal.to_string().contains("no such time"), "{fatal}");
    }

    #[test]
    fn the_two_readings_that_a_refusal_offers_are_accepted() {
        let earlier = parse("2026-10-25T02:30:00+02").unwrap().at_ms;
        let later = parse("2026-10-25T02:30:00+01").unwrap().at_ms;
        assert_eq!(later - earlier, 3_600_000);
    }
}
