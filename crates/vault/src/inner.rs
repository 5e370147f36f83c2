//! What every operation of the vault shares: locks, ownership, buckets, recovery.
//!
//! One process at a time writes; others may read. A process that begins to write first
//! settles what a crash left: the slots name the keys in work. Everything here blocks.
//! Order of locks: a key's stripe, then placement; never two stripes.

use super::disk::Disk;
use super::failure;
use super::layout::Layout;
use super::names::NameCache;
use super::os;
use super::record;
use parking_lot::{Mutex, MutexGuard};
use s3s::{S3ErrorCode, S3Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{OnceLock, Weak};

/// How many keys can be changed at once. Each has a slot on the disk that names the key in
/// work, so recovery looks at so many keys only.
pub(super) const STRIPES: usize = 64;

/// The version of what lies on the disk.
const FORMAT: u32 = 1;

const README: &str = "This folder belongs to Keepwatch's vault. Beside it lies, for each bucket, a folder\n\
with the newest version of every file, readable as it is. In here are the older\n\
versions and the records about them. Do not change or remove anything in here.\n";

/// The vaults that are open in this process: opening one twice gives the same one.
static OPEN: Mutex<Vec<(PathBuf, Weak<Inner>)>> = Mutex::new(Vec::new());

/// One open vault.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) disk: Disk,
    pub(super) layout: Layout,
    pub(super) names: NameCache,
    stripes: Vec<Mutex<Option<File>>>,
    /// Held while a plain place is checked and then taken or left.
    placement: Mutex<()>,
    /// Present while this process is the one that writes.
    lock: Mutex<Option<File>>,
    is_owner: AtomicBool,
    /// Why opening could not settle what a crash left: until that works, the vault can only
    /// be read.
    unsettled: OnceLock<String>,
    /// Added to the clock; tests turn it back.
    pub(super) clock_shift_ms: AtomicI64,
}

/// A bucket's versioning, as S3 has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Versioning {
    Never,
    Enabled,
    Suspended,
}

/// What is known of a bucket.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Bucket {
    pub(super) created_ms: i64,
    pub(super) versioning: Versioning,
}

#[derive(Debug, Serialize, Deserialize)]
struct Format {
    format: u32,
}

/// A slot's content: the key that is being changed, and the body that may be left over.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Slot {
    pub(super) bucket: String,
    pub(super) key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<String>,
}

/// The right to change one key.
#[derive(Debug)]
pub(super) struct KeyGuard<'a> {
    inner: &'a Inner,
    slot: MutexGuard<'a, Option<File>>,
    number: usize,
}

impl Inner {
    /// Open a vault, making it when absent.
    pub(super) fn open(folder: &Path, disk: Disk) -> S3Result<std::sync::Arc<Self>> {
        let fail = |e: io::Error| failure::disk("create", folder, &e);
        if !folder.is_dir() {
            disk.make_dirs(&std::path::absolute(folder).map_err(fail)?)
                .map_err(fail)?;
        }
        let root = std::fs::canonicalize(folder).map_err(fail)?;
        let mut open = OPEN.lock();
        open.retain(|(_, vault)| vault.strong_count() > 0);
        if let Some(vault) = open
            .iter()
            .find(|(path, _)| *path == root)
            .and_then(|(_, vault)| vault.upgrade())
        {
            return Ok(vault);
        }
        let inner = std::sync::Arc::new(Self::new(&root, disk));
        inner.prepare().map_err(fail)?;
        inner.check_format()?;
        // Settle what a crash left, then release the lock: a process that only reads must
        // not keep the daemon from writing.
        match inner.own() {
            Ok(()) => inner.disown(),
            Err(e) if failure::is_busy(&e) => {}
            // What a failing disk holds must be readable: that is what a restore needs. The
            // next change tries again, and fails with its reason.
            Err(e) if failure::is_for_want_of_writing(&e) => {
                let why = failure::words(&e);
                tracing::warn!(vault = %root.display(), error = why, "the vault can only be read");
                let _ = inner.unsettled.set(why.to_owned());
            }
            Err(e) => return Err(e),
        }
        open.push((root, std::sync::Arc::downgrade(&inner)));
        Ok(inner)
    }

