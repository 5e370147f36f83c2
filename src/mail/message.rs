//! What every message to the owner is made of: a subject and a body within what SNS
//! takes, remedies, and a list of failures.

use super::layout::{List, Page, Section};
use crate::types::{amount, ascii, clean, number, shorten};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The largest body: SNS takes 262,144 bytes (UTF-8) for a message with its
/// attributes; the rest is left for the subject and for servers that count
/// what they add.
pub const BODY_BYTES_MAX: usize = 256 * 1024 - 8 * 1024;

/// SNS documents "less than 100 characters".
pub const SUBJECT_CHARS_MAX: usize = 99;

/// A computer's name in a subject: longer ones would push out the verdict.
pub(crate) const COMPUTER_CHARS_MAX: usize = 32;

/// Folder names in a message; the rest is counted.
const NAMES_MAX: usize = 8;

/// Different remedies shown. More kinds of trouble than this on one day means
/// that something larger is wrong, and the lists below name each.
const REMEDIES_MAX: usize = 12;

/// Subject and body, within what SNS takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// One line of ASCII.
    pub subject: String,
    /// Plain text.
    pub body: String,
}

/// A path that failed in the period.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FailureLine {
    /// The file, as shown to people.
    pub path: String,
    /// Why.
    pub reason: String,
    /// What to do about it; empty when it passes by itself.
    pub remedy: String,
    /// How often.
    pub count: u64,
}

/// A subject that SNS takes: ASCII, one line, begins with a letter.
pub(crate) fn subject(computer: &str, what: &str) -> String {
    let computer = shorten(&ascii(computer), COMPUTER_CHARS_MAX);
    shorten(
        &format!("Keepwatch {computer}: {}", ascii(what)),
        SUBJECT_CHARS_MAX,
    )
}

pub(crate) fn count_of<T>(list: &[T]) -> u64 {
    list.len() as u64
}

pub(crate) fn push_remedy(head: &mut Vec<String>, hint: &str) {
    if !hint.is_empty() {
        head.push(format!("What to do: {}", clean(hint)));
    }
}

pub(crate) fn names(sources: &[String]) -> String {
    let mut text = sources
        .iter()
        .take(NAMES_MAX)
        .map(|name| clean(name))
        .collect::<Vec<_>>()
        .join(", ");
    if sources.len() > NAMES_MAX {
        text += &format!(" and {} more", sources.len() - NAMES_MAX);
    }
    text
}

/// For a subject: the one folder's name, or how many there are.
pub(crate) fn short_names(sources: &[String]) -> String {
    match sources {
        [one] => shorten(one, COMPUTER_CHARS_MAX),
        many => amount(count_of(many), "folder"),
    }
}

pub(crate) fn fit(head: Vec<String>, list: Option<List>) -> String {
    let sections = list.map(|list| Section {
        lines: vec![String::new()],
        lists: vec![list],
    });
    Page {
        head,
        sections: sections.into_iter().collect(),
        section_noun: "parts",
    }
    .render(BODY_BYTES_MAX)
}

/// Each text once, the most frequent first.
pub(crate) fn by_need<'a>(remedies: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut times: BTreeMap<&str, u64> = BTreeMap::new();
    for remedy in remedies.filter(|remedy| !remedy.is_empty()) {
        *times.entry(remedy).or_default() += 1;
    }
    let mut found: Vec<(&str, u64)> = times.into_iter().collect();
    found.sort_by_key(|(_, times)| Reverse(*times));
    found.into_iter().map(|(remedy, _)| remedy).collect()
}

/// Those texts as a part of the head; nothing when there are none.
pub(crate) fn list_remedies(found: &[&str]) -> Vec<String> {
    if found.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![String::new(), "What to do".to_owned()];
    for remedy in found.iter().take(REMEDIES_MAX) {
        lines.push(format!("  - {}", clean(remedy)));
    }
    if found.len() > REMEDIES_MAX {
        let left = number((found.len() - REMEDIES_MAX) as u64);
        lines.push(format!("  ... and {left} more"));
    }
    lines
}

/// The list of failures under that title, when there are any.
pub(crate) fn failures(title: &str, failures: &[FailureLine], total: u64) -> Option<List> {
    (total > 0).then(|| List {
        title: format!("{title}: {}", amount(total, "file")),
        lines: failures.iter().map(failure_line).collect(),
        total,
    })
}

pub(crate) fn failure_line(line: &FailureLine) -> String {
    let times = match line.count {
        0 | 1 => String::new(),
        count => format!(" ({} times)", number(count)),
    };
    format!(
        "    - {}: {}{times}",
        clean(&line.path),
        clean(&line.reason)
    )
}
