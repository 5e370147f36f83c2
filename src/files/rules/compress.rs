//! Which files are stored compressed.

use super::rule_file::of_config;
use crate::os;
use crate::types::{Fatal, RelPath};
use ignore::Match;
use ignore::gitignore::Gitignore;

/// Which files are stored compressed.
#[derive(Debug)]
pub struct Compress {
    patterns: Gitignore,
}

impl Compress {
    /// The configuration's patterns, in gitignore form. Case does not matter:
    /// `DATA.CSV` of an old program is as compressible as `data.csv`.
    ///
    /// # Errors
    /// [`Fatal`] (usage) when a pattern is no pattern.
    pub fn new(patterns: &[String]) -> Result<Self, Fatal> {
        Ok(Self {
            patterns: of_config("compress", patterns, true)?,
        })
    }

    /// True when the file at `path`, or a folder that it is in, is meant.
    pub fn matches(&self, path: &RelPath) -> bool {
        self.rule_for(path).is_some()
    }

    /// The pattern because of which the file is compressed.
    pub fn rule_for(&self, path: &RelPath) -> Option<&str> {
        let mut rest = path.as_bytes();
        let mut is_folder = false;
        while !self.patterns.is_empty() && !rest.is_empty() {
            match self
                .patterns
                .matched(os::path_for_patterns(rest), is_folder)
            {
                Match::Ignore(glob) => return Some(glob.original()),
                Match::Whitelist(_) => return None,
                Match::None => {}
            }
            let end = rest.iter().rposition(|b| *b == b'/').unwrap_or(0);
            rest = &rest[..end];
            is_folder = true;
        }
        None
    }
}
