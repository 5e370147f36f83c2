//! The record log of one key: appends, strikes out, and reads from the newest back.
//!
//! A version exists once its line is appended and synced. A torn last line counts as never
//! written; the next append cuts it off. A version id begins with the offset of its line,
//! so that an old version is found without reading newer ones. Writing needs the key's
//! lock, reading does not. Must never rewrite a line of a version that can still be asked
//! for.

use super::backward::Backward;
use super::disk::{self, Disk};
use super::os;
use super::record::{self, DEAD, Entry, Found, LINE_BYTES_MAX, NULL_ID, Version};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// How much is read to find one line. Most lines fit.
const BLOCK_BYTES: usize = 16 * 1024;

/// Digits of the offset at the head of a version id: 48 bits of file size.
const OFFSET_DIGITS: usize = 12;

/// A log that is rewritten (versioning was never enabled) once this much of it is dead.
const COMPACT_BYTES_MIN: u64 = 64 * 1024;

/// An open log.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    path: PathBuf,
}

impl Log {
    /// Open for reading; `None` when the key was never stored.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        Self::opened(path, File::open(path))
    }

    /// Open what is there to have it synced; `None` when the key was never stored.
    pub(super) fn open_to_sync(path: &Path) -> io::Result<Option<Self>> {
        Self::opened(path, os::open_to_sync(path))
    }

    fn opened(path: &Path, opened: io::Result<File>) -> io::Result<Option<Self>> {
        match opened {
            Ok(file) => Ok(Some(Self {
                file,
                path: path.to_owned(),
            })),
            // A path through something that is not a folder does not exist either.
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    /// Open for appending; the file may be new.
    pub(super) fn open_rw(disk: &Disk, path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: disk.open_rw(path)?,
            path: path.to_owned(),
        })
    }

    /// The key that the first line names; `None` when it was never completed.
    pub(super) fn head(&self) -> io::Result<Option<String>> {
        let start = disk::read_at(&self.file, 0, BLOCK_BYTES)?;
        let Some(end) = start.iter().position(|&b| b == b'\n') else {
            return Ok(None);
        };
        Ok(match record::from_line(&start[..end]) {
            Some((_, Entry::Head { key })) => Some(key),
            _ => None,
        })
    }

    /// True when nothing was ever written into it.
    pub(super) fn is_empty(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.len() == 0)
    }

    /// Wait until everything in it is on the platter.
    pub(super) fn sync(&self, disk: &Disk) -> io::Result<()> {
        disk.sync(&self.file)
    }

    /// All versions, struck ones included, newest first, beginning below `end`.
    pub(super) fn back_from(&self, end: Option<u64>) -> io::Result<Backward<'_>> {
        let end = match end {
            Some(end) => end,
            None => self.file.metadata()?.len(),
        };
        Ok(Backward::new(&self.file, end))
    }

    /// The newest version that is still there.
    pub(super) fn newest(&self) -> io::Result<Option<Found>> {
        self.back_from(None)?
            .find(|found| !matches!(found, Ok(found) if !found.is_live))
            .transpose()
    }

    /// The version with this id, if it is still there.
    pub(super) fn find(&self, id: &str) -> io::Result<Option<Found>> {
        if id == NULL_ID {
            for found in self.back_from(None)? {
                let found = found?;
                if found.is_live && found.version.id == NULL_ID {
                    return Ok(Some(found));
                }
            }
            return Ok(None);
        }
        let Some(offset) = offset_of(id) else {
            return Ok(None);
        };
        Ok(self
            .at(offset)?
            .filter(|found| found.is_live && found.version.id == id))
    }

    /// Has a newer version replaced this `null` version? It is struck out right after the
    /// newer one is written; until then it does not count.
    pub(super) fn is_shadowed(&self, found: &Found) -> io::Result<bool> {
        if found.version.id != NULL_ID {
            return Ok(false);
        }
        Ok(self
            .find(NULL_ID)?
            .is_some_and(|newest| newest.offset != found.offset))
    }

    /// The version whose line begins at `offset`.
    fn at(&self, offset: u64) -> io::Result<Option<Found>> {
        if offset >= self.file.metadata()?.len() {
            return Ok(None);
        }
        let mut len = BLOCK_BYTES;
        loop {
            let bytes = disk::read_at(&self.file, offset, len)?;
            if let Some(end) = bytes.iter().position(|&b| b == b'\n') {
                return Ok(record::found(offset, &bytes[..end]));
            }
            if bytes.len() < len || len >= LINE_BYTES_MAX {
                return Ok(None);
            }
            len = LINE_BYTES_MAX;
        }
    }

    /// Append a version, durably. This is the commit point.
    /// `make` is told the offset, of which the id is made.
    pub(super) fn append(
        &self,
        disk: &Disk,
        key: &str,
        make: impl FnOnce(u64) -> Version,
    ) -> io::Result<Version> {
        let (end, len) = self.good_end()?;
        let mut bytes = Vec::new();
        if end == 0 {
            bytes = record::to_line(&Entry::Head {
                key: key.to_owned(),
            })?;
        }
        let version = make(end + bytes.len() as u64);
        bytes.extend(record::to_line(&Entry::Version(Box::new(version.clone())))?);
        if end < len {
            disk.truncate(&self.file, end)?;
        }
        let written = disk
            .write_at(&self.file, end, &bytes)
            .and_then(|()| disk.sync(&self.file));
        if written.is_err() {
            // A line that may not survive must not be visible either.
            let _ = disk.truncate(&self.file, end);
        }
        written.map(|()| version)
    }

    /// Where the last good line ends, and how long the file is. Only damage at the very end
    /// is passed over: that is what a crash leaves.
    fn good_end(&self) -> io::Result<(u64, u64)> {
        let len = self.file.metadata()?.len();
        let mut back = self.back_from(Some(len))?;
        while let Some((offset, line)) = back.line()? {
            if record::from_line::<Entry>(line).is_some() {
                return Ok((offset + line.len() as u64 + 1, len));
            }
        }
        Ok((0, len))
    }

    /// Strike a version out, durably: one byte.
    pub(super) fn strike(&self, disk: &Disk, offset: u64) -> io::Result<()> {
        disk.write_at(&self.file, offset, &[DEAD])?;
        disk.sync(&self.file)
    }

    /// Is it worth rewriting a log of which only the last line lives?
    pub(super) fn is_mostly_dead(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.len() > COMPACT_BYTES_MIN)
    }

    /// Replace the log by one with nothing but `version`, whose id must be
    /// `null`: other ids name an offset, which this changes.
    pub(super) fn compact(
        self,
        disk: &Disk,
        tmp: &Path,
        key: &str,
        version: &Version,
    ) -> io::Result<()> {
        debug_assert_eq!(version.id, NULL_ID);
        let mut bytes = record::to_line(&Entry::Head {
            key: key.to_owned(),
        })?;
        bytes.extend(record::to_line(&Entry::Version(Box::new(version.clone())))?);
        let Self { file, path } = self;
        // Windows lets no file take the place of an open one on every disk.
        drop(file);
        disk.write_whole(&path, tmp, &bytes)
    }
}

