//! Figures as people read them, and JSON for programs.

use crate::types::{Fatal, Fault, chain, clean};
use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike};
use serde::Serialize;
use std::collections::HashSet;
use std::io;
use std::io::IsTerminal as _;

/// A progress bar, and whether there is no terminal to draw it on: then it is hidden, as
/// when it is to be quiet.
pub(super) fn bar(quiet: bool) -> (ProgressBar, bool) {
    let is_dumb = std::env::var_os("TERM").is_some_and(|name| name == "dumb");
    let plain = !std::io::stderr().is_terminal() || is_dumb;
    let bar = ProgressBar::new_spinner();
    bar.set_draw_target(match quiet || plain {
        true => ProgressDrawTarget::hidden(),
        false => ProgressDrawTarget::term_like(Box::new(BarLine::new(Term::stderr()))),
    });
    if let Some(style) = style(|| BarLine::new(Term::stderr()).width().into()) {
        bar.set_style(style);
    }
    (bar, plain)
}

/// From so many columns on there is room for the time, and for a bar.
const COLUMNS_FOR_TIME: usize = 60;
const COLUMNS_FOR_BAR: usize = 100;

/// Columns of the bar itself.
const BAR_COLUMNS: usize = 20;

/// How far it is, as much of it as there is room for, and the text, which ends where the
/// terminal does: a line that goes on in the next one cannot be wiped whole.
fn style(columns: impl Fn() -> usize + Clone + Send + Sync + 'static) -> Option<ProgressStyle> {
    let head = move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        // Nothing can be done where it cannot be drawn.
        let _ = head(state, columns(), out);
    };
    let style = ProgressStyle::with_template("{spinner} {head}{wide_msg}").ok()?;
    Some(style.with_key("head", head))
}

fn head(state: &ProgressState, columns: usize, out: &mut dyn std::fmt::Write) -> std::fmt::Result {
    if state.len().is_some() {
        let share = f64::from(state.fraction());
        if columns >= COLUMNS_FOR_BAR {
            let full = (share * BAR_COLUMNS as f64) as usize;
            let rest = BAR_COLUMNS - full.min(BAR_COLUMNS);
            write!(out, "[{}{}] ", "=".repeat(full), " ".repeat(rest))?;
        }
        write!(out, "{:>3}% ", (share * 100.0) as u64)?;
    }
    if columns >= COLUMNS_FOR_TIME {
        let seconds = state.elapsed().as_secs();
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        write!(out, "{}:{:02}:{seconds:02} ", minutes / 60, minutes % 60)?;
    }
    Ok(())
}

/// The terminal's last line, on which a bar is drawn.
///
/// The cursor rests at the line's beginning. When the window becomes narrower, a terminal
/// breaks the line into several and takes the cursor along to the first of them, so that
/// wiping from there on leaves nothing of it.
#[derive(Debug)]
struct BarLine(Term);

impl BarLine {
    fn new(term: Term) -> Self {
        Self(term)
    }
}

impl TermLike for BarLine {
    /// The last column stays free: some terminals go on in the next line once it is taken.
    fn width(&self) -> u16 {
        self.0.size().1.saturating_sub(1).max(1)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_up(n)
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_down(n)
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_right(n)
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_left(n)
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.0.write_line(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        // The line is empty: what fills it up need not be written.
        match text.trim_matches(' ') {
            "" => Ok(()),
            _ => self.0.write_str(text),
        }
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.write_str("\r")?;
        self.0.clear_to_end_of_screen()
    }

    fn flush(&self) -> io::Result<()> {
        self.0.write_str("\r")?;
        self.0.flush()
    }
}

/// Say what closing the window does to the work that begins now, where there is a window.
pub(super) fn about_the_window(quiet: bool, text: &str) {
    if !quiet && std::io::stderr().is_terminal() {
        eprintln!("{text}");
    }
}

/// Print something while a bar may be on the terminal: the bar is wiped first, and drawn
/// again below.
pub(super) fn over_the_bar(text: &str) {
    let term = Term::stderr();
    if term.is_term() {
        // It is printed all the same.
        let _ = BarLine::new(term).clear_line();
    }
    eprintln!("{text}");
}

/// Columns of the terminal that the result goes to, if it goes to one.
pub(super) fn columns() -> Option<usize> {
    let term = Term::stdout();
    let (_, columns) = term.size_checked().filter(|_| term.is_term())?;
    Some(columns.into())
}

/// Print a value as one JSON document on standard output.
///
/// # Errors
/// It is no JSON.
pub(super) fn json(value: &impl Serialize) -> Result<(), Fatal> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| Fatal::new("print the result", chain(&e), ""))?;
    print_whole!("{text}");
    Ok(())
}

/// Lists faults: what is wrong with the server or the keys is explained once, however
/// many buckets and files fail for it.
#[derive(Default)]
pub(super) struct Told(HashSet<(String, String)>);

impl Told {
    /// The fault as a line of the list.
    pub(super) fn line(&mut self, fault: &Fault) -> String {
        let is_of_all = fault.class.is_destination();
        let why = (fault.cause.clone(), fault.hint.clone());
        if !is_of_all || self.0.insert(why) {
            return clean(&fault.to_string());
        }
        let again = format!(
            "{}: cannot {}, for the same reason as above",
            fault.subject,
            fault.deed()
        );
        clean(&again)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::Screen;
    use crate::types::Class;

    /// Named after the bug: at 60 and 80 columns the line went on in the next one,
    /// and half of it stayed when it was wiped.
    #[test]
    fn a_progress_line_never_is_longer_than_the_terminal() {
        let text = "1,234 files, 3.4 GB (1.7 MB/s) of 40,000 objects (7.0 GB as stored), 12 links, 5 there already, 1 FAILED, 18 minutes left";
        for (columns, parts) in [
            (40, &[" 25% 1,234 files"][..]),
            (60, &[" 25% 0:00:00 1,234 files"]),
            (80, &[" 25% 0:00:00 1,234 files", "of 40,000 objects"]),
            (
                200,
                &["[=====               ]  25% 0:00:00 1,234", "minutes left"],
            ),
        ] {
            for text in [
                text.to_owned(),
                format!("1,234 files, {}", "日本語👩".repeat(60)),
            ] {
                let screen = Screen::of(columns);
                let bar = ProgressBar::with_draw_target(
                    Some(100),
                    ProgressDrawTarget::term_like(Box::new(screen.clone())),
                );
                bar.set_style(style(move || columns.into()).unwrap());
                bar.set_position(25);
                bar.set_message(text.clone());
                bar.tick();
                let written = screen.written();
                let longest = written
                    .iter()
                    .map(|line| console::measure_text_width(line))
                    .max();
                assert!(longest.is_some_and(|n| n > 20), "{written:?}");
                assert!(longest <= Some(columns.into()), "{columns}: {written:?}");
                let shown = written.concat();
                let parts = if text.is_ascii() { parts } else { &parts[..1] };
                for part in parts {
                    assert!(shown.contains(part), "{columns}: {shown}");
                }
            }
        }
    }

    #[test]
    fn what_all_fail_for_is_explained_once() {
        let mut told = Told::default();
        let fault = |class, subject: &str| Fault::new(class, "upload", subject, "no").hint("do");
        assert!(
            told.line(&fault(Class::Transient, "a"))
                .contains("no (what to do: do)")
        );
        let again = told.line(&fault(Class::Transient, "b"));
        assert_eq!(again, "b: cannot upload, for the same reason as above");
        for name in ["c", "d"] {
            let own = told.line(&fault(Class::Unreadable, name));
            assert!(own.contains("what to do"), "{own}");
        }
    }
}
