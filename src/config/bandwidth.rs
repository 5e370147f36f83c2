//! `[bandwidth]`: rates and the hours of the week that they hold for.
//! Pure: no disk, no clock.

use super::input::Input;
use super::key::Key;
use super::problem::{Problem, shown};
use super::problems::Problems;
use super::raw::RawBandwidth;
use crate::types::{DAY_MINUTES, Rates, Slot, Timetable};
use jiff::civil::Weekday;

/// The slowest limit: 128 kbit/s. Below it the requests themselves time out,
/// and a day is too short for one office's changes.
const RATE_MIN: u64 = 16_000;

/// Slots of a timetable: three a day for each day of the week, and some.
const SLOTS_MAX: usize = 32;

const RATE_REMEDY: &str = "write a rate like \"500 kB/s\", \"4 Mbit/s\" or \"unlimited\"; the slowest is 16 kB/s (128 kbit/s)";

const SLOT_REMEDY: &str = "write days, hours and rates like \"mon-fri 08:00-18:00 up 1 Mbit/s down 8 Mbit/s\" or \"sat,sun 00:00-24:00 up unlimited\"";

/// Bytes per second of each unit. LineNumbers are sold in bits, decimal.
const UNITS: [(&str, u64); 8] = [
    ("kb/s", 1_000),
    ("mb/s", 1_000_000),
    ("gb/s", 1_000_000_000),
    ("kib/s", 1024),
    ("mib/s", 1024 * 1024),
    ("kbit/s", 125),
    ("mbit/s", 125_000),
    ("gbit/s", 125_000_000),
];

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// The whole table.
pub(super) fn timetable(
    raw: RawBandwidth,
    input: &Input<'_>,
    problems: &mut Problems,
) -> Timetable {
    let mut always = |leaf: &str, text: Option<String>| {
        let checked = rate(&text?);
        input
            .take(problems, Key::of("bandwidth", leaf), checked)
            .flatten()
    };
    let always = Rates {
        up: always("up", raw.up),
        down: always("down", raw.down),
    };
    let key = || Key::of("bandwidth", "timetable");
    let slots = if raw.timetable.len() > SLOTS_MAX {
        let wrong = Problem::new(
            format!("the timetable has more than {SLOTS_MAX} lines"),
            "join days and hours that have the same rates",
        );
        input.take(problems, key(), Err(wrong)).unwrap_or_default()
    } else {
        let lines = raw.timetable.iter();
        lines
            .filter_map(|line| input.take(problems, key(), slot(line)))
            .collect()
    };
    Timetable { always, slots }
}

/// Bytes per second; `None` for "unlimited".
fn rate(text: &str) -> Result<Option<u64>, Problem> {
    let wrong = |why: &str| Problem::new(format!("{} {why}", shown(text)), RATE_REMEDY);
    let plain: String = text.to_lowercase().split_whitespace().collect();
    if plain == "unlimited" {
        return Ok(None);
    }
    let digits = plain
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(plain.len());
    let (number, unit) = plain.split_at(digits);
    let unit = UNITS.iter().find(|(name, _)| *name == unit);
    let number = number.parse::<f64>().ok().filter(|n| n.is_finite());
    let (Some(number), Some((_, bytes))) = (number, unit) else {
        return Err(wrong("is not a rate"));
    };
    let rate = (number * *bytes as f64) as u64;
    match rate {
        0..RATE_MIN => Err(wrong("is too slow to back anything up")),
        rate => Ok(Some(rate)),
    }
}

/// `DAYS HOURS [up RATE] [down RATE]`.
fn slot(line: &str) -> Result<Slot, Problem> {
    let wrong = |what: &str| Problem::new(format!("{} {what}", shown(line)), SLOT_REMEDY);
    let lower = line.to_lowercase();
    let mut words = lower.split_whitespace();
    let days = words
        .next()
        .and_then(days)
        .ok_or_else(|| wrong("does not begin with days of the week"))?;
    let (from_minute, to_minute) = words
        .next()
        .and_then(hours)
        .ok_or_else(|| wrong("does not say from when to when"))?;
    let (mut up, mut down) = (None, None);
    let mut rest = words.peekable();
    while let Some(direction) = rest.next() {
        let mut text = String::new();
        while let Some(word) = rest.next_if(|word| *word != "up" && *word != "down") {
            text.push_str(word);
        }
        let limit = rate(&text).map_err(|_| wrong("has a rate that is none"))?;
        let slot = match direction {
            "up" => &mut up,
            "down" => &mut down,
            _ => return Err(wrong("names neither up nor down")),
        };
        if slot.replace(limit).is_some() {
            return Err(wrong("names one direction twice"));
        }
    }
    if up.is_none() && down.is_none() {
        return Err(wrong("names neither up nor down"));
    }
    Ok(Slot {
        days,
        from_minute,
        to_minute,
        up,
        down,
    })
}

