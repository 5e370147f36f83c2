//! What a walk gives: entries, and what it could not see.

use crate::types::{Fault, Fingerprint, RelKey, RelPath};

/// One thing found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalkEntry {
    /// Its key: a folder's for a folder, a file's for everything else.
    pub key: RelKey,
    /// What it is, links not followed.
    pub fingerprint: Fingerprint,
    /// For a folder: it has no file, link or folder in it that counts.
    pub empty: bool,
    /// For a folder: it is on another device than the folder that it is in.
    pub mounted: bool,
    /// The file system it is on.
    pub dev: u64,
    /// How many names it has.
    pub links: u64,
}

impl WalkEntry {
    /// Its path.
    pub fn path(&self) -> RelPath {
        self.key.path()
    }
}

/// Something that could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalkFault {
    /// What went wrong with what.
    pub fault: Fault,
    /// What is unknown: a file's key is that one path, a folder's key (the
    /// empty key for the root) is everything whose key begins with it.
    pub subtree: RelKey,
}

impl WalkFault {
    /// True when nothing may be concluded about `key` from its absence.
    pub fn covers(&self, key: &RelKey) -> bool {
        if self.subtree.is_folder() {
            key.as_str().starts_with(self.subtree.as_str())
        } else {
            key == &self.subtree
        }
    }
}
