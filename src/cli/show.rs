//! Figures as people read them, and JSON for programs.

use crate::error::{Fatal, chain};
pub(super) use crate::model::report::text::{amount, clean, duration, number, size, time};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
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
