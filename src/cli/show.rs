//! Figures as people read them, and JSON for programs.

use crate::error::{Fatal, Fault, chain};
pub(super) use crate::model::report::text::{amount, clean, duration, number, size, time};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::collections::HashSet;
use std::io::IsTerminal as _;

/// A bar for what goes on, and whether there is no terminal to draw it on: then it
/// is hidden, as it is when nothing is to be said.
pub(super) fn bar(quiet: bool, template: &str) -> (ProgressBar, bool) {
    let plain = !std::io::stderr().is_terminal();
    let bar = ProgressBar::new_spinner();
    if quiet || plain {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    (bar, plain)
}

/// Print a value as one JSON document on standard output.
///
/// # Errors
/// It is no JSON.
pub(super) fn json(value: &impl Serialize) -> Result<(), Fatal> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| Fatal::new("print the result", chain(&e), ""))?;
    println!("{text}");
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
    use crate::error::Class;

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
