//! Figures as people read them, and JSON for programs.

use crate::types::{Fatal, Fault, chain, clean};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::collections::HashSet;
use std::io::IsTerminal as _;

/// A progress bar, and whether there is no terminal to draw it on: then it is hidden, as
/// when it is to be quiet. `begin` stands before its text. The text ends where the terminal
/// does: a line that goes on in the next one cannot be wiped whole.
pub(super) fn bar(quiet: bool, begin: &str) -> (ProgressBar, bool) {
    let plain = !std::io::stderr().is_terminal();
    let bar = ProgressBar::new_spinner();
    if quiet || plain {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Some(style) = style(begin) {
        bar.set_style(style);
    }
    (bar, plain)
}

fn style(begin: &str) -> Option<ProgressStyle> {
    ProgressStyle::with_template(&format!("{begin} {{wide_msg}}")).ok()
}

/// Print something while a bar may be on the terminal: the bar is wiped first, and drawn
/// again below.
pub(super) fn over_the_bar(text: &str) {
    let wipe = match std::io::stderr().is_terminal() {
        true => "\r\x1b[2K",
        false => "",
    };
    eprintln!("{wipe}{text}");
}

/// Columns of the terminal that the result goes to, if it goes to one.
pub(super) fn columns() -> Option<usize> {
    let term = console::Term::stdout();
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
            fault.subject, fault.operation
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
        for columns in [60, 80, 200] {
            for begin in [
                "{spinner} {elapsed_precise}",
                "{spinner} {bar:12} {percent:>3}% {elapsed_precise}",
            ] {
                let screen = Screen::of(columns);
                let bar = ProgressBar::with_draw_target(
                    Some(100),
                    ProgressDrawTarget::term_like(Box::new(screen.clone())),
                );
                bar.set_style(style(begin).unwrap());
                bar.set_message(text);
                bar.tick();
                let written = screen.written();
                let longest = written.iter().map(|line| line.chars().count()).max();
                assert!(longest.is_some_and(|n| n > 20), "{written:?}");
                assert!(longest <= Some(columns.into()), "{columns}: {written:?}");
                let shown = written.concat();
                assert!(shown.contains("1,234 files"), "{columns}: {shown}");
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
