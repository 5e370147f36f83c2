//! sled behind a guard: the one file that calls it.
//!
//! sled panics on a damaged file and stays failed after a full disk. Here every
//! call is caught: a panic or corruption becomes a [`Fault`] and leaves a flag
//! file, so that the next opening sets the database aside. After a failed write
//! nothing more is tried until the index is opened again: what memory and disk
//! hold may differ. It must never decide what is stored, or retry.
//!
//! Every batch has a number, and how far the disk has certainly come is noted
//! in a file beside the database: sled opens one that lost its end as if
//! nothing were missing.

use super::keys::Space;
use crate::error::{Class, Fault, chain};
use std::fs::{self, File};
use std::io::{self, Seek as _, Write as _};
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Pages sled keeps in memory. With what it needs besides, 32 MiB stay well
/// under the 150 MB that Keepwatch allows itself for a million files.
const CACHE_BYTES: u64 = 32 << 20;

/// What a kill or a power cut can lose, at most. Losing it costs a second look
/// at those files, never a backup.
pub(super) const FLUSH_EVERY_MS: u64 = 500;

/// Every batch holds a buffer of its own until it is on disk, and sled queues
/// them without bound (250,000 batches: 700 MB). Flushing after this many bounds it.
const BATCHES_PER_FLUSH: u64 = 200;

/// sled's folder within a generation's.
const SLED_FOLDER: &str = "sled";

/// Its content says why the generation must not be opened again.
pub(super) const DAMAGED_FLAG: &str = "damaged";

/// Holds the number of the last batch that was flushed, as hex digits.
const WATERMARK_FILE: &str = "watermark";

/// Holds the number of the last batch. Among the ledger lines, which most
/// batches write anyway.
const SEQUENCE_KEY: [u8; 5] = [Space::Line as u8, 0, 0, 0, 0];

/// What people are told when the database is damaged.
pub(super) const HINT_DAMAGED: &str = "the backup is safe: the index is only a cache, and Keepwatch sets it aside and rebuilds it from the bucket at its next start";

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

/// Why the database could not be opened.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OpenRefused {
    /// Its bytes are damaged, or were written by a newer program.
    Damaged(String),
    /// A process holds it.
    Locked(String),
    /// The computer fails (disk full, no permission): moving it aside would not help.
    Computer {
        /// What it said.
        why: String,
        /// What can be done.
        hint: String,
    },
}

impl From<Fault> for OpenRefused {
    fn from(fault: Fault) -> Self {
        if fault.hint == HINT_DAMAGED {
            Self::Damaged(fault.cause)
        } else {
            Self::Computer {
                why: fault.cause,
                hint: fault.hint,
            }
        }
    }
}

/// A stored key and its value.
pub(super) type Entry = (Vec<u8>, Vec<u8>);