/// `mon-fri`, `sat,sun`, `daily`.
fn days(text: &str) -> Option<u8> {
    if text == "daily" {
        return Some(0b111_1111);
    }
    let day = |name: &str| DAYS.iter().find(|(n, _)| *n == name).map(|(_, day)| *day);
    let mut bits = 0;
    for part in text.split(',') {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (day(first)?, day(last)?),
            None => (day(part)?, day(part)?),
        };
        let mut each = first;
        loop {
            bits |= Slot::bit(each);
            if each == last {
                break;
            }
            each = each.wrapping_add(1);
        }
    }
    Some(bits)
}

/// `08:00-18:00`; an end before the beginning is one on the next day.
fn hours(text: &str) -> Option<(u16, u16)> {
    let minute = |text: &str| match text {
        "24:00" => Some(DAY_MINUTES),
        text => {
            let time = crate::config::values::time_of_day(text).ok()?;
            u16::try_from(i32::from(time.hour()) * 60 + i32::from(time.minute())).ok()
        }
    };
    let (from, to) = text.split_once('-')?;
    let (from, to) = (minute(from)?, minute(to)?);
    (from < DAY_MINUTES && to > 0 && from != to).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_written_as_lines_are_sold() {
        for (text, want) in [
            ("500 kB/s", Some(Some(500_000))),
            ("4 Mbit/s", Some(Some(500_000))),
            ("1.5Mbit/s", Some(Some(187_500))),
            ("16 KiB/s", Some(Some(16_384))),
            ("1 GB/s", Some(Some(1_000_000_000))),
            ("unlimited", Some(None)),
            ("15 kB/s", None),
            ("0 kB/s", None),
            ("500", None),
            ("500 kB", None),
            ("-5 MB/s", None),
            ("fast", None),
            ("", None),
        ] {
            assert_eq!(rate(text).ok(), want, "{text}");
        }
    }

    #[test]
    fn slots_are_read_and_nonsense_is_refused() {
        let all = |line| {
            let slot = slot(line).ok()?;
            Some((
                slot.days,
                slot.from_minute,
                slot.to_minute,
                slot.up,
                slot.down,
            ))
        };
        for (line, want) in [
            (
                "mon-fri 08:00-18:00 up 1 Mbit/s down 8 Mbit/s",
                (
                    0b1_1111,
                    480,
                    1080,
                    Some(Some(125_000)),
                    Some(Some(1_000_000)),
                ),
            ),
            (
                "Sat,Sun 00:00-24:00 up unlimited",
                (0b110_0000, 0, 1440, Some(None), None),
            ),
            (
                "fri-mon 22:00-6:00 down 1MB/s",
                (0b111_0001, 1320, 360, None, Some(Some(1_000_000))),
            ),
            (
                "daily 12:00-13:00 up 16 kB/s",
                (0b111_1111, 720, 780, Some(Some(16_000)), None),
            ),
        ] {
            assert_eq!(all(line), Some(want), "{line}");
        }
        for bad in [
            "",
            "mon",
            "mon 08:00-18:00",
            "mon 08:00 up 1 MB/s",
            "mon 08:00-08:00 up 1 MB/s",
            "mon 25:00-26:00 up 1 MB/s",
            "monday 08:00-18:00 up 1 MB/s",
            "mon 08:00-18:00 up",
            "mon 08:00-18:00 sideways 1 MB/s",
            "mon 08:00-18:00 up 1 MB/s up 2 MB/s",
        ] {
            assert!(slot(bad).is_err(), "{bad}");
        }
    }
}
