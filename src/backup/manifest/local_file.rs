//! The manifest as a file in the state folder, before it is sent.

use crate::types::{Class, Fault};
use std::path::{Path, PathBuf};

/// The manifest as a file in the state folder, removed when this is dropped.
pub(crate) struct LocalFile {
    pub(crate) folder: PathBuf,
    pub(crate) name: String,
}

impl LocalFile {
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }
}

impl Drop for LocalFile {
    fn drop(&mut self) {
        // The next one is written over it.
        let _ = std::fs::remove_file(self.path());
    }
}

pub(crate) fn unwritable(to: &Path, cause: &str) -> Fault {
    Fault::new(Class::Local, "write", to.display().to_string(), cause)
        .hint("see whether the state folder's disk is full")
}