    fn new(root: &Path, disk: Disk) -> Self {
        Self {
            disk,
            layout: Layout::new(root),
            names: NameCache::default(),
            stripes: (0..STRIPES).map(|_| Mutex::new(None)).collect(),
            placement: Mutex::new(()),
            lock: Mutex::new(None),
            is_owner: AtomicBool::new(false),
            unsettled: OnceLock::new(),
            clock_shift_ms: AtomicI64::new(0),
        }
    }

    /// Make a new vault. The format file comes last: it says that the rest is complete.
    fn prepare(&self) -> io::Result<()> {
        let layout = &self.layout;
        if layout.is_there()? {
            return Ok(());
        }
        for folder in [
            layout.hidden.clone(),
            layout.tmp(),
            layout.slots(),
            layout.set_aside(),
            layout.buckets(),
        ] {
            self.disk.make_dirs(&folder)?;
        }
        let tmp = layout.new_tmp();
        self.disk
            .write_whole(&layout.readme(), &tmp, README.as_bytes())?;
        let format = serde_json::to_vec(&Format { format: FORMAT })?;
        self.disk.write_whole(&layout.format(), &tmp, &format)
    }

    fn check_format(&self) -> S3Result<()> {
        let path = self.layout.format();
        let bytes = std::fs::read(&path).map_err(|e| failure::disk("read", &path, &e))?;
        match serde_json::from_slice::<Format>(&bytes) {
            Ok(found) if found.format == FORMAT => Ok(()),
            Ok(found) => Err(failure::refuse(
                S3ErrorCode::InternalError,
                format!(
                    "the vault was written by a newer Keepwatch (format {}, this one knows {FORMAT})",
                    found.format
                ),
            )),
            Err(e) => Err(failure::refuse(
                S3ErrorCode::InternalError,
                format!("cannot read {}: {e}", path.display()),
            )),
        }
    }

    /// True when no other process can be writing.
    pub(super) fn is_sole_writer(&self) -> bool {
        self.is_owner.load(Ordering::Acquire)
    }

    /// Why the vault can only be read, as opening found. What is visible then may be lost
    /// in a power cut: nobody may count it as stored.
    pub(super) fn unsettled(&self) -> Option<&str> {
        let why = self.unsettled.get().filter(|_| !self.is_sole_writer());
        why.map(String::as_str)
    }

