//! What a restore tells: how far it is, what happens, and what it came to.

use crate::types::{Fault, WallMs};
use serde::Serialize;
use std::time::Duration;

/// Items that a result names. All of them are counted, and each is reported as an
/// [`Event`] when it happens. Nobody reads longer lists, and memory is bounded.
pub const LIST_ITEMS_MAX: usize = 1_000;

/// A list that names the first [`LIST_ITEMS_MAX`] and counts all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bounded<T> {
    /// How many there are.
    pub total: u64,
    /// The first of them.
    pub items: Vec<T>,
}

impl<T> Default for Bounded<T> {
    fn default() -> Self {
        Self {
            total: 0,
            items: Vec::new(),
        }
    }
}

impl<T> Bounded<T> {
    /// Count one more, and name it if there is room.
    pub fn push(&mut self, item: T) {
        self.total += 1;
        if self.items.len() < LIST_ITEMS_MAX {
            self.items.push(item);
        }
    }
}

/// How far a restore is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Files written.
    pub files: u64,
    /// Links written.
    pub links: u64,
    /// Folders created for themselves (empty ones).
    pub folders: u64,
    /// Bytes written, unpacked; rises while a file is being written, and counts
    /// again what had to be tried again.
    pub bytes: u64,
    /// Bytes that have come over the line, as stored; those that had to be fetched again
    /// count again.
    pub arrived_bytes: u64,
    /// Bytes of [`Progress::files`], unpacked.
    pub files_bytes: u64,
    /// Files, links and folders that were there already, the same.
    pub identical: u64,
    /// Failed, or left as they were.
    pub failed: u64,
    /// Objects there are to look at; `None` while that is being found out.
    pub objects_total: Option<u64>,
    /// Bytes of them as stored.
    pub stored_total: u64,
    /// Work that is done, in stored bytes. Each object counts some more, since its
    /// round trip takes time as well.
    pub work_done: u64,
    /// The part of it that an earlier run had done.
    pub work_found: u64,
    /// All the work.
    pub work_total: u64,
}

/// What happens during a restore.
#[derive(Debug)]
pub enum Event<'a> {
    /// The listing is being read; so much has been named so far.
    Found {
        /// Objects.
        objects: u64,
        /// Bytes of them as stored.
        stored_bytes: u64,
    },
    /// So many objects in cold storage are waited for.
    Thawing {
        /// How many.
        objects: u64,
        /// Since when.
        waited: Duration,
    },
    /// Something moved.
    Progress(Progress),
    /// This file could not be restored.
    Failed(&'a Fault),
    /// This file is restored, but not all that it had beside its content could be kept.
    LeftOut(&'a Fault),
    /// This file is restored from the version that another program's object shadows.
    Covered(&'a Covered),
}

/// A file that another program has put its own object over, in the bucket.
/// Keepwatch's newest version under it counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Covered {
    /// The file.
    pub path: String,
    /// When the other program's object was stored, milliseconds since 1970.
    pub covered_at_ms: WallMs,
    /// When Keepwatch's own version was.
    pub stored_at_ms: WallMs,
}

/// What a restore did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// Files written.
    pub files: u64,
    /// Links written.
    pub links: u64,
    /// Folders created for themselves (empty ones).
    pub folders: u64,
    /// Bytes of the files written, unpacked.
    pub bytes: u64,
    /// Files, links and folders that were there already, the same.
    pub identical: u64,
    /// Objects that Keepwatch did not write: left alone.
    pub skipped_foreign: u64,
    /// Files that differ from what stands there already, which was left as it is.
    pub already_there: Bounded<Fault>,
    /// What could not be restored.
    pub failed: Bounded<Fault>,
    /// Files restored without all that they had beside their content.
    pub left_out: Bounded<Fault>,
    /// Those among them where something else stands now than was asked for: the disk cannot
    /// hold it, or it was withheld.
    pub otherwise: u64,
    /// Files that were being written all the time when they were backed up:
    /// their content may be torn.
    #[serde(rename = "unrested")]
    pub torn: Bounded<String>,
    /// Files restored from versions that another program's objects shadow in the
    /// bucket: somebody has to say which of the two is right.
    pub covered: Bounded<Covered>,
    /// What is worth knowing of the backup itself, and keeps no file from coming
    /// back: a damaged manifest.
    pub remarks: Bounded<Fault>,
    /// In place: what was there before, under the names that it has now.
    pub kept_beside: Bounded<String>,
    /// In place: files that were replaced, as the bucket has them as a version.
    pub replaced_stored: u64,
    /// What was asked for and matched nothing.
    pub unmatched: Vec<String>,
    /// What was asked for and matched something.
    #[serde(skip)]
    pub matched: Vec<String>,
    /// When the newest version that was restored was stored, milliseconds since 1970.
    pub newest_ms: Option<WallMs>,
    /// When the earliest version that was seen was stored, milliseconds since 1970.
    pub first_ms: Option<WallMs>,
}

impl Restored {
    /// True when everything that was asked for is there, and nobody has to look.
    pub fn is_complete(&self) -> bool {
        self.is_all_there() && self.covered.total == 0 && self.otherwise == 0
    }

    /// True when everything that was asked for is there.
    pub fn is_all_there(&self) -> bool {
        self.failed.total == 0 && self.already_there.total == 0
    }

    /// How much of what was asked for was found in the bucket at all.
    pub fn found(&self) -> u64 {
        self.files
            + self.links
            + self.folders
            + self.identical
            + self.already_there.total
            + self.failed.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_bounded_and_counts_are_not() {
        let mut list = Bounded::default();
        for number in 0..LIST_ITEMS_MAX + 5 {
            list.push(number);
        }
        assert_eq!(
            (list.items.len(), list.total),
            (LIST_ITEMS_MAX, LIST_ITEMS_MAX as u64 + 5)
        );
    }
}
