//! Which files of the target belong to what another file was before its restore.

use crate::types::RelPath;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Per file that comes back the companions that are to get another name.
#[derive(Debug, Default)]
pub(crate) struct StaleFiles(Mutex<HashMap<RelPath, Vec<RelPath>>>);

impl StaleFiles {
    pub(super) fn put(&self, main: RelPath, companions: Vec<RelPath>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(main, companions);
    }

    pub(super) fn take(&self, main: &RelPath) -> Vec<RelPath> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(main).unwrap_or_default()
    }
}
