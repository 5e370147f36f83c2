//! Numbers, sizes, times and short texts as people read them.

use super::instant::WallMs;
use icu_normalizer::DecomposingNormalizerBorrowed;
use jiff::tz::TimeZone;
use std::borrow::Cow;
use std::fmt::Write as _;

/// What shortened text ends in.
pub(crate) const CUT: &str = "...";

/// `12,345`.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 file`, `12,345 files`.
pub fn amount(value: u64, noun: &str) -> String {
    let plural = match value {
        1 => "",
        _ if noun.ends_with("ch") => "es",
        _ => "s",
    };
    format!("{} {noun}{plural}", number(value))
}

/// The text as XML has it, between tags and in quotes.
pub(crate) fn xml(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// `1 file is`, `12,345 files are`: a count with the verb that goes with it, the first for
/// one and the second for all others.
pub fn counted(value: u64, noun: &str, [one, many]: [&str; 2]) -> String {
    let verb = if value == 1 { one } else { many };
    format!("{} {verb}", amount(value, noun))
}

/// `512 bytes`, `1.2 GB` (powers of 1,000, as disks are sold).
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1_000 {
        return amount(bytes, "byte");
    }
    // Tenths of the unit, rounded; whole numbers so that no size reads "1000.0 kB".
    let mut tenths = (u128::from(bytes) + 50) / 100;
    let mut unit = 0;
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths = (tenths + 500) / 1_000;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// `45 seconds`, `3 hours 5 minutes`, `2 days 4 hours`.
pub fn duration(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let (large, small) = match () {
        () if ms < 1_000 => return "less than a second".to_owned(),
        () if minutes == 0 => (amount(seconds, "second"), None),
        () if hours == 0 => (amount(minutes, "minute"), None),
        () if days == 0 => (amount(hours, "hour"), Some((minutes % 60, "minute"))),
        () => (amount(days, "day"), Some((hours % 24, "hour"))),
    };
    match small {
        Some((value, noun)) if value > 0 => format!("{large} {}", amount(value, noun)),
        _ => large,
    }
}

/// `2026-11-23 02:30`, in the zone; with the offset when the zone has no name
/// or shows that wall time twice.
pub fn time(at_ms: WallMs, zone: &TimeZone) -> String {
    written(at_ms, zone, "%Y-%m-%d %H:%M")
}

/// The same with its second: `2026-11-23 02:30:07`.
pub fn time_of_second(at_ms: WallMs, zone: &TimeZone) -> String {
    written(at_ms, zone, "%Y-%m-%d %H:%M:%S")
}

fn written(at_ms: WallMs, zone: &TimeZone, format: &str) -> String {
    let Ok(instant) = at_ms.timestamp() else {
        return "an unknown time".to_owned();
    };
    let local = zone.to_datetime(instant);
    let twice = zone.to_ambiguous_timestamp(local).is_ambiguous();
    let text = local.strftime(format).to_string();
    if twice || zone.iana_name().is_none() {
        format!("{text} ({})", zone.to_offset(instant))
    } else {
        text
    }
}

/// At most that many characters.
pub(crate) fn shorten(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some(_) => {
            let keep = chars_max.saturating_sub(CUT.len());
            let kept: String = text.chars().take(keep).collect();
            format!("{}{CUT}", kept.trim_end())
        }
    }
}

/// Text as printable ASCII: what has a customary spelling gets it, the rest is
/// escaped, so that two names stay two names.
pub(crate) fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' '..='~' => out.push(c),
            _ if c.is_control() => out.push('?'),
            _ => match spelled(c) {
                Some(spelling) => out.push_str(&spelling),
                None => {
                    let _ = write!(out, "{}", c.escape_unicode());
                }
            },
        }
    }
    out
}

/// The customary ASCII spelling of letters of European languages: their own, else the
/// letter without its marks.
fn spelled(c: char) -> Option<Cow<'static, str>> {
    let own = match c {
        'ä' | 'æ' => "ae",
        'ö' | 'œ' | 'ø' => "oe",
        'ü' => "ue",
        'å' => "aa",
        'Ä' | 'Æ' => "Ae",
        'Ö' | 'Œ' | 'Ø' => "Oe",
        'Ü' => "Ue",
        'Å' => "Aa",
        'ß' => "ss",
        'đ' | 'ð' => "d",
        'Đ' | 'Ð' => "D",
        'ı' => "i",
        'ł' => "l",
        'Ł' => "L",
        'þ' => "th",
        'Þ' => "Th",
        '‘' | '’' => "'",
        '“' | '”' | '„' => "\"",
        '–' | '—' => "-",
        '…' => "...",
        '\u{a0}' => " ",
        _ => return without_marks(c),
    };
    Some(own.into())
}

/// The ASCII letter that carries marks in `c`.
fn without_marks(c: char) -> Option<Cow<'static, str>> {
    let parts = DecomposingNormalizerBorrowed::new_nfd().normalize_iter(std::iter::once(c));
    let mut parts = parts.into_iter();
    let letter = parts.next().filter(char::is_ascii_alphabetic)?;
    let is_mark = |part: char| ('\u{300}'..='\u{36f}').contains(&part);
    parts.all(is_mark).then(|| letter.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn numbers_and_sizes() {
        for (value, expected) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345_678, "12,345,678"),
        ] {
            assert_eq!(number(value), expected);
        }
        assert_eq!(amount(1, "file"), "1 file");
        assert_eq!(counted(1, "file", ["is", "are"]), "1 file is");
        assert_eq!(counted(0, "file", ["is", "are"]), "0 files are");
        assert_eq!(amount(2, "watch"), "2 watches");
        for (bytes, expected) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (999, "999 bytes"),
            (1_000, "1.0 kB"),
            (1_250, "1.3 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (1_200_000_000, "1.2 GB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(size(bytes), expected, "{bytes}");
        }
    }

    #[test]
    fn durations() {
        for (seconds, expected) in [
            (0, "less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (61, "1 minute"),
            (3_600, "1 hour"),
            (3_960, "1 hour 6 minutes"),
            (86_400, "1 day"),
            (100 * 3_600, "4 days 4 hours"),
        ] {
            assert_eq!(duration(seconds * 1_000), expected);
        }
    }

    #[test]
    fn times_are_the_zones_own_and_never_ambiguous() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let at = |text: &str| WallMs::from(text.parse::<Timestamp>().unwrap());
        for (instant, expected) in [
            ("2026-11-23T01:30:59Z", "2026-11-23 02:30"),
            ("2026-10-25T00:30:00Z", "2026-10-25 02:30 (+02)"),
            ("2026-10-25T01:30:00Z", "2026-10-25 02:30 (+01)"),
        ] {
            assert_eq!(time(at(instant), &berlin), expected);
        }
        let fixed = TimeZone::fixed(jiff::tz::Offset::from_hours(-5).unwrap());
        assert_eq!(time(WallMs(0), &fixed), "1969-12-31 19:00 (-05)");
        assert_eq!(time(WallMs::MAX, &berlin), "an unknown time");
    }

    #[test]
    fn names_in_ascii_and_short() {
        for (name, expected) in [
            ("BÜRO-PC", "BUeRO-PC"),
            ("Kancelář", "Kancelar"),
            ("办公室", "\\u{529e}\\u{516c}\\u{5ba4}"),
            ("a\r\nb", "a??b"),
        ] {
            assert_eq!(ascii(name), expected);
        }
        assert_eq!(shorten("abcdef", 6), "abcdef");
        assert_eq!(shorten("abcdefg", 6), "abc...");
    }
}
