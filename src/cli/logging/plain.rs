//! Lines that stay lines: local time in front, nothing invisible inside, and values that
//! programs can take apart.

use crate::cli::paint::level;
use crate::types::{is_hidden, quoted};
use std::fmt::Debug;
use std::io;
use std::io::Write;
use tracing::field::Field;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// The computer's time with its offset, so that lines around a change of the
/// clocks stay in order.
#[derive(Debug, Clone, Copy)]
pub(super) struct LocalTime;

impl FormatTime for LocalTime {
    fn format_time(&self, out: &mut Writer<'_>) -> std::fmt::Result {
        out.write_str(&stamp(&jiff::ZonedDateTime::now()))
    }
}

fn stamp(now: &jiff::ZonedDateTime) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
}

/// The fields of an event: the message as it is, and `name=value`, the value in quotation
/// marks where it would not be one word.
pub(super) fn field(out: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    let text = format!("{value:?}");
    match field.name() {
        "message" => out.write_str(&text),
        // Fields of `log` records, which tracing hands through.
        name if name.starts_with("log.") => Ok(()),
        name if is_one_word(&text) => write!(out, "{name}={text}"),
        name => write!(out, "{name}={}", quoted(&text)),
    }
}

/// Whether it ends where a reader of the line thinks it does. Texts come quoted already.
fn is_one_word(text: &str) -> bool {
    let inner = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(inner) => !inner.replace("\\\\", "").replace("\\\"", "").contains('"'),
        None => !text.is_empty() && !text.contains([' ', '\t', '\n', '"', '=']),
    }
}

/// A maker of writers that escape what could forge or hide a line.
#[derive(Debug, Clone)]
pub(super) struct PlainLines<M> {
    pub(super) writer: M,
    /// Levels that somebody has to see are coloured.
    pub(super) is_coloured: bool,
}

impl<'w, M: MakeWriter<'w>> MakeWriter<'w> for PlainLines<M> {
    type Writer = PlainLine<M::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        PlainLine(self.writer.make_writer(), self.is_coloured)
    }
}

/// A writer of whole lines: each `write` is one event.
#[derive(Debug)]
pub(super) struct PlainLine<W>(W, bool);

impl<W: Write> Write for PlainLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let mut plain = one_line(line);
        if self.1 {
            plain = level(&plain);
        }
        plain.push('\n');
        self.0.write_all(plain.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Text with control characters, line separators and invisible marks escaped:
/// `\n` and `\u{...}`, or `\u....` for what JSON would not take.
pub(super) fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => out.extend(c.escape_default()),
            // JSON's own form, so that escaped JSON is still JSON. All of them
            // are below U+10000, where one `\u` with four digits is enough.
            c if is_hidden(c) => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_local_and_says_its_offset() {
        let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(1));
        let now = jiff::Timestamp::UNIX_EPOCH.to_zoned_datetime(zone);
        assert_eq!(stamp(&now), "1970-01-01T01:00:00.000+01:00");
    }

    /// Named after the bug: `path=invoices 2026.csv` could not be told from two fields.
    #[test]
    fn a_value_is_one_word_of_the_line() {
        for (value, is_one) in [
            ("a.csv", true),
            ("12", true),
            ("\"quoted text\"", true),
            ("\"with \\\" inside\"", true),
            ("\"a\" b=\"c\"", false),
            ("\"", false),
            ("a b", false),
            ("a=b", false),
            ("", false),
        ] {
            assert_eq!(is_one_word(value), is_one, "{value}");
        }
    }

    #[test]
    fn a_line_stays_one_line() {
        for (text, plain) in [
            ("plain ümläut `C:\\new`", "plain ümläut `C:\\new`"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\u{1b}[31m\u{85}\0", "\\u001b[31m\\u0085\\u0000"),
            ("\u{2028}\u{202e}\u{feff}", "\\u2028\\u202e\\ufeff"),
        ] {
            assert_eq!(one_line(text), plain);
        }
    }

    #[test]
    fn bytes_that_are_no_text_do_no_harm() {
        let mut out = PlainLine(Vec::new(), false);
        assert_eq!(out.write(b"a\xff\nb\n").unwrap(), 5);
        assert_eq!(out.0, "a\u{fffd}\\nb\n".as_bytes());
    }
}
