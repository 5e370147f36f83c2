//! What all parts of the validation need.

use super::given::{Defaults, Needs};
use super::key::Key;
use super::layers::Layers;
use super::paths;
use super::problem::Problem;
use super::problems::Problems;
use std::path::{Path, PathBuf};

/// What the checks need to know besides the values.
pub(crate) struct Input<'a> {
    /// The file, absolute.
    pub(super) file: &'a Path,
    /// Where each value came from.
    pub(super) layers: &'a Layers,
    /// What holds when the file is silent.
    pub(super) defaults: &'a Defaults,
    /// What must be there.
    pub(super) needs: Needs,
}

impl Input<'_> {
    /// A checked value; a wrong one is noted and gives nothing.
    pub(super) fn take<T>(
        &self,
        problems: &mut Problems,
        key: Key,
        checked: Result<T, Problem>,
    ) -> Option<T> {
        checked
            .map_err(|wrong| problems.add(self.layers.origin(&key), key, wrong))
            .ok()
    }

    /// A path as written, absolute.
    pub(super) fn path(&self, text: &str) -> Result<PathBuf, Problem> {
        let base = self.file.parent().unwrap_or(self.file);
        paths::resolve(text, base, &self.defaults.home)
    }
}
