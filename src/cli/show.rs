//! Figures as people read them, and JSON for programs.

use crate::error::{Fatal, chain};
pub(super) use crate::model::report::text::{amount, clean, duration, number, size, time};
use serde::Serialize;
use std::io::Write as _;

/// Print a value as one JSON document on standard output.
///
/// # Errors
/// It cannot be written.
pub(super) fn json(value: &impl Serialize) -> Result<(), Fatal> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| Fatal::new("print the result", chain(&e), ""))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").map_err(|e| Fatal::new("print the result", chain(&e), ""))
}
