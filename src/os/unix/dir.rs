//! One open folder, and what can be done to its children.
//!
//! A [`Dir`] holds an open folder and takes one name at a time, so that no
//! rename or link planted between two calls leads anywhere else, and no path
//! is too long. It never follows a link, and never opens what could block.

use super::system::{MODE_BITS, near_ns_of_parts, ns_of_parts};
use crate::os::attributes::{NamedAttributes, attributes_of};
use crate::os::found::{Found, size_of_kind};
use crate::types::{Fingerprint, Kind};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// A folder as a place to look names up in: on Linux that takes no permission
/// to list it (`O_PATH`).
#[cfg(any(target_os = "linux", target_os = "android"))]
const LOOKUP: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const LOOKUP: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// Never follow, never wait for the other end of a FIFO, never leak to a child.
pub(super) const READ: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOCTTY);

/// Reading for a backup is no use of the file: leave its access time alone.
#[cfg(any(target_os = "linux", target_os = "android"))]
const QUIETLY: OFlags = OFlags::NOATIME;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const QUIETLY: OFlags = OFlags::empty();

/// An open folder. Every operation takes the name of one direct child.
#[derive(Debug)]
pub struct Dir {
    pub(super) fd: OwnedFd,
}

impl Dir {
    /// Open the folder at `path`; links in `path` itself are followed. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        let fd = rustix::fs::openat(CWD, path, LOOKUP, Mode::empty())?;
        Ok(Self { fd })
    }

    /// The folder `name` in this one; a link to a folder is refused. Blocks.
    ///
    /// # Errors
    /// What the operating system says; see [`crate::os::Trouble::is_no_folder`].
    pub fn open_dir(&self, name: &[u8]) -> io::Result<Self> {
        let fd = rustix::fs::openat(&self.fd, name, LOOKUP | OFlags::NOFOLLOW, Mode::empty())?;
        Ok(Self { fd })
    }

    /// Another handle on the same folder.
    ///
    /// # Errors
    /// When too many files are open.
    pub fn try_clone(&self) -> io::Result<Self> {
        let fd = self.fd.try_clone()?;
        Ok(Self { fd })
    }

    /// What this folder itself is. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn stat_self(&self) -> io::Result<Found> {
        Ok(found_of(&rustix::fs::fstat(&self.fd)?))
    }

    /// What stands at `name`; a link is described, not followed. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn stat(&self, name: &[u8]) -> io::Result<Found> {
        #[cfg(test)]
        crate::os::testing::count(|asked| asked.stats += 1);
        let stat = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(found_of(&stat))
    }

    /// Call `each` with every name here and, where the file system tells, its
    /// kind. The order is the file system's. Blocks.
    ///
    /// # Errors
    /// What the operating system says; names may have been given before.
    pub fn list(&self, mut each: impl FnMut(&[u8], Option<Kind>)) -> io::Result<()> {
        #[cfg(test)]
        crate::os::testing::count(|asked| asked.lists += 1);
        for entry in rustix::fs::Dir::new(self.readable()?)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                each(name, known_kind(entry.file_type()));
            }
        }
        Ok(())
    }

    /// Open what stands at `name` for reading, at once and without following a
    /// link. It may be anything but a link: look at the handle's type. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open_file(&self, name: &[u8]) -> io::Result<File> {
        let open = |flags| rustix::fs::openat(&self.fd, name, flags, Mode::empty());
        let fd = match open(READ | QUIETLY) {
            // Only the owner (and root) may keep the access time.
            Err(Errno::PERM) => open(READ)?,
            other => other?,
        };
        Ok(File::from(fd))
    }

    /// The same of a file of Keepwatch's own. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open_own_file(&self, name: &[u8]) -> io::Result<File> {
        self.open_file(name)
    }

    /// The file `name` as a shadow copy of its volume has it: there are none here.
    ///
    /// # Errors
    /// Never on Unix.
    pub fn open_in_shadow(&self, _name: &[u8]) -> io::Result<Option<File>> {
        Ok(None)
    }

    /// Open the file `name` to set its mode, times and attributes; a link is refused.
    /// Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open_to_set(&self, name: &[u8]) -> io::Result<File> {
        self.open_file(name)
    }

    /// True when what stands at `name` has a name that differs in capital letters: not
    /// looked for here.
    ///
    /// # Errors
    /// Never on Unix.
    pub fn is_spelled_otherwise(&self, _name: &[u8]) -> io::Result<bool> {
        Ok(false)
    }

    /// The target of the link `name`, as it is written there. Blocks.
    ///
    /// # Errors
    /// What the operating system says; `InvalidInput` when it is no link.
    pub fn read_link(&self, name: &[u8]) -> io::Result<Vec<u8>> {
        Ok(rustix::fs::readlinkat(&self.fd, name, Vec::new())?.into_bytes())
    }

    /// The attributes of this folder that `is_wanted` names; see
    /// [`attributes_of`]. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn attributes(
        &self,
        bytes_max: usize,
        is_wanted: impl Fn(&str) -> bool,
    ) -> io::Result<Option<NamedAttributes>> {
        match cfg!(target_os = "linux") {
            true => attributes_of(&self.open_self()?, bytes_max, is_wanted),
            false => Ok(None),
        }
    }

    /// This folder as a file, to set its attributes. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open_self(&self) -> io::Result<File> {
        Ok(File::from(self.readable()?))
    }

    /// The same folder with the right to list it.
    pub(super) fn readable(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = |flags| rustix::fs::openat(&self.fd, c".", flags, Mode::empty());
        Ok(match open(flags | QUIETLY) {
            Err(Errno::PERM) => open(flags)?,
            other => other?,
        })
    }
}

