//! sled behind a guard: the one file that calls it.
//!
//! sled panics on a damaged file, or spins, and stays failed after a full disk.
//! Here every call runs on the database's own thread under a watchdog: a panic,
//! a stall or corruption becomes a [`Fault`] and leaves a flag file, so that the
//! next opening sets the database aside. After a failed write nothing more is
//! tried until the index is opened again: what memory and disk hold may differ.
//! It must never decide what is stored, or retry.
//!
//! Every batch has a number, and how far the disk has certainly come is noted
//! in a file beside the database: sled opens one that lost its end as if
//! nothing were missing.

use super::keys::Space;
use super::private::write_private;
use super::refusal::{HINT_DAMAGED, OpenRefused, given_up, refused};
use super::worker::Worker;
use crate::types::{Class, Fault, FaultDetail, counted};
use parking_lot::Mutex;
use std::fs;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Pages sled keeps in memory, as they are on disk; in memory they take about
/// twice that. More does not make a million files faster to read, and their
/// page table takes 55 MB besides.
const CACHE_BYTES: u64 = 16 << 20;

/// What a kill or a power cut can lose, at most. Losing it costs a second look
/// at those files, never a backup.
pub(super) const FLUSH_EVERY_MS: u64 = 500;

/// Every batch holds a buffer of its own until it is on disk, and sled queues
/// them without bound (250,000 batches: 700 MB). Flushing after this many bounds it.
const BATCHES_PER_FLUSH: u64 = 200;

/// sled's folder within a generation's.
pub(super) const SLED_FOLDER: &str = "sled";

/// sled's log within it.
const SLED_FILE: &str = "db";

/// Its content says why the generation must not be opened again.
pub(super) const DAMAGED_FLAG: &str = "damaged";

/// Holds the number of the last batch that was flushed, as hex digits.
const WATERMARK_FILE: &str = "watermark";

/// Holds the number of the last batch. Among the ledger lines, which most
/// batches write anyway.
const SEQUENCE_KEY: [u8; 5] = [Space::Totals as u8, 0, 0, 0, 0];

/// Opens sled on a generation's folder; replaced in tests.
pub(super) type OpenDb = dyn Fn(&Path) -> sled::Result<sled::Db> + Send + Sync;

/// Opens sled as it is meant to be.
pub(super) fn open_db(folder: &Path) -> sled::Result<sled::Db> {
    sled::Config::new()
        .path(folder.join(SLED_FOLDER))
        .cache_capacity(CACHE_BYTES)
        .flush_every_ms(Some(FLUSH_EVERY_MS))
        .open()
}

/// Writes that happen all or not at all: `None` removes the key.
#[derive(Debug, Default)]
pub(super) struct Batch(pub(super) Vec<(Vec<u8>, Option<Vec<u8>>)>);

impl Batch {
    pub(super) fn put(&mut self, key: Vec<u8>, value: impl Into<Vec<u8>>) {
        self.0.push((key, Some(value.into())));
    }

    pub(super) fn remove(&mut self, key: Vec<u8>) {
        self.0.push((key, None));
    }
}

/// A stored key and its value.
pub(super) type Entry = (Vec<u8>, Vec<u8>);

/// One open database.
pub(super) struct Engine {
    db: Worker<sled::Db>,
    /// sled's own file once more, to wait for it.
    log: Arc<File>,
    /// The generation's folder.
    folder: PathBuf,
    /// Set by the first failure after which nothing may be relied upon.
    broken: OnceLock<Fault>,
    /// Number of the last batch.
    sequence: AtomicU64,
    /// Number of the last batch known to be on disk.
    watermark: Mutex<File>,
}

