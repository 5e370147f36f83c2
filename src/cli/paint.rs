//! Colours of what is printed: few, each with one meaning, and never the only sign of it.
//!
//! Only words that say the same by themselves are coloured, so that nothing is lost on a
//! terminal without colours. [`out`](super::out) takes the colours out again where they are
//! not wanted: `--color`, `NO_COLOR`, `CLICOLOR_FORCE`, `TERM=dumb`, a pipe, a file.

use super::exit_code::COMPLETE;
use anstream::ColorChoice;
use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use clap::builder::Styles;
use std::ffi::OsString;

/// When what is printed has colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// Where a terminal wants them.
    #[default]
    Auto,
    /// Also into a pipe or a file.
    Always,
    /// Nowhere.
    Never,
}

impl Color {
    /// The same for clap, which prints help and usage errors.
    pub(super) fn of_clap(self) -> clap::ColorChoice {
        match self {
            Self::Auto => clap::ColorChoice::Auto,
            Self::Always => clap::ColorChoice::Always,
            Self::Never => clap::ColorChoice::Never,
        }
    }

    /// What a command line says, before it is read as a whole: what is wrong with it is
    /// printed as it asks for, too.
    pub(super) fn said(arguments: &[OsString]) -> Self {
        let mut said = Self::Auto;
        let mut words = arguments.iter().filter_map(|word| word.to_str());
        while let Some(word) = words.next() {
            let value = match word.strip_prefix("--color") {
                Some("") => words.next(),
                Some(rest) => rest.strip_prefix('='),
                None if word == "--" => break,
                None => continue,
            };
            let value = value.and_then(|value| Self::from_str(value, false).ok());
            said = value.unwrap_or(said);
        }
        said
    }
}

/// What a colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// All is as it should be.
    Good,
    /// Somebody has to look.
    Look,
    /// Something is not as it should be.
    Bad,
}

impl Tone {
    /// What an exit code says.
    pub(super) fn of(code: u8) -> Self {
        if code == COMPLETE {
            Self::Good
        } else {
            Self::Bad
        }
    }

    fn style(self) -> Style {
        let color = match self {
            Self::Good => AnsiColor::Green,
            Self::Look => AnsiColor::Yellow,
            Self::Bad => AnsiColor::Red,
        };
        Style::new().bold().fg_color(Some(color.into()))
    }

    /// The text in its colour.
    pub(super) fn paint(self, text: &str) -> String {
        let style = self.style();
        format!("{style}{text}{style:#}")
    }
}

/// Words that begin a line of ours, and their tone. They are compared in this order.
const MARKS: [(&str, Tone); 12] = [
    ("NOT FOUND in the backup:", Tone::Bad),
    ("NOT RESTORED:", Tone::Bad),
    ("NOT PROTECTED", Tone::Bad),
    ("NOT COMPLETE:", Tone::Bad),
    ("NOT LOOKED AT:", Tone::Bad),
    ("COULD NOT LOOK", Tone::Bad),
    ("UPLOADS ARE ON HOLD", Tone::Bad),
    ("CHANGES ARE NOT SEEN AT ONCE", Tone::Bad),
    ("NO MAIL GOES OUT", Tone::Bad),
    ("LOOK AT", Tone::Look),
    ("KEPT BESIDE:", Tone::Look),
    ("WARNING:", Tone::Look),
];

/// A line that begins with words of ours, and not with a name: these are coloured.
pub(super) fn marked(line: &str) -> String {
    let words = line.trim_start();
    let begin = &line[..line.len() - words.len()];
    for (mark, tone) in MARKS {
        if let Some(rest) = words.strip_prefix(mark) {
            return format!("{begin}{}{rest}", tone.paint(mark));
        }
    }
    line.to_owned()
}

/// The level of a log line, which stands behind its time.
pub(super) fn level(line: &str) -> String {
    for (word, tone) in [(" ERROR ", Tone::Bad), ("  WARN ", Tone::Look)] {
        if let Some((time, rest)) = line.split_once(word)
            && !time.contains(' ')
        {
            let level = word.trim();
            let before = &word[..word.len() - level.len() - 1];
            return format!("{time}{before}{} {rest}", tone.paint(level));
        }
    }
    line.to_owned()
}

/// Of the help and of a wrong command line.
pub(super) const STYLES: Styles = {
    let bold = Style::new().bold();
    Styles::plain()
        .header(bold)
        .usage(bold)
        .literal(bold)
        .error(bold.fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red))))
        .invalid(bold.fg_color(Some(anstyle::Color::Ansi(AnsiColor::Yellow))))
        .valid(bold.fg_color(Some(anstyle::Color::Ansi(AnsiColor::Green))))
};

/// From now on this holds for the whole process.
pub(super) fn choose(color: Color) {
    match color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    }
    .write_global();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn colours_add_nothing_to_the_words() {
        for (line, tone) in [
            ("  NOT RESTORED: 2 failed", Some(Tone::Bad)),
            ("LOOK AT a.txt: it was", Some(Tone::Look)),
            ("NOT RESTORED.txt", None),
            ("a.txt: NOT RESTORED: x", None),
        ] {
            let painted = marked(line);
            assert_eq!(plain(&painted), line);
            assert_eq!(painted != line, tone.is_some(), "{line}");
        }
        assert_eq!(plain(&Tone::Good.paint("All is well")), "All is well");
    }

    #[test]
    fn the_choice_is_known_before_the_command_line_is_read() {
        for (line, want) in [
            ("keepwatch status", Color::Auto),
            ("keepwatch --color never stauts", Color::Never),
            ("keepwatch status --color=always", Color::Always),
            ("keepwatch --color=no status", Color::Auto),
            ("keepwatch restore -- --color=always", Color::Auto),
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(Color::said(&words), want, "{line}");
        }
    }

    #[test]
    fn the_level_of_a_log_line_is_coloured_and_nothing_that_looks_like_one() {
        for (line, is_coloured) in [
            ("2026-11-23T10:15:02.417+01:00  WARN keepwatch: a", true),
            ("2026-11-23T10:15:02.417+01:00 ERROR keepwatch: a", true),
            (
                "2026-11-23T10:15:02.417+01:00  INFO keepwatch: an ERROR in a name",
                false,
            ),
        ] {
            let painted = level(line);
            assert_eq!(plain(&painted), line);
            assert_eq!(painted != line, is_coloured, "{line}");
        }
    }
}
