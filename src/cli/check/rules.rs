//! What each rule of a source leaves out or has compressed, in words.

use super::findings::Severity;
use crate::files::{RULE_FILE_NAME, RuleCount, RuleCounts};
use crate::types;

/// What each rule comes to, in words.
pub(super) fn lines(key: &str, counts: &RuleCounts) -> Vec<(Severity, String)> {
    let of_one = |count: &RuleCount| line(key, count, counts.is_whole());
    let mut lines: Vec<_> = counts.rules().iter().map(of_one).collect();
    if counts.more() > 0 {
        let text = format!(
            "more than {} rules: the others are not counted",
            counts.rules().len()
        );
        lines.push((Severity::Good, text));
    }
    if !counts.is_whole() {
        let text = "counting what is left out was cut off after 20 seconds: these numbers are the least that it can be";
        lines.push((Severity::Good, text.to_owned()));
    }
    lines
}

fn line(key: &str, count: &RuleCount, is_whole: bool) -> (Severity, String) {
    let rule = &count.at.rule;
    let place = match &count.at.folder {
        None => key.to_owned(),
        Some(folder) if folder.is_root() => RULE_FILE_NAME.to_owned(),
        Some(folder) => format!("{folder}/{RULE_FILE_NAME}"),
    };
    let least = if is_whole { "" } else { "at least " };
    let amount = format!(
        "{least}{} ({})",
        types::amount(count.files, "file"),
        types::size(count.bytes)
    );
    let is_back = rule.starts_with('!');
    let matches_nothing = count.files + count.folders == 0;
    match (key, is_back) {
        ("exclude", true) if matches_nothing => (
            Severity::Warning,
            format!(
                "{place}: \"{rule}\" takes nothing back in: nothing is called so, or a folder that it is in is left out"
            ),
        ),
        ("exclude", true) => (
            Severity::Good,
            format!("{place}: \"{rule}\" takes back in what it names"),
        ),
        ("exclude", false) if matches_nothing => (
            Severity::Warning,
            format!(
                "{place}: \"{rule}\" leaves out nothing: nothing in the folder is called so (capital letters count), or another rule leaves it out already"
            ),
        ),
        ("exclude", false) => (
            Severity::Good,
            format!("{place}: \"{rule}\" leaves out {amount}"),
        ),
        (_, true) => (
            Severity::Good,
            format!("{place}: \"{rule}\" is not compressed"),
        ),
        (_, false) if matches_nothing => (
            Severity::Warning,
            format!(
                "{place}: \"{rule}\" has nothing compressed: no file is called so, or another pattern has it compressed already"
            ),
        ),
        (_, false) => (
            Severity::Good,
            format!("{place}: \"{rule}\" has {amount} compressed"),
        ),
    }
}
