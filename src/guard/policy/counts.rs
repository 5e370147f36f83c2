//! What a scan, or a count of the files, has found.

use crate::types::RelKey;

/// What a scan of a whole source has found.
#[derive(Debug, Clone, Default)]
pub struct Scanned {
    /// Files and links on disk, or known and out of sight.
    pub on_disk: u64,
    /// Known files that are gone, except below lost mounts.
    pub gone: u64,
    /// Known files, except below lost mounts.
    pub known: u64,
    /// Every folder could be read, and the scan looked for what is gone.
    pub complete: bool,
    /// The folder is not the one that was backed up.
    pub other_root: bool,
    /// Files of `gone` that the bucket has as deleted; `None` when it was not asked.
    pub absent: Option<u64>,
    /// Folders on which another disk is mounted.
    pub mounts: Vec<RelKey>,
    /// Known mounts that are gone, each with the number of known files that are gone
    /// with it.
    pub lost: Vec<(RelKey, u64)>,
}

impl Scanned {
    /// Known files that are gone with their disk.
    pub fn lost_files(&self) -> u64 {
        self.lost.iter().map(|(_, files)| files).sum()
    }
}

/// Known files that are not on the disk, counted one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lacks {
    /// How many.
    pub files: u64,
    /// Of how many.
    pub of: u64,
}