/// A new version id for the line at `offset`.
pub(super) fn new_id(offset: u64) -> String {
    format!("{offset:012x}{:020x}", fastrand::u128(..) >> 48)
}

/// The offset that an id names; `None` for ids that no vault gave out.
pub(super) fn offset_of(id: &str) -> Option<u64> {
    let is_ours = id.len() == 32 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_ours
        .then(|| u64::from_str_radix(&id[..OFFSET_DIGITS], 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Object;
    use proptest::prelude::*;

    fn lazy() -> Disk {
        Disk {
            is_lazy: true,
            ..Disk::default()
        }
    }

    fn put(log: &Log, disk: &Disk, body_len: usize) -> String {
        let made = log.append(disk, "key", |offset| Version {
            id: new_id(offset),
            modified_ms: 1,
            object: Some(Object {
                body: "b".repeat(body_len),
                ..Object::default()
            }),
        });
        made.unwrap().id
    }

    fn live(log: &Log) -> Vec<String> {
        log.back_from(None)
            .unwrap()
            .map(Result::unwrap)
            .filter(|found| found.is_live)
            .map(|found| found.version.id)
            .collect()
    }

    #[test]
    fn a_torn_tail_is_as_if_never_written_and_is_cut_off_by_the_next_append() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k.log");
        let disk = lazy();
        let log = Log::open_rw(&disk, &path).unwrap();
        let first = put(&log, &disk, 3);
        let whole = std::fs::read(&path).unwrap();
        let second = put(&log, &disk, 3);
        let both = std::fs::read(&path).unwrap();
        for len in 0..=both.len() {
            std::fs::write(&path, &both[..len]).unwrap();
            let log = Log::open_rw(&disk, &path).unwrap();
            let expected: &[&String] = if len == both.len() {
                &[&second, &first]
            } else if len >= whole.len() {
                &[&first]
            } else {
                &[]
            };
            assert_eq!(live(&log).iter().collect::<Vec<_>>(), expected, "{len}");
            let third = put(&log, &disk, 3);
            assert_eq!(live(&log).len(), expected.len() + 1, "{len}");
            assert_eq!(log.head().unwrap().as_deref(), Some("key"), "{len}");
            assert!(log.find(&third).unwrap().is_some(), "{len}");
        }
        // What a power cut leaves on some disks: the length, but zeros in it.
        let mut zeros = whole.clone();
        zeros.resize(both.len(), 0);
        std::fs::write(&path, &zeros).unwrap();
        let log = Log::open_rw(&disk, &path).unwrap();
        assert_eq!(live(&log), [first]);
    }

    #[test]
    fn foreign_ids_are_not_found() {
        let folder = tempfile::tempdir().unwrap();
        let disk = lazy();
        let log = Log::open_rw(&disk, &folder.path().join("k.log")).unwrap();
        let id = put(&log, &disk, 1);
        let off_by_one = format!("{:012x}{}", offset_of(&id).unwrap() + 1, &id[12..]);
        for other in ["", "null", "x", &"f".repeat(32), &id[1..], &off_by_one] {
            assert_eq!(log.find(other).unwrap(), None, "{other}");
        }
        assert!(log.find(&id).unwrap().is_some());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn reading_back_gives_what_was_written(
            steps in proptest::collection::vec((0usize..40_000, any::<bool>()), 1..12)
        ) {
            let folder = tempfile::tempdir().unwrap();
            let disk = lazy();
            let log = Log::open_rw(&disk, &folder.path().join("k.log")).unwrap();
            let mut model: Vec<String> = Vec::new();
            for (len, strikes) in steps {
                model.insert(0, put(&log, &disk, len));
                if strikes && model.len() > 1 {
                    let gone = model.remove(1);
                    let found = log.find(&gone).unwrap().unwrap();
                    log.strike(&disk, found.offset).unwrap();
                    prop_assert!(log.find(&gone).unwrap().is_none());
                }
                prop_assert_eq!(&live(&log), &model);
                prop_assert_eq!(log.newest().unwrap().map(|f| f.version.id), model.first().cloned());
            }
            for (at, id) in model.iter().enumerate() {
                let older: Vec<String> = log.back_from(offset_of(id)).unwrap()
                    .map(Result::unwrap).filter(|f| f.is_live).map(|f| f.version.id).collect();
                prop_assert_eq!(&older, &model[at + 1..].to_vec());
            }
        }
    }
}
