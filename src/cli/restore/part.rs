//! What a restore is asked for, part by part, and what came of each.

use crate::cli::origins::Named;
use crate::history::Typed;
use crate::restore::{Bounded, Restored};
use crate::types::{Fatal, Moment, Reading};
use std::collections::HashMap;
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
    let results: Vec<&Restored> = done
        .iter()
        .filter_map(|one| one.result.as_ref().ok())
        .collect();
    let mut misses: HashMap<&str, usize> = HashMap::new();
    for text in results.iter().flat_map(|restored| &restored.unmatched) {
        *misses.entry(text).or_default() += 1;
    }
    let mut texts: Vec<String> = misses
        .into_iter()
        .filter(|(_, count)| *count >= results.len())
        .map(|(text, _)| text.to_owned())
        .collect();
    texts.sort();
    texts
}
