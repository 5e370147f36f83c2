//! The rule files that count in a folder, and what a rule decides.

use super::rule_file::RuleFile;
use crate::types::RelPath;
use std::sync::Arc;

/// The rule files that count in a folder, from the root's down to its own.
#[derive(Debug, Default)]
pub(in crate::files) struct Chain {
    /// Where a path's part below the rule file's folder begins, and its rules.
    pub(in crate::files) links: Vec<(usize, Arc<RuleFile>)>,
}

impl Chain {
    pub(in crate::files) fn len(&self) -> usize {
        self.links.len()
    }

    pub(in crate::files) fn truncate(&mut self, len: usize) {
        self.links.truncate(len);
    }

    pub(in crate::files) fn push(&mut self, folder: &RelPath, file: Arc<RuleFile>) {
        if !file.patterns.is_empty() {
            let start = match folder.as_bytes().len() {
                0 => 0,
                len => len + 1,
            };
            self.links.push((start, file));
        }
    }
}

/// The rule that decided about a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::files) struct Decided<'c> {
    /// How much of the path is the folder of the rule file that it stands in;
    /// `None` for one of the configuration's.
    pub(in crate::files) file: Option<usize>,
    /// As it is written.
    pub(in crate::files) rule: &'c str,
    /// It takes the path back in.
    pub(in crate::files) takes_in: bool,
}
