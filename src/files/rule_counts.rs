//! Counts how much each rule leaves out, or selects for compression.
//!
//! It takes one walk. Folders that are left out are walked as well, for a bounded time in all.
//! Blocks.

use super::rules::{Compress, Rules};
use super::walk;
use crate::files::walk::noted::{Noted, RuleAt};
use crate::types::{Kind, RelPath};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The longest that what is left out is counted. A folder that is left out may
/// hold a million files, and somebody waits for the answer.
const COUNTING_MAX: Duration = Duration::from_secs(20);

/// Rules that are counted one by one; nobody reads longer lists.
const RULES_MAX: usize = 200;

/// What one rule comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleCount {
    /// Which.
    pub at: RuleAt,
    /// Files and links that it decides about.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Folders that it decides about by name.
    pub folders: u64,
}

/// What all of them come to.
#[derive(Debug)]
pub struct RuleCounts {
    root: PathBuf,
    /// Sees what rules leave out.
    open: Rules,
    rules: Vec<RuleCount>,
    /// Rules beyond those that are counted.
    more: u64,
    left: Duration,
    is_whole: bool,
}

impl RuleCounts {
    /// Begin with the configuration's rules.
    pub fn new(root: &Path, config: &[String]) -> Self {
        Self::within(root, config, COUNTING_MAX)
    }

    fn within(root: &Path, config: &[String], left: Duration) -> Self {
        let mut counts = Self {
            root: root.to_owned(),
            open: Rules::none(root),
            rules: Vec::new(),
            more: 0,
            left,
            is_whole: true,
        };
        for rule in config {
            counts.rule(&RuleAt {
                folder: None,
                rule: rule.clone(),
            });
        }
        counts
    }

    /// Count what the walk has noted.
    pub fn add(&mut self, noted: Vec<Noted>) {
        for Noted {
            at,
            path,
            is_folder,
        } in noted
        {
            let number = self.rule(&at);
            let (Some(number), Some(path)) = (number, path) else {
                continue;
            };
            self.rules[number].folders += u64::from(is_folder);
            // What is taken back in is walked anyway.
            if !at.rule.starts_with('!') {
                self.count(number, &path);
            } else if !is_folder {
                self.rules[number].files += 1;
            }
        }
    }

    /// Count a file that is stored, for the pattern that has it compressed.
    pub fn stored(&mut self, compress: &Compress, path: &RelPath, bytes: u64) {
        let Some(rule) = compress.rule_for(path) else {
            return;
        };
        let at = RuleAt {
            folder: None,
            rule: rule.to_owned(),
        };
        if let Some(number) = self.rule(&at) {
            self.rules[number].files += 1;
            self.rules[number].bytes += bytes;
        }
    }

    /// Each rule, in the order in which they were met.
    pub fn rules(&self) -> &[RuleCount] {
        &self.rules
    }

    /// Rules beyond those.
    pub fn more(&self) -> u64 {
        self.more
    }

    /// False when time ran out: the figures are less than the truth.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    fn rule(&mut self, at: &RuleAt) -> Option<usize> {
        let known = self.rules.iter().position(|count| count.at == *at);
        if known.is_none() && self.rules.len() == RULES_MAX {
            self.more += 1;
            return None;
        }
        Some(known.unwrap_or_else(|| {
            self.rules.push(RuleCount {
                at: at.clone(),
                files: 0,
                bytes: 0,
                folders: 0,
            });
            self.rules.len() - 1
        }))
    }

    /// Count what is at and below the path.
    fn count(&mut self, number: usize, path: &RelPath) {
        let began = Instant::now();
        let count = &mut self.rules[number];
        for entry in walk::walk(&self.root, path, &self.open) {
            if began.elapsed() >= self.left {
                self.is_whole = false;
                // So that the rule does not seem to leave out nothing.
                count.files = count.files.max(1);
                break;
            }
            // What cannot be looked at is not known.
            let Ok(entry) = entry else { continue };
            if matches!(entry.fingerprint.kind, Kind::File | Kind::Symlink) {
                count.files += 1;
                count.bytes += entry.fingerprint.size_bytes;
            }
        }
        self.left = self.left.saturating_sub(began.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::walk;

    fn counted(config: &[&str], left: Duration) -> (Vec<(String, u64, u64)>, bool) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for (path, bytes) in [
            ("private/a", 10),
            ("private/deep/b", 20),
            ("x.tmp", 5),
            ("docs/y.tmp", 6),
            ("docs/keep.tmp", 7),
            ("docs/z", 1),
        ] {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, vec![0; bytes]).unwrap();
        }
        std::fs::write(root.join("docs/.keepwatchignore"), "z\nnothing\n").unwrap();
        let config: Vec<String> = config.iter().map(|rule| (*rule).to_owned()).collect();
        let rules = Rules::new(root, &config).unwrap();
        let mut counts = RuleCounts::within(root, &config, left);
        let mut walk = walk::walk(root, &RelPath::root(), &rules).noting();
        while walk.next().is_some() {
            counts.add(walk.take_noted());
        }
        counts.add(walk.take_noted());
        let shown = |count: &RuleCount| {
            let folder = count.at.folder.as_ref();
            let folder = folder.map_or_else(String::new, |folder| format!("{folder}: "));
            (
                format!("{folder}{}", count.at.rule),
                count.files,
                count.bytes,
            )
        };
        (
            counts.rules().iter().map(shown).collect(),
            counts.is_whole(),
        )
    }

    #[test]
    fn each_rule_counts_what_it_leaves_out() {
        let all = ["/private/", "*.tmp", "!keep.tmp", "*.bak"];
        let (rules, is_whole) = counted(&all, COUNTING_MAX);
        let want = [
            ("/private/", 2, 30),
            ("*.tmp", 2, 11),
            ("!keep.tmp", 1, 0),
            ("*.bak", 0, 0),
            ("docs: z", 1, 1),
            ("docs: nothing", 0, 0),
        ];
        assert_eq!(
            rules,
            want.map(|(rule, files, bytes)| (rule.to_owned(), files, bytes))
        );
        assert!(is_whole);
    }

    #[test]
    fn a_count_that_is_cut_off_says_so_and_calls_no_rule_useless() {
        let (rules, is_whole) = counted(&["/private/", "*.bak"], Duration::ZERO);
        assert!(!is_whole);
        assert_eq!(rules[0], ("/private/".to_owned(), 1, 0));
    }
}