/// One open database.
pub(super) struct Engine {
    /// `None` only while it is being dropped.
    db: Option<sled::Db>,
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
    /// Open the database of a generation, creating it when there is none.
    /// Can panic or never return on a damaged one: call it guarded.
    pub(super) fn open(folder: &Path) -> Result<Self, OpenRefused> {
        let db = sled::Config::new()
            .path(folder.join(SLED_FOLDER))
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(Some(FLUSH_EVERY_MS))
            .open()
            .map_err(|error| refused(&error, folder))?;
        let io = |error| refused(&sled::Error::Io(error), folder);
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
            db: Some(db),
            folder: folder.to_owned(),
            broken: OnceLock::new(),
            sequence: AtomicU64::new(0),
            watermark: Mutex::new(file),
        };
        let sequence = match engine.get(&SEQUENCE_KEY)? {
            Some(bytes) => <[u8; 8]>::try_from(bytes)
                .map(u64::from_be_bytes)
                .map_err(|_| OpenRefused::Damaged("its sequence cannot be read".to_owned()))?,
            None => 0,
        };
        let lost = flushed.unwrap_or(0).saturating_sub(sequence);
        if lost > 0 {
            let why = format!("it has lost its contents (the last {lost} writes are gone)");
            return Err(OpenRefused::Damaged(why));
        }
        engine.sequence.store(sequence, Ordering::Relaxed);
        Ok(engine)
    }

    /// Read one value.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        self.call("read the index", |db| {
            Ok(db.get(key)?.map(|value| value.to_vec()))
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
        self.call("read the index", |db| {
            db.range::<&[u8], _>((low, Bound::Excluded(end)))
                .take(limit)
                .map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec())))
                .collect()
        })
    }

    /// Make all writes of the batch, or none. One at a time: the caller holds
    /// the ledger.
    pub(super) fn apply(&self, batch: Batch) -> Result<(), Fault> {
        let sequence = self.sequence.load(Ordering::Relaxed) + 1;
        let mut writes = sled::Batch::default();
        for (key, value) in batch.0 {
            match value {
                Some(value) => writes.insert(key, value),
                None => writes.remove(key),
            }
        }
        writes.insert(&SEQUENCE_KEY, &sequence.to_be_bytes());
        self.write(|db| db.apply_batch(writes))?;
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
        self.write(|db| db.flush().map(drop))?;
        let mut file = self
            .watermark
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Best effort: an old mark only makes the check weaker.
        let _ = file
            .rewind()
            .and_then(|()| file.write_all(format!("{sequence:016x}").as_bytes()));
        Ok(())
    }

    /// Bytes of the database on disk.
    pub(super) fn disk_bytes(&self) -> Result<u64, Fault> {
        self.call("measure the index", |db| db.size_on_disk())
    }

    /// The failure after which nothing is tried any more.
    pub(super) fn broken(&self) -> Option<&Fault> {
        self.broken.get()
    }

    /// The generation's folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Note that the database holds what it cannot hold.
    pub(super) fn damaged(&self, why: &str) -> Fault {
        let fault = Fault::new(
            Class::Local,
            "use the index",
            self.folder.display().to_string(),
            why,
        )
        .hint(HINT_DAMAGED);
        // Best effort: without the flag the next opening's own check finds the damage.
        let _ = fs::write(self.folder.join(DAMAGED_FLAG), why);
        self.broken.get_or_init(|| fault.clone());
        fault
    }

    fn write(&self, write: impl FnOnce(&sled::Db) -> sled::Result<()>) -> Result<(), Fault> {
        self.call("write the index", write).inspect_err(|fault| {
            self.broken.get_or_init(|| fault.clone());
        })
    }

    fn call<T>(
        &self,
        operation: &str,
        call: impl FnOnce(&sled::Db) -> sled::Result<T>,
    ) -> Result<T, Fault> {
        if let Some(fault) = self.broken.get() {
            return Err(fault.clone());
        }
        let subject = self.folder.display().to_string();
        let Some(db) = &self.db else {
            return Err(Fault::new(Class::Local, operation, subject, "it is closed"));
        };
        match catch_unwind(AssertUnwindSafe(|| call(db))) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(match refused(&error, &self.folder) {
                OpenRefused::Damaged(why) => self.damaged(&why),
                OpenRefused::Locked(why) => Fault::new(Class::Local, operation, subject, why),
                OpenRefused::Computer { why, hint } => {
                    Fault::new(Class::Local, operation, subject, why).hint(hint)
                }
            }),
            Err(panic) => Err(self.damaged(&panic_text(panic.as_ref()))),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.flush();
        let db = self.db.take();
        // Closing flushes, and so can meet the same damage.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(db)));
    }
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no reason given");
    format!("the database gave up: {text}")
}

/// What to do about an operating system's refusal.
pub(super) fn hint_for(kind: io::ErrorKind, folder: &Path) -> String {
    let folder = folder.display();
    match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("free some space on the disk that holds {folder}; nothing backed up is lost")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            format!("let the account that runs Keepwatch write to {folder}")
        }
        _ => format!(
            "make sure that {folder} is on a working disk of this computer (not a network folder), or name another state folder under [state] in the configuration"
        ),
    }
}

/// Trouble of the computer that a fresh database would meet as well.
fn is_computers(error: &io::Error) -> bool {
    /// "Too many open files", of the process and of the system, on Unix.
    const FILES_EXHAUSTED: [i32; 2] = [24, 23];
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::OutOfMemory
            | io::ErrorKind::WouldBlock
            | io::ErrorKind::Unsupported
    ) || error
        .raw_os_error()
        .is_some_and(|code| cfg!(unix) && FILES_EXHAUSTED.contains(&code))
}

fn refused(error: &sled::Error, folder: &Path) -> OpenRefused {
    match error {
        sled::Error::Io(io) => {
            let text = chain(io);
            // sled has no error of its own for it; its text is pinned with its version.
            if text.contains("could not acquire lock") {
                OpenRefused::Locked(text)
            } else if is_computers(io) {
                OpenRefused::Computer {
                    why: text,
                    hint: hint_for(io.kind(), folder),
                }
            } else {
                OpenRefused::Damaged(text)
            }
        }
        other => OpenRefused::Damaged(chain(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> (tempfile::TempDir, Engine) {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::open(folder.path()).unwrap();
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
        let full = || sled::Error::Io(io::Error::from(io::ErrorKind::StorageFull));
        let fault = engine.write(|_| Err(full())).unwrap_err();
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
    fn errors_are_told_apart() {
        let tell = |error| refused(&error, Path::new("/x"));
        let io = |kind| tell(sled::Error::Io(io::Error::from(kind)));
        assert!(matches!(
            io(io::ErrorKind::StorageFull),
            OpenRefused::Computer { .. }
        ));
        assert!(matches!(
            io(io::ErrorKind::UnexpectedEof),
            OpenRefused::Damaged(_)
        ));
        assert!(matches!(
            tell(sled::Error::ReportableBug("x".into())),
            OpenRefused::Damaged(_)
        ));
        let (folder, _engine) = open();
        let again = Engine::open(folder.path()).map(drop);
        assert!(matches!(again, Err(OpenRefused::Locked(_))), "{again:?}");
    }
}
