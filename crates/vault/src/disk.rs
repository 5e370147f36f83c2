//! The few things that the vault does to its disk; a test can cut at each of them.
//!
//! Everything written is the owner's alone (0600, folders 0700). Nothing here
//! needs hard links or any rename trick beyond a plain rename, so that exFAT
//! and network mounts will do. Must never be called on an async thread, and
//! must never swallow an error that decides whether a version is kept.

use super::os;
use parking_lot::Mutex;
use std::fs::{File, FileTimes};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Access to the disk. Every changing call goes through [`Disk::step`].
#[derive(Debug, Default)]
pub(super) struct Disk {
    #[cfg(test)]
    pub(super) cut: super::disk_faults::Cut,
    /// What the next syncs of a folder fail with.
    #[cfg(test)]
    pub(super) sync_dir_fails: super::disk_faults::SyncFault,
    /// Tests that are not about power loss may leave out the waiting for the platter.
    pub(super) is_lazy: bool,
    /// Held while folders are made: whoever finds one finds it on the platter.
    pub(super) making: Mutex<()>,
}

impl Disk {
    /// One step that changes the disk is about to happen. In production this
    /// is nothing; a crash test lets the process "die" here.
    #[cfg(test)]
    fn step(&self) -> io::Result<()> {
        self.cut.step()
    }

    #[cfg(not(test))]
    #[inline]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps)]
    fn step(&self) -> io::Result<()> {
        Ok(())
    }

    /// Create a new, empty file; an error when it exists.
    pub(super) fn create(&self, path: &Path) -> io::Result<File> {
        self.step()?;
        os::private_options().read(true).create_new(true).open(path)
    }

    /// Open a file for changing, creating it when absent.
    pub(super) fn open_rw(&self, path: &Path) -> io::Result<File> {
        if !path.exists() {
            self.step()?;
        }
        os::private_options().read(true).truncate(false).open(path)
    }

    /// Write `bytes` at `offset`. A cut leaves half of them behind, as a crash does.
    pub(super) fn write_at(&self, mut file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        file.seek(SeekFrom::Start(offset))?;
        if let Err(cut) = self.step() {
            file.write_all(&bytes[..bytes.len() / 2])?;
            return Err(cut);
        }
        file.write_all(bytes)
    }

    /// Cut a file's tail off.
    pub(super) fn truncate(&self, file: &File, len: u64) -> io::Result<()> {
        self.step()?;
        file.set_len(len)
    }

    /// Wait until a file's bytes and length are on the platter.
    pub(super) fn sync(&self, file: &File) -> io::Result<()> {
        self.step()?;
        if self.is_lazy {
            return Ok(());
        }
        file.sync_all()
    }

    /// Wait until a folder's entries are on the platter, where the system can
    /// (Windows cannot open a folder; NTFS logs its renames by itself).
    pub(super) fn sync_dir(&self, path: &Path) -> io::Result<()> {
        if self.is_lazy {
            return Ok(());
        }
        #[cfg(test)]
        let synced = self.sync_dir_fails.check(path);
        #[cfg(not(test))]
        let synced = Ok(());
        match synced.and_then(|()| File::open(path)?.sync_all()) {
            Err(e) if os::cannot_sync_folders(&e) => Ok(()),
            other => other,
        }
    }

    /// The same for a folder that may be gone by now.
    pub(super) fn sync_dir_if_there(&self, path: &Path) -> io::Result<()> {
        match self.sync_dir(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Rename within the vault.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        std::fs::rename(from, to)
    }

    /// Remove a file; fine when it is gone already.
    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        match std::fs::remove_file(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Remove an empty folder; `false` when it is not empty or not there.
    pub(super) fn remove_empty_dir(&self, path: &Path) -> bool {
        self.step().is_ok() && std::fs::remove_dir(path).is_ok()
    }

    /// Remove a folder and all beneath it; fine when it is gone already.
    pub(super) fn remove_tree(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        match std::fs::remove_dir_all(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Make a folder and those above it for a new vault, durably. Links count as "not a
    /// folder": following one could lead out of the vault.
    pub(super) fn make_dirs(&self, path: &Path) -> io::Result<()> {
        let _making = self.making.lock();
        self.make_dirs_alone(None, path)
    }

    /// The same below a folder of the vault, which must be there: a disk that goes away
    /// under a request must not have its vault begun anew where it was mounted, and
    /// what is written there taken for stored.
    pub(super) fn make_dirs_in(&self, within: &Path, path: &Path) -> io::Result<()> {
        let _making = self.making.lock();
        self.make_dirs_alone(Some(within), path)
    }

    fn make_dirs_alone(&self, within: Option<&Path>, path: &Path) -> io::Result<()> {
        match std::fs::symlink_metadata(path) {
            Ok(meta) if meta.is_dir() => return Ok(()),
            Ok(_) => return Err(io::ErrorKind::NotADirectory.into()),
            Err(e) if e.kind() == io::ErrorKind::NotFound && within != Some(path) => {}
            Err(e) => return Err(e),
        }
        let Some(parent) = path.parent() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        self.make_dirs_alone(within, parent)?;
        self.step()?;
        // This one alone: the folder above it may be gone again.
        match os::create_private_dir(path) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        if !std::fs::symlink_metadata(path)?.is_dir() {
            // Something else was quicker to take the name.
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let synced = self.sync_dir(parent);
        if synced.is_err() {
            // Left there, it would be found next time and taken for synced.
            self.remove_empty_dir(path);
        }
        synced
    }

    /// Write a whole small file so that it is there either wholly or not at all.
    pub(super) fn write_whole(&self, path: &Path, tmp: &Path, bytes: &[u8]) -> io::Result<()> {
        let file = self.create(tmp)?;
        let written = self
            .write_at(&file, 0, bytes)
            .and_then(|()| self.sync(&file))
            .and_then(|()| self.rename(tmp, path));
        if written.is_err() {
            let _ = self.remove(tmp);
        }
        written?;
        path.parent().map_or(Ok(()), |parent| self.sync_dir(parent))
    }
}

/// Read up to `len` bytes at `offset`; fewer only at the file's end.
pub(super) fn read_at(mut file: &File, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::with_capacity(len);
    file.take(len as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A file's length and modification time in nanoseconds since 1970.
pub(super) fn size_and_mtime(meta: &std::fs::Metadata) -> (u64, i64) {
    (meta.len(), meta.modified().map_or(0, nanos))
}

fn nanos(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |n| -n),
    }
}

/// Set a file's times. Both: some file systems in user space ignore the
/// request when it is for one of them alone.
pub(super) fn set_mtime(file: &File, ns: i64) -> io::Result<()> {
    let time = from_nanos(ns);
    file.set_times(FileTimes::new().set_accessed(time).set_modified(time))
}

fn from_nanos(ns: i64) -> SystemTime {
    let distance = std::time::Duration::from_nanos(ns.unsigned_abs());
    if ns < 0 {
        UNIX_EPOCH - distance
    } else {
        UNIX_EPOCH + distance
    }
}
