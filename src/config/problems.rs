//! Collects everything that is wrong with a configuration and reports it at once.
//!
//! It never holds a value from the file except through [`super::problem::shown`].

use super::key::Key;
use super::lines::LineNumbers;
use super::problem::{Problem, looks_secret};
use crate::types::{Fatal, printable};
use std::path::Path;

/// More problems than this are counted, not listed: nobody reads on.
const PROBLEMS_LISTED_MAX: usize = 20;

/// Which layer a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ValueOrigin {
    /// The file, or nowhere: then the nearest line of the file is named.
    File,
    /// This environment variable.
    Variable(String),
    /// This command line flag.
    Flag(&'static str),
}

/// The problems found so far, at most one for each key.
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: Vec<(ValueOrigin, Key, Problem)>,
    excused: Vec<Key>,
}

impl Problems {
    /// Note a problem, unless this key or a table around it already has one:
    /// what follows from a mistake is no second mistake.
    pub(super) fn add(&mut self, origin: ValueOrigin, key: Key, wrong: Problem) {
        if self.excused.iter().any(|excused| key.is_under(excused)) {
            return;
        }
        self.excuse(key.clone());
        self.found.push((origin, key, wrong));
    }

    /// Note that something is missing in the whole file, unless there was a
    /// problem with one of these tables.
    pub(super) fn add_unless_excused(&mut self, tables: &[&str], wrong: Problem) {
        let said = |table: &&str| self.excused.contains(&Key::table(table));
        if !tables.iter().any(said) {
            self.found.push((ValueOrigin::File, Key::default(), wrong));
        }
    }

    /// Say no more about this key.
    pub(super) fn excuse(&mut self, key: Key) {
        if !key.0.is_empty() {
            self.excused.push(key);
        }
    }

    /// True when nothing is wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Everything that is wrong is in one of these tables.
    pub(super) fn are_within(&self, tables: &[&str]) -> bool {
        let is_within = |key: &Key| {
            key.0
                .first()
                .is_some_and(|at| tables.contains(&at.as_str()))
        };
        self.found.iter().all(|(_, key, _)| is_within(key))
    }

    /// All of it as one failure that names the file and each line.
    pub(super) fn into_fatal(
        self,
        file: &Path,
        lines: &LineNumbers,
        source_names: &[String],
    ) -> Fatal {
        let operation = format!("use the configuration {}", file.display());
        let mut said: Vec<(usize, String, String)> = self
            .found
            .into_iter()
            .map(|(origin, key, wrong)| {
                let (line, place) = place(&origin, &key, lines, source_names);
                (line, format!("{place}{}", wrong.what), wrong.remedy)
            })
            .collect();
        said.sort_by_key(|(line, ..)| *line);
        if said.len() == 1 {
            let (_, what, remedy) = said.remove(0);
            return Fatal::usage(operation, what, remedy);
        }
        let mut cause = format!("{} things are wrong", said.len());
        for (_, what, remedy) in said.iter().take(PROBLEMS_LISTED_MAX) {
            cause.push_str(&format!("\n  {what}\n    what to do: {remedy}"));
        }
        if said.len() > PROBLEMS_LISTED_MAX {
            let more = said.len() - PROBLEMS_LISTED_MAX;
            cause.push_str(&format!("\n  and {more} more"));
        }
        Fatal::usage(operation, cause, "")
    }
}

/// The line to sort by, and the words that begin the message.
fn place(
    origin: &ValueOrigin,
    key: &Key,
    lines: &LineNumbers,
    source_names: &[String],
) -> (usize, String) {
    match origin {
        ValueOrigin::Variable(name) => (0, format!("environment variable {}: ", printable(name))),
        ValueOrigin::Flag(flag) => (0, format!("{flag}: ")),
        ValueOrigin::File => {
            let line = lines.line_of(key);
            let mut words = String::new();
            if let Some(line) = line {
                words.push_str(&format!("line {line}"));
            }
            if !key.0.is_empty() {
                let gap = if words.is_empty() { "" } else { ", " };
                words.push_str(&format!("{gap}{key}"));
            }
            if let Some(name) = source_name(key, source_names) {
                words.push_str(&format!(" ({name:?})"));
            }
            if !words.is_empty() {
                words.push_str(": ");
            }
            (line.unwrap_or(usize::MAX), words)
        }
    }
}

fn source_name<'a>(key: &Key, names: &'a [String]) -> Option<&'a String> {
    match key.0.as_slice() {
        [table, index, ..] if table == "source" => names
            .get(index.parse::<usize>().ok()?)
            .filter(|name| !name.is_empty() && !looks_secret(name)),
        _ => None,
    }
}

/// The candidate that somebody most likely meant, if one is near.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = word.to_lowercase();
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&word, &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_as_people_count() {
        assert_eq!(Key::source(1, "bucket").to_string(), "source[2].bucket");
        assert_eq!(
            Key::source(0, "compress").item(2).to_string(),
            "source[1].compress[3]"
        );
        assert_eq!(Key::of("limits", "workers").to_string(), "limits.workers");
        assert_eq!(Key::source(0, "compress").item(2).leaf(), "compress");
    }

    #[test]
    fn typos_find_their_key() {
        let keys = ["bucket", "prefix", "path", "compress"];
        for (typo, meant) in [
            ("buckt", Some("bucket")),
            ("Bucket", Some("bucket")),
            ("pth", Some("path")),
            ("compres", Some("compress")),
            ("encrypt", None),
        ] {
            assert_eq!(nearest(typo, keys), meant, "{typo}");
        }
    }
}
