//! Which files of the target belong to what another file was before its restore.

use crate::types::RelPath;
use parking_lot::Mutex;
use std::collections::HashMap;

/// Per file that comes back the companions that are to get another name.
#[derive(Debug, Default)]
pub(crate) struct StaleFiles(Mutex<HashMap<RelPath, Vec<RelPath>>>);

impl StaleFiles {
    pub(super) fn put(&self, main: RelPath, companions: Vec<RelPath>) {
        let mut all = self.0.lock();
        all.insert(main, companions);
    }

    pub(super) fn take(&self, main: &RelPath) -> Vec<RelPath> {
        let mut all = self.0.lock();
        all.remove(main).unwrap_or_default()
    }
}