fn known_kind(kind: FileType) -> Option<Kind> {
    match kind {
        FileType::RegularFile => Some(Kind::File),
        FileType::Directory => Some(Kind::Folder),
        FileType::Symlink => Some(Kind::Symlink),
        FileType::Unknown => None,
        _ => Some(Kind::Special),
    }
}

// The fields' types differ between Unixes.
#[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
fn found_of(stat: &Stat) -> Found {
    let raw_mode = stat.st_mode as u32;
    let kind = known_kind(FileType::from_raw_mode(raw_mode as _)).unwrap_or(Kind::Special);
    Found {
        fingerprint: Fingerprint {
            kind,
            size_bytes: size_of_kind(kind, u64::try_from(stat.st_size).unwrap_or(0)),
            mtime_ns: ns_of_parts(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            ctime_ns: near_ns_of_parts(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
            inode: stat.st_ino as u64,
            mode: raw_mode & MODE_BITS,
            owner: Some((stat.st_uid as u32, stat.st_gid as u32)),
        },
        dev: stat.st_dev as u64,
        links: stat.st_nlink as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::found::time_of_ns;
    use crate::os::unix::system::{fingerprint_of, id_at, id_of, set_mode};

    fn dir() -> (tempfile::TempDir, Dir) {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        (temp, dir)
    }

    #[test]
    fn handle_and_name_give_one_fingerprint() {
        let (temp, dir) = dir();
        std::fs::write(temp.path().join("f"), "12345").unwrap();
        let file = dir.open_file(b"f").unwrap();
        set_mode(&file, 0o4751).unwrap();
        file.set_modified(time_of_ns(-1)).unwrap();
        let by_name = dir.stat(b"f").unwrap();
        assert_eq!(by_name.fingerprint, fingerprint_of(&file).unwrap());
        assert_eq!(by_name.fingerprint.mtime_ns, -1);
        assert_eq!(by_name.fingerprint.mode, 0o4751);
        let id = (by_name.dev, by_name.fingerprint.inode);
        assert_eq!(id, id_of(&file).unwrap());
        let itself = dir.stat_self().unwrap();
        let id = (itself.dev, itself.fingerprint.inode);
        assert_eq!(id, id_at(temp.path()).unwrap());
        assert_eq!(itself.fingerprint.size_bytes, 0);
    }

    #[test]
    fn a_link_is_no_folder_and_no_file() {
        let (_temp, dir) = dir();
        dir.create_dir(b"real", true).unwrap();
        dir.create_link(b"real", b"link").unwrap();
        dir.create_link(b"loop", b"loop").unwrap();
        for name in [&b"link"[..], b"loop", b"absent"] {
            let error = dir.open_dir(name).unwrap_err();
            assert!(
                crate::os::trouble::trouble(&error).is_no_folder(),
                "{error}"
            );
            assert!(dir.open_file(name).is_err());
        }
        assert!(dir.open_dir(b"real").is_ok());
    }

    #[test]
    fn opening_a_fifo_waits_for_nobody() {
        let (temp, dir) = dir();
        if !crate::os::testing::make_fifo(&temp.path().join("fifo")) {
            return;
        }
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || sender.send(dir.open_file(b"fifo").is_ok()));
        let done = receiver.recv_timeout(std::time::Duration::from_secs(20));
        assert_eq!(done, Ok(true));
    }
}
