//! Counting what a restore does, and telling whoever watches.

use crate::types::{Class, Fault};
use parking_lot::Mutex;
use serde::Serialize;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Items that a result names; all of them are counted, and each is told as an
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
    /// Files, links and folders that were there already, the same.
    pub identical: u64,
    /// Failed, or left as they were.
    pub failed: u64,
    /// Objects there are to look at; `None` while that is being found out.
    pub objects_total: Option<u64>,
    /// Bytes of them as stored.
    pub stored_total: u64,
    /// Work that is behind, in stored bytes: each object counts some more, since
    /// the way to the server and back takes time as well.
    pub work_done: u64,
    /// Of it what an earlier run had done.
    pub work_found: u64,
    /// All the work.
    pub work_total: u64,
}

/// What an object costs beside its bytes: a request's time at the speed of an
/// office's line.
const OBJECT_WORK: u64 = 64 * 1024;

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
    /// This file is restored, but not all of it could be kept (mode, owner, time).
    LeftOut(&'a Fault),
    /// This file is restored from beneath another program's object.
    Covered(&'a Covered),
}

/// A file that another program has put its own object over, in the bucket.
/// Keepwatch's newest version beneath counts for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Covered {
    /// The file.
    pub path: String,
    /// When the other program's object was stored, milliseconds since 1970.
    pub covered_at_ms: i64,
    /// When Keepwatch's own version was.
    pub stored_at_ms: i64,
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
    /// Files restored without their mode, owner, time or attributes.
    pub left_out: Bounded<Fault>,
    /// Those among them that have another time, mode or attributes now than was asked for: the
    /// disk cannot hold it, or it was withheld.
    pub otherwise: u64,
    /// Files that were being written all the time when they were backed up:
    /// their content may be torn.
    pub unrested: Bounded<String>,
    /// Files restored from beneath what another program has put over them in the
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
    /// When the newest version that was restored was stored, milliseconds since 1970.
    pub newest_ms: Option<i64>,
    /// When the earliest version that was seen was stored, milliseconds since 1970.
    pub first_ms: Option<i64>,
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

/// Shared by all workers.
pub(crate) struct Tally {
    restored: Mutex<Restored>,
    bytes_moved: AtomicU64,
    work_done: AtomicU64,
    work_found: AtomicU64,
    /// Objects and their stored bytes.
    total: OnceLock<(u64, u64)>,
    report: Box<dyn Fn(Event<'_>) + Send + Sync>,
}

impl Tally {
    pub(crate) fn new(report: Box<dyn Fn(Event<'_>) + Send + Sync>) -> Self {
        Self {
            restored: Mutex::default(),
            bytes_moved: AtomicU64::new(0),
            work_done: AtomicU64::new(0),
            work_found: AtomicU64::new(0),
            total: OnceLock::new(),
            report,
        }
    }

    /// Write something down and tell how far things are.
    pub(crate) fn note(&self, change: impl FnOnce(&mut Restored)) {
        let progress = {
            let mut restored = self.lock();
            change(&mut restored);
            self.progress(&restored)
        };
        (self.report)(Event::Progress(progress));
    }

    /// So many more bytes of a body have come.
    pub(crate) fn arrived(&self, bytes: u64) {
        self.work_done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many bytes of a body came in an earlier run.
    pub(crate) fn taken_up(&self, bytes: u64) {
        self.arrived(bytes);
        self.work_found.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So much there is to do.
    pub(crate) fn expect(&self, objects: u64, stored_bytes: u64) {
        // Told once, before the first object.
        let _ = self.total.set((objects, stored_bytes));
    }

    /// An object is done with; `bytes` of its body have not been counted yet.
    pub(crate) fn object_done(&self, bytes: u64, was_found: bool) {
        let work = bytes.saturating_add(OBJECT_WORK);
        self.arrived(work);
        if was_found {
            self.work_found.fetch_add(work, Ordering::Relaxed);
        }
    }

    /// Tell whoever watches.
    pub(crate) fn tell(&self, event: Event<'_>) {
        (self.report)(event);
    }

    /// So many more bytes of a file are written.
    pub(crate) fn written(&self, bytes: u64) {
        self.bytes_moved.fetch_add(bytes, Ordering::Relaxed);
        let progress = self.progress(&self.lock());
        (self.report)(Event::Progress(progress));
    }

    pub(crate) fn failed(&self, fault: Fault) {
        (self.report)(Event::Failed(&fault));
        self.note(|restored| restored.failed.push(fault));
    }

    pub(crate) fn already_there(&self, fault: Fault) {
        (self.report)(Event::Failed(&fault));
        self.note(|restored| restored.already_there.push(fault));
    }

    pub(crate) fn left_out(&self, fault: Fault) {
        (self.report)(Event::LeftOut(&fault));
        self.note(|restored| {
            restored.otherwise += u64::from(fault.class == Class::Unstorable);
            restored.left_out.push(fault);
        });
    }

    pub(crate) fn covered(&self, covered: Covered) {
        (self.report)(Event::Covered(&covered));
        self.note(|restored| restored.covered.push(covered));
    }

    pub(crate) fn remarked(&self, fault: Fault) {
        self.note(|restored| restored.remarks.push(fault));
    }

    pub(crate) fn result(&self) -> Restored {
        self.lock().clone()
    }

    fn progress(&self, restored: &Restored) -> Progress {
        Progress {
            files: restored.files,
            links: restored.links,
            folders: restored.folders,
            bytes: self.bytes_moved.load(Ordering::Relaxed),
            identical: restored.identical,
            failed: restored.failed.total + restored.already_there.total,
            objects_total: self.total.get().map(|(objects, _)| *objects),
            stored_total: self.total.get().map_or(0, |(_, bytes)| *bytes),
            work_done: self.work_done.load(Ordering::Relaxed),
            work_found: self.work_found.load(Ordering::Relaxed),
            work_total: self.total.get().map_or(0, |(objects, bytes)| {
                bytes.saturating_add(objects.saturating_mul(OBJECT_WORK))
            }),
        }
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, Restored> {
        self.restored.lock()
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