    /// Become the process that writes, or say why not. Called before any change, and never
    /// with a key's stripe held: whoever begins anew waits for all of them.
    pub(super) fn own(&self) -> S3Result<()> {
        // A disk that was pulled is told as such, and its files are opened anew.
        self.must_be_there()?;
        let mut lock = self.lock.lock();
        let path = self.layout.lock();
        let is_held =
            |held: &File| os::is_same_file(held, &path).unwrap_or_else(|| self.is_sole_writer());
        if lock.as_ref().is_some_and(is_held) {
            self.is_owner.store(true, Ordering::Release);
            return Ok(());
        }
        self.is_owner.store(false, Ordering::Release);
        // Those of a disk that was pulled: they are of no use when it is back.
        unlock(lock.take());
        for stripe in &self.stripes {
            *stripe.lock() = None;
        }
        let fail = |e: io::Error| failure::disk("lock", &path, &e);
        let file = self.disk.open_rw(&path).map_err(fail)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(failure::busy(&self.layout.root)),
            // Some network shares have no locks; there the vault works unguarded.
            Err(std::fs::TryLockError::Error(e)) => {
                tracing::warn!(vault = %self.layout.root.display(), error = %e, "this disk knows no locks: let only one Keepwatch write to it");
            }
        }
        if let Err(e) = self.recover() {
            unlock(Some(file));
            return Err(e);
        }
        *lock = Some(file);
        self.is_owner.store(true, Ordering::Release);
        Ok(())
    }

    /// Let other processes write.
    fn disown(&self) {
        let mut lock = self.lock.lock();
        self.is_owner.store(false, Ordering::Release);
        unlock(lock.take());
    }

    pub(super) fn slot_path(&self, number: usize) -> PathBuf {
        self.layout.slots().join(format!("{number:02}"))
    }

    pub(super) fn guard(&self, number: usize) -> KeyGuard<'_> {
        KeyGuard {
            inner: self,
            slot: self.stripes[number % STRIPES].lock(),
            number,
        }
    }

    /// Wait for the right to change `key` (or an upload, by its id).
    pub(super) fn lock_key(&self, bucket: &str, key: &str) -> KeyGuard<'_> {
        let mut hasher = DefaultHasher::new();
        (bucket, key).hash(&mut hasher);
        self.guard(usize::try_from(hasher.finish() % STRIPES as u64).unwrap_or(0))
    }

    /// Held while plain places change, so that none is taken twice.
    pub(super) fn lock_placement(&self) -> MutexGuard<'_, ()> {
        self.placement.lock()
    }

    pub(super) fn find_bucket(&self, bucket: &str) -> S3Result<Option<Bucket>> {
        // The HTTP side has checked the name, also that of a copy source.
        if !s3s::path::check_bucket_name(bucket) {
            return Ok(None);
        }
        let path = self.layout.bucket_record(bucket);
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| {
                failure::refuse(
                    S3ErrorCode::InternalError,
                    format!("cannot read {}: {e}", path.display()),
                )
            }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.must_be_there()?;
                Ok(None)
            }
            Err(e) => Err(failure::disk("read", &path, &e)),
        }
    }

    pub(super) fn bucket(&self, bucket: &str) -> S3Result<Bucket> {
        self.find_bucket(bucket)?.ok_or_else(|| {
            failure::refuse(
                S3ErrorCode::NoSuchBucket,
                format!("the vault has no bucket {bucket}"),
            )
        })
    }

    pub(super) fn write_bucket(&self, bucket: &str, record: &Bucket) -> S3Result<()> {
        let path = self.layout.bucket_record(bucket);
        let bytes =
            serde_json::to_vec(record).map_err(|e| failure::disk("write", &path, &e.into()))?;
        self.disk
            .write_whole(&path, &self.layout.new_tmp(), &bytes)
            .map_err(|e| failure::disk("write", &path, &e))
    }

    /// The vault's folder may be gone since it was opened. When it is back, another process
    /// may have written to it: the next change begins as the first one did.
    fn must_be_there(&self) -> S3Result<()> {
        let error = match self.layout.is_there() {
            Ok(true) => return Ok(()),
            Ok(false) => failure::not_there(&self.layout.root),
            Err(e) => failure::disk("look for", &self.layout.format(), &e),
        };
        self.is_owner.store(false, Ordering::Release);
        Err(error)
    }

    pub(super) fn now_ms(&self) -> i64 {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX));
        now.saturating_add(self.clock_shift_ms.load(Ordering::Relaxed))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let lock = self.lock.get_mut();
        unlock(lock.take());
    }
}

/// Closing alone is not enough: a child process that is just being started holds a copy of
/// every open file for a moment, and with it the lock.
fn unlock(file: Option<File>) {
    if let Some(file) = file {
        // A disk that knows no locks cannot unlock either.
        let _ = file.unlock();
    }
}

impl KeyGuard<'_> {
    /// Note on the disk, durably, what is about to be worked on.
    pub(super) fn note(&mut self, slot: &Slot) -> S3Result<()> {
        let path = self.inner.slot_path(self.number);
        let fail = |e: io::Error| failure::disk("write", &path, &e);
        let line = record::to_line(slot).map_err(fail)?;
        let disk = &self.inner.disk;
        if self.slot.is_none() {
            let file = disk.open_rw(&path).map_err(fail)?;
            // Its name too must survive a power cut, or nobody settles the key.
            disk.sync_dir(&self.inner.layout.slots()).map_err(fail)?;
            *self.slot = Some(file);
        }
        if let Some(file) = self.slot.as_ref() {
            let written = disk.write_at(file, 0, &line).and_then(|()| disk.sync(file));
            if let Err(e) = written {
                // The disk may have been pulled and be back: this file is then of no use, and
                // the lock may be of no use either.
                *self.slot = None;
                self.inner.is_owner.store(false, Ordering::Release);
                return Err(fail(e));
            }
        }
        Ok(())
    }
}
