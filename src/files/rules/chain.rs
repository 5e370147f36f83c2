//! The rule files that count in a folder, and what a rule decides.

use super::rule_file::RuleFile;
use crate::types::RelPath;
use std::sync::Arc;

/// The rule files that count in a folder, from the root's down to its own.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    /// Where a path's part below the rule file's folder begins, and its rules.
    pub(crate) links: Vec<(usize, Arc<RuleFile>)>,
}

impl Chain {
    pub(crate) fn len(&self) -> usize {
        self.links.len()
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.links.truncate(len);
    }

    pub(crate) fn push(&mut self, folder: &RelPath, file: Arc<RuleFile>) {
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
pub(crate) struct Decided<'c> {
    /// How much of the path is the folder of the rule file that it stands in;
    /// `None` for one of the configuration's.
    pub(crate) file: Option<usize>,
    /// As it is written.
    pub(crate) rule: &'c str,
    /// It takes the path back in.
    pub(crate) takes_in: bool,
}