impl Engine {
    /// Open the database of a generation, creating it when there is none. A
    /// call that gets nothing done for `stall` gives it up.
    pub(super) fn open(
        folder: &Path,
        stall: Duration,
        open_db: Arc<OpenDb>,
    ) -> Result<Self, OpenRefused> {
        let path = folder.to_owned();
        let db = match Worker::start("index", stall, move || open_db(&path)) {
            Ok(Ok(db)) => db,
            Ok(Err(error)) => return Err(refused(&error, folder)),
            Err(failed) => return Err(given_up(failed)),
        };
        let io = |error| refused(&sled::Error::Io(error), folder);
        let log = File::options()
            .write(true)
            .open(folder.join(SLED_FOLDER).join(SLED_FILE))
            .map_err(io)?;
        let path = folder.join(WATERMARK_FILE);
        let flushed = fs::read_to_string(&path).ok();
        let flushed = flushed.and_then(|hex| u64::from_str_radix(&hex, 16).ok());
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(io)?;
        let engine = Self {
            db,
            log: Arc::new(log),
            folder: folder.to_owned(),
            broken: OnceLock::new(),
            sequence: AtomicU64::new(0),
            watermark: Mutex::new(file),
        };
        let sequence = match engine.get(&SEQUENCE_KEY)? {
            Some(bytes) => <[u8; 8]>::try_from(bytes)
                .map(u64::from_be_bytes)
                .map_err(|_| engine.damaged("its sequence cannot be read"))?,
            None => 0,
        };
        let lost = flushed.unwrap_or(0).saturating_sub(sequence);
        if lost > 0 {
            let why = format!(
                "it has lost its contents (the last {} gone)",
                counted(lost, "write", ["is", "are"])
            );
            return Err(engine.damaged(&why).into());
        }
        engine.sequence.store(sequence, Ordering::Relaxed);
        Ok(engine)
    }

