//! Foreign text as people see it: one line, whatever it holds.
//!
//! A name with a line break must not be able to forge a line of a report, and one with a
//! mark that turns the direction of text must not hide how it ends. For keys and headers
//! there is `byte_escape`.

use super::text::CUT;
use std::fmt::Write as _;

/// The longest foreign text (path, reason, remedy) shown whole. Longer than
/// any path Linux allows; something longer must not fill the report alone.
const FIELD_BYTES_MAX: usize = 4_500;

/// Control characters, line separators and marks that change the order in which text is
/// shown. Joiners are none of these: some languages and emoji are written with them.
pub(super) fn breaks_line(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Control characters, line separators, zero-width and direction marks.
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match is_escaped(c) {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out
}

/// A key or another text as shown to people: one line, whatever it holds.
pub fn shown(text: &str) -> String {
    escaped(text, breaks_line)
}

/// The same of bytes that need not be text: `\xFF` for one that is none.
pub(crate) fn shown_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(&shown(chunk.valid()));
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            let _ = write!(out, "\\x{byte:02X}");
        }
    }
    out
}

/// The same without invisible characters, where these are what is wrong with the text.
pub(crate) fn printable(text: &str) -> String {
    escaped(text, is_hidden)
}

/// Text in quotation marks that it cannot end.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.escape_debug())
}

/// The same as [`shown`] for a whole field of a report: what is longer than any real
/// path is shortened.
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match breaks_line(c) {
            true => out.extend(c.escape_unicode()),
            false => out.push(c),
        }
        if out.len() > FIELD_BYTES_MAX {
            return cut(&out, FIELD_BYTES_MAX);
        }
    }
    out
}

/// At most that many bytes, never in the middle of a character.
fn cut(text: &str, bytes_max: usize) -> String {
    let end = text.floor_char_boundary(bytes_max.saturating_sub(CUT.len()));
    format!("{}{CUT}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_cannot_forge_a_line() {
        assert_eq!(shown("Büro/a\nb\u{1b}[2J"), "Büro/a\\nb\\u{1b}[2J");
    }

    #[test]
    fn whoever_shows_foreign_text_shows_it_on_one_line() {
        let showing: [fn(&str) -> String; 5] = [
            shown,
            |text| shown_bytes(text.as_bytes()),
            printable,
            quoted,
            clean,
        ];
        for hidden in [
            '\n', '\r', '\t', '\0', '\u{1b}', '\u{85}', '\u{2028}', '\u{202e}',
        ] {
            for show in showing {
                let text = show(&format!("a{hidden}b"));
                assert!(!text.contains(hidden), "{text:?}");
                assert!(text.contains('a') && text.contains('b'), "{text:?}");
            }
        }
        // Persian and emoji are written with joiners.
        let joined = "می\u{200c}خواهم 👩\u{200d}💻";
        assert_eq!(
            (shown(joined), clean(joined)),
            (joined.into(), joined.into())
        );
        assert!(!printable(joined).contains(is_hidden));
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_by_their_numbers() {
        assert_eq!(shown_bytes(b"a\xff\nb\xc3"), "a\\xFF\\nb\\xC3");
    }

    #[test]
    fn quoted_text_does_not_end_its_quotes() {
        assert_eq!(quoted("a \"b\" \\ c\n"), r#""a \"b\" \\ c\n""#);
    }

    #[test]
    fn foreign_text_stays_on_its_line_and_within_bounds() {
        assert_eq!(
            clean("a\nAll is well\r\u{202e}b\u{7f}"),
            "a\\u{a}All is well\\u{d}\\u{202e}b\\u{7f}"
        );
        assert_eq!(
            clean("Jahresabschluß 2026.xlsx"),
            "Jahresabschluß 2026.xlsx"
        );
        let long = clean(&"ß".repeat(100_000));
        assert!(long.len() <= FIELD_BYTES_MAX && long.ends_with("ß..."));
        let lines = clean(&"\n".repeat(100_000));
        assert!(lines.len() <= FIELD_BYTES_MAX);
    }
}
