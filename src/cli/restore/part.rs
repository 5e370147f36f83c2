//! What a restore is asked for, part by part, and what came of each.

use crate::cli::origins::Named;
use crate::history::{Typed, in_none};
use crate::restore::{Bounded, Restored};
use crate::types::{Fatal, Moment, Reading};
use std::path::PathBuf;

/// One source's part of the job.
pub(crate) struct Part {
    pub(crate) named: Named,
    /// Which of its files; empty for all.
    pub(crate) what: Vec<(Typed, Reading)>,
    pub(crate) to: PathBuf,
    /// As of when.
    pub(crate) moment: Option<Moment>,
}

/// How one source's part ended.
pub(crate) struct PartResult {
    pub(crate) part: Part,
    /// In place: what did not exist at the moment, and stays.
    pub(crate) left_alone: Option<Bounded<String>>,
    pub(crate) result: Result<Restored, Fatal>,
}

/// What was asked for and is in none of the sources.
pub(crate) fn unmatched(done: &[PartResult]) -> Vec<String> {
    let results = done.iter().filter_map(|one| one.result.as_ref().ok());
    in_none(results.map(|restored| (&restored.matched, &restored.unmatched)))
}
