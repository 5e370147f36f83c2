//! Counting what a restore does, and telling whoever watches.

use super::report::{Covered, Event, Progress, Restored};
use crate::types::{Class, Fault, Kind, WallMs};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// What an object costs beside its bytes: a request's time at the speed of an
/// office's line.
const OBJECT_WORK: u64 = 64 * 1024;

/// A body that is on its way. Its bytes count as work until this is dropped; then the
/// object is done with, which counts them for good, or it is fetched again.
pub(crate) struct ArrivingBody {
    stats: Arc<RestoreStats>,
    bytes: u64,
}

impl ArrivingBody {
    /// So many more bytes have come.
    pub(crate) fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.stats.arrived(bytes);
    }
}

impl Drop for ArrivingBody {
    fn drop(&mut self) {
        self.stats
            .work_done
            .fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Shared by all workers.
pub(crate) struct RestoreStats {
    restored: Mutex<Restored>,
    bytes_moved: AtomicU64,
    bytes_arrived: AtomicU64,
    work_done: AtomicU64,
    work_found: AtomicU64,
    /// Objects and their stored bytes.
    total: OnceLock<(u64, u64)>,
    report: Box<dyn Fn(Event<'_>) + Send + Sync>,
}

impl RestoreStats {
    pub(crate) fn new(report: Box<dyn Fn(Event<'_>) + Send + Sync>) -> Self {
        Self {
            restored: Mutex::default(),
            bytes_moved: AtomicU64::new(0),
            bytes_arrived: AtomicU64::new(0),
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

    /// Something was written that the server had stored then.
    pub(crate) fn wrote(&self, kind: Kind, bytes: u64, stored_at_ms: WallMs, torn: Option<String>) {
        self.note(|all| {
            match kind {
                Kind::Symlink => all.links += 1,
                Kind::Folder => all.folders += 1,
                Kind::File | Kind::Special => {
                    all.files += 1;
                    all.bytes += bytes;
                }
            }
            all.newest_ms = all.newest_ms.max(Some(stored_at_ms));
            if let Some(path) = torn {
                all.torn.push(path);
            }
        });
    }

    /// The same was there already.
    pub(crate) fn identical(&self, stored_at_ms: WallMs) {
        self.note(|all| {
            all.identical += 1;
            all.newest_ms = all.newest_ms.max(Some(stored_at_ms));
        });
    }

    /// So many more bytes of a body have come. Tells whoever watches: over a slow line
    /// nothing else happens for minutes.
    pub(crate) fn arrived(&self, bytes: u64) {
        self.bytes_arrived.fetch_add(bytes, Ordering::Relaxed);
        self.work_done.fetch_add(bytes, Ordering::Relaxed);
        let progress = self.progress(&self.lock());
        (self.report)(Event::Progress(progress));
    }

    /// Counts the body of an object that is fetched in one piece.
    pub(crate) fn arriving(self: &Arc<Self>) -> ArrivingBody {
        ArrivingBody {
            stats: Arc::clone(self),
            bytes: 0,
        }
    }

    /// So many bytes of a body came in an earlier run.
    pub(crate) fn taken_up(&self, bytes: u64) {
        self.work_done.fetch_add(bytes, Ordering::Relaxed);
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
        self.work_done.fetch_add(work, Ordering::Relaxed);
        if was_found {
            self.work_found.fetch_add(work, Ordering::Relaxed);
        }
    }

    /// Tell whoever watches.
    pub(crate) fn report(&self, event: Event<'_>) {
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
            arrived_bytes: self.bytes_arrived.load(Ordering::Relaxed),
            files_bytes: restored.bytes,
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

    fn watched() -> (Arc<RestoreStats>, Arc<Mutex<Vec<Progress>>>) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let to = seen.clone();
        let report = move |event: Event<'_>| {
            if let Event::Progress(progress) = event {
                to.lock().push(progress);
            }
        };
        (Arc::new(RestoreStats::new(Box::new(report))), seen)
    }

    #[test]
    fn every_byte_is_told_of_as_it_comes_and_counts_once() {
        let (stats, seen) = watched();
        stats.expect(1, 1_000);
        let mut first = stats.arriving();
        first.add(300);
        // The connection broke: it begins anew.
        drop(first);
        let mut second = stats.arriving();
        second.add(400);
        second.add(600);
        let told = |of: fn(&Progress) -> u64| seen.lock().iter().map(of).collect::<Vec<_>>();
        assert_eq!(told(|at| at.work_done), [300, 400, 1_000]);
        assert_eq!(told(|at| at.arrived_bytes), [300, 700, 1_300]);
        drop(second);
        stats.object_done(1_000, false);
        stats.note(|_| ());
        let last = *seen.lock().last().unwrap();
        assert_eq!(last.work_done, last.work_total);
    }
}