    /// Read one value.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let key = key.to_vec();
        self.call("read the index", move |db| {
            Ok(db.get(key)?.map(|value| value.to_vec()))
        })
    }

    /// Read many values, in one go: each call costs two changes of thread.
    pub(super) fn get_many(&self, keys: Vec<Vec<u8>>) -> Result<Vec<Option<Vec<u8>>>, Fault> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.call("read the index", move |db| {
            keys.iter()
                .map(|key| Ok(db.get(key)?.map(|value| value.to_vec())))
                .collect()
        })
    }

    /// Up to `limit` entries from `low` on, below `end`, in key order.
    pub(super) fn page(
        &self,
        low: Bound<&[u8]>,
        end: &[u8],
        limit: usize,
    ) -> Result<Vec<Entry>, Fault> {
        // sled panics on a range that ends before it begins.
        if let Bound::Included(low) | Bound::Excluded(low) = low
            && low >= end
        {
            return Ok(Vec::new());
        }
        let range = (low.map(<[u8]>::to_vec), Bound::Excluded(end.to_vec()));
        self.call("read the index", move |db| {
            db.range::<Vec<u8>, _>(range)
                .take(limit)
                .map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec())))
                .collect()
        })
    }

    /// Make all writes of the batch, or none. One at a time: the caller holds
    /// the ledger.
    pub(super) fn apply(&self, batch: Batch) -> Result<(), Fault> {
        let sequence = self.sequence.load(Ordering::Relaxed) + 1;
        self.write(move |db| {
            let mut writes = sled::Batch::default();
            for (key, value) in batch.0 {
                match value {
                    Some(value) => writes.insert(key, value),
                    None => writes.remove(key),
                }
            }
            writes.insert(&SEQUENCE_KEY, &sequence.to_be_bytes());
            db.apply_batch(writes)
        })?;
        self.sequence.store(sequence, Ordering::Release);
        if sequence.is_multiple_of(BATCHES_PER_FLUSH) {
            self.flush()?;
        }
        Ok(())
    }

    /// Wait until everything written so far is on disk.
    pub(super) fn flush(&self) -> Result<(), Fault> {
        // Read before flushing: what comes meanwhile may not be on disk.
        let sequence = self.sequence.load(Ordering::Acquire);
        let log = Arc::clone(&self.log);
        self.write(move |db| {
            db.flush()?;
            // On Linux sled only hands its bytes to the disk (sync_file_range):
            // without this a power cut takes what was flushed before.
            log.sync_data()?;
            Ok(())
        })?;
        let mut file = self.watermark.lock();
        // Best effort: an old mark only makes the check weaker.
        let _ = file
            .rewind()
            .and_then(|()| file.write_all(format!("{sequence:016x}").as_bytes()));
        Ok(())
    }

    /// Bytes of the database on disk.
    pub(super) fn disk_bytes(&self) -> Result<u64, Fault> {
        self.call("measure the index", sled::Db::size_on_disk)
    }

    /// The failure after which nothing is tried any more.
    pub(super) fn broken(&self) -> Option<&Fault> {
        self.broken.get()
    }

    /// True when its thread is stuck, and left behind when this is dropped.
    pub(super) fn is_stuck(&self) -> bool {
        self.db.is_stuck()
    }

    /// The generation's folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Note that the database holds what it cannot hold.
    pub(super) fn damaged(&self, why: &str) -> Fault {
        self.unusable(why, FaultDetail::IndexDamaged)
    }

    fn unusable(&self, why: &str, detail: FaultDetail) -> Fault {
        let fault = Fault::new(
            Class::Local,
            "use the index",
            self.folder.display().to_string(),
            why,
        )
        .hint(HINT_DAMAGED)
        .detail(detail);
        // Best effort: without the flag the next opening's own check finds the damage.
        let _ = write_private(&self.folder.join(DAMAGED_FLAG), why.as_bytes());
        self.broken.get_or_init(|| fault.clone());
        fault
    }

    /// A call that lasts until the other end is dropped.
    #[cfg(test)]
    pub(super) fn never_ends(&self, until: std::sync::mpsc::Receiver<()>) -> Result<(), Fault> {
        self.call("wait", move |_| {
            let _ = until.recv();
            Ok(())
        })
    }

    fn write(
        &self,
        write: impl FnOnce(&sled::Db) -> sled::Result<()> + Send + 'static,
    ) -> Result<(), Fault> {
        self.call("write the index", write).inspect_err(|fault| {
            self.broken.get_or_init(|| fault.clone());
        })
    }

    fn call<T: Send + 'static>(
        &self,
        operation: &str,
        call: impl FnOnce(&sled::Db) -> sled::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        if let Some(fault) = self.broken.get() {
            return Err(fault.clone());
        }
        let refused = match self.db.call(call) {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => refused(&error, &self.folder),
            Err(failed) => given_up(failed),
        };
        let fault = |why| {
            let subject = self.folder.display().to_string();
            Fault::new(Class::Local, operation, subject, why)
        };
        Err(match refused {
            OpenRefused::Damaged(why) => self.damaged(&why),
            OpenRefused::Stuck(why) => self.unusable(&why, FaultDetail::IndexStuck),
            OpenRefused::Locked(why) => fault(why),
            OpenRefused::Computer { why, hint } => fault(why).hint(hint),
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Also moves the watermark; the worker then closes the database.
        let _ = self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open_in(folder: &Path) -> Result<Engine, OpenRefused> {
        Engine::open(folder, Duration::from_secs(20), Arc::new(open_db))
    }

    fn open() -> (tempfile::TempDir, Engine) {
        let folder = tempfile::tempdir().unwrap();
        let engine = open_in(folder.path()).unwrap();
        (folder, engine)
    }

    #[test]
    fn a_panic_becomes_a_fault_and_a_flag_and_nothing_more_is_tried() {
        let (folder, engine) = open();
        engine
            .apply(Batch(vec![(b"k".to_vec(), Some(b"v".to_vec()))]))
            .unwrap();
        let fault = engine
            .call::<()>("read the index", |_| panic!("page 7 is missing"))
            .unwrap_err();
        assert_eq!(fault.class, Class::Local);
        assert!(fault.cause.contains("page 7 is missing"), "{fault}");
        assert!(fault.hint.contains("rebuilds it"), "{fault}");
        assert!(folder.path().join(DAMAGED_FLAG).exists());
        assert_eq!(engine.get(b"k"), Err(fault));
    }

    #[test]
    fn a_full_disk_is_not_damage() {
        let (folder, engine) = open();
        let full = || sled::Error::Io(std::io::ErrorKind::StorageFull.into());
        let fault = engine.write(move |_| Err(full())).unwrap_err();
        assert!(fault.hint.contains("free some space"), "{fault}");
        assert!(!folder.path().join(DAMAGED_FLAG).exists());
        assert_eq!(engine.broken(), Some(&fault));
    }

    #[test]
    fn an_empty_or_backward_range_is_empty() {
        let (_folder, engine) = open();
        for (low, end) in [(b"b", b"a"), (b"a", b"a")] {
            assert_eq!(engine.page(Bound::Included(low), end, 5), Ok(vec![]));
            assert_eq!(engine.page(Bound::Excluded(low), end, 5), Ok(vec![]));
        }
    }

    #[test]
    fn a_database_that_is_open_is_locked() {
        let (folder, _engine) = open();
        let again = open_in(folder.path()).map(drop);
        assert!(matches!(again, Err(OpenRefused::Locked(_))), "{again:?}");
    }
}
