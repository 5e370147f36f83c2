//! One open folder, and what can be done to its children.
//!
//! A [`Dir`] holds an open folder and takes one name at a time, so that no
//! rename or link planted between two calls leads anywhere else, and no path
//! is too long. It never follows a link, and never opens what could block.

use super::MODE_BITS;
use crate::os::{
    Found, NS_PER_S, Named, attributes_of, is_privileged, near_ns_of_parts, ns_of_parts, set_mode,
    size_of_kind, time_of_ns,
};
use crate::types::{Fingerprint, Kind};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT,
};
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
const READ: OFlags = OFlags::RDONLY
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
    fd: OwnedFd,
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
    /// What the operating system says; see [`crate::platform::Trouble::is_no_folder`].
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

    /// The target of the link `name`, as it is written there. Blocks.
    ///
    /// # Errors
    /// What the operating system says; `InvalidInput` when it is no link.
    pub fn read_link(&self, name: &[u8]) -> io::Result<Vec<u8>> {
        Ok(rustix::fs::readlinkat(&self.fd, name, Vec::new())?.into_bytes())
    }

    /// Create the file `name`, readable and writable for its owner alone;
    /// what already has this name is left as it is. Blocks.
    ///
    /// # Errors
    /// What the operating system says; `AlreadyExists` when the name is taken.
    pub fn create_file(&self, name: &[u8]) -> io::Result<File> {
        let flags = OFlags::RDWR
            | OFlags::CREATE
            | OFlags::EXCL
            | OFlags::NOFOLLOW
            | OFlags::CLOEXEC
            | OFlags::NOCTTY;
        let mode = Mode::RUSR | Mode::WUSR;
        Ok(File::from(rustix::fs::openat(&self.fd, name, flags, mode)?))
    }

    /// Open the file `name` that is there for reading and writing; a link is
    /// refused. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn reopen_file(&self, name: &[u8]) -> io::Result<File> {
        let flags =
            OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty())?;
        Ok(File::from(fd))
    }

    /// Create the folder `name`: for its owner alone, or as the account's
    /// defaults (umask) have it. Blocks.
    ///
    /// # Errors
    /// What the operating system says; `AlreadyExists` when the name is taken.
    pub fn create_dir(&self, name: &[u8], private: bool) -> io::Result<()> {
        let mode = if private {
            Mode::RWXU
        } else {
            Mode::RWXU | Mode::RWXG | Mode::RWXO
        };
        Ok(rustix::fs::mkdirat(&self.fd, name, mode)?)
    }

    /// Create the link `name`; what already has this name is left as it is. Blocks.
    ///
    /// # Errors
    /// What the operating system says; `AlreadyExists` when the name is taken.
    pub fn create_link(&self, target: &[u8], name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(target, &self.fd, name)?)
    }

    /// Set the modification time of the link `name` itself. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn set_link_mtime(&self, name: &[u8], mtime_ns: i128) -> io::Result<()> {
        let omit = Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        };
        let times = Timestamps {
            last_access: omit,
            last_modification: Timespec {
                tv_sec: i64::try_from(mtime_ns.div_euclid(NS_PER_S.into()))
                    .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?,
                tv_nsec: mtime_ns.rem_euclid(NS_PER_S.into()) as _,
            },
        };
        rustix::fs::utimensat(&self.fd, name, &times, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(())
    }

    /// Give the link `name` itself to this owner and group; nothing happens where
    /// this account may not. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn set_link_owner(&self, name: &[u8], owner: (u32, u32)) -> io::Result<()> {
        if !is_privileged() {
            return Ok(());
        }
        Ok(rustix::fs::chownat(
            &self.fd,
            name,
            Some(rustix::fs::Uid::from_raw(owner.0)),
            Some(rustix::fs::Gid::from_raw(owner.1)),
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }

    /// Set this folder's permission bits and modification time. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn set_self(&self, mode: u32, mtime_ns: i128) -> io::Result<()> {
        let folder = File::from(self.readable()?);
        // The time first: the new mode may not let us in any more.
        folder.set_modified(time_of_ns(mtime_ns))?;
        set_mode(&folder, mode)
    }

    /// Set this folder's permission bits alone, also where they let nobody in. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn set_self_mode(&self, mode: u32) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            use std::os::fd::AsRawFd as _;
            // A handle to look names up with takes no other way.
            let path = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
            if rustix::fs::chmod(&path, Mode::from_raw_mode(mode & MODE_BITS)).is_ok() {
                return Ok(());
            }
        }
        set_mode(&File::from(self.readable()?), mode)
    }

    /// Give this folder to its owner; false where this account may not. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn set_self_owner(&self, owner: (u32, u32)) -> io::Result<bool> {
        super::set_owner(&File::from(self.readable()?), owner)
    }

    /// Set the times of the file `name` to now; a link is refused. Who may write
    /// the file may do so, its owner or not. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn touch_file(&self, name: &[u8]) -> io::Result<()> {
        let now = || Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_NOW,
        };
        let times = Timestamps {
            last_access: now(),
            last_modification: now(),
        };
        let file = rustix::fs::openat(&self.fd, name, READ, Mode::empty())?;
        Ok(rustix::fs::futimens(file, &times)?)
    }

    /// Rename within this folder, in place of what has the name `to`. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn rename(&self, from: &[u8], to: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.fd, from, &self.fd, to)?)
    }

    /// Rename within this folder, unless the name `to` is taken: then `false`,
    /// and nothing has changed. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn rename_new(&self, from: &[u8], to: &[u8]) -> io::Result<bool> {
        #[cfg(any(target_os = "linux", target_os = "macos"))]
        match rustix::fs::renameat_with(
            &self.fd,
            from,
            &self.fd,
            to,
            rustix::fs::RenameFlags::NOREPLACE,
        ) {
            Ok(()) => return Ok(true),
            Err(Errno::EXIST) => return Ok(false),
            // This kernel or file system cannot (NFS, old FUSE): the long way.
            Err(error) if has_no_such_feature(error) => {}
            Err(other) => return Err(other.into()),
        }
        match self.link_new(from, to)? {
            Some(done) => Ok(done),
            None => self.reserve_new(from, to),
        }
    }

    /// Give the file or link `name` the name `new` as well, unless that is taken:
    /// then `false`. `None` where the file system has no second names. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn second_name(&self, name: &[u8], new: &[u8]) -> io::Result<Option<bool>> {
        match rustix::fs::linkat(&self.fd, name, &self.fd, new, AtFlags::empty()) {
            Ok(()) => Ok(Some(true)),
            Err(Errno::EXIST) => Ok(Some(false)),
            // Also a file that this account may not link (fs.protected_hardlinks).
            Err(Errno::PERM | Errno::MLINK) => Ok(None),
            Err(error) if has_no_such_feature(error) => Ok(None),
            Err(other) => Err(other.into()),
        }
    }

    /// By a second name for the file; `None` when the file system has no such thing.
    fn link_new(&self, from: &[u8], to: &[u8]) -> io::Result<Option<bool>> {
        let linked = self.second_name(from, to)?;
        if linked == Some(true) {
            self.remove_file(from)?;
        }
        Ok(linked)
    }

    /// By an empty file that takes the name first, and is then replaced.
    fn reserve_new(&self, from: &[u8], to: &[u8]) -> io::Result<bool> {
        match self.create_file(to) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(error),
        }
        if let Err(error) = self.rename(from, to) {
            // The empty file is ours; leaving it would look like a restored one.
            self.remove_file(to)?;
            return Err(error);
        }
        Ok(true)
    }

    /// Remove the file or link `name`. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn remove_file(&self, name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// Wait until the names in this folder are on the disk. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn sync(&self) -> io::Result<()> {
        match File::from(self.readable()?).sync_all() {
            // Some network file systems cannot, and need not.
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => Ok(()),
            other => other,
        }
    }

    /// Wait until the whole file system that this folder is on is on the disk. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn sync_file_system(&self) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        return Ok(rustix::fs::syncfs(File::from(self.readable()?))?);
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        self.sync()
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
    ) -> io::Result<Option<Named>> {
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
    fn readable(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = |flags| rustix::fs::openat(&self.fd, c".", flags, Mode::empty());
        Ok(match open(flags | QUIETLY) {
            Err(Errno::PERM) => open(flags)?,
            other => other?,
        })
    }
}

/// How file systems say that they do not know an operation.
fn has_no_such_feature(error: Errno) -> bool {
    // Two codes on macOS, one on Linux.
    [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP, Errno::NOTSUP].contains(&error)
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
    use crate::os::{fingerprint_of, folder_id};

    fn dir() -> (tempfile::TempDir, Dir) {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        (temp, dir)
    }

    /// Every way to rename keeps what is there, moves what is not, and works
    /// for links too.
    #[test]
    fn no_way_of_renaming_replaces() {
        type Way = fn(&Dir, &[u8], &[u8]) -> io::Result<bool>;
        let ways: [(&str, Way); 3] = [
            ("rename", |d, a, b| d.rename_new(a, b)),
            ("link", |d, a, b| Ok(d.link_new(a, b)?.unwrap())),
            ("reserve", |d, a, b| d.reserve_new(a, b)),
        ];
        for (name, way) in ways {
            let (temp, dir) = dir();
            let at = |n: &str| temp.path().join(n);
            std::fs::write(at("taken"), "old").unwrap();
            std::fs::create_dir(at("folder")).unwrap();
            std::fs::write(at("t"), "new").unwrap();
            dir.create_link(b"nowhere", b"l").unwrap();
            assert!(!way(&dir, b"t", b"taken").unwrap(), "{name}");
            assert!(!way(&dir, b"t", b"folder").unwrap(), "{name}");
            assert!(!way(&dir, b"t", b"l").unwrap(), "{name}");
            assert_eq!(std::fs::read(at("taken")).unwrap(), b"old", "{name}");
            assert!(way(&dir, b"t", b"fresh").unwrap(), "{name}");
            assert_eq!(std::fs::read(at("fresh")).unwrap(), b"new", "{name}");
            assert!(way(&dir, b"l", b"fresh-link").unwrap(), "{name}");
            assert_eq!(dir.read_link(b"fresh-link").unwrap(), b"nowhere", "{name}");
            let mut names = Vec::new();
            dir.list(|n, _| names.push(n.to_vec())).unwrap();
            names.sort();
            let want: [&[u8]; 4] = [b"folder", b"fresh", b"fresh-link", b"taken"];
            assert_eq!(names, want, "{name}");
        }
    }

    #[test]
    fn handle_and_name_give_one_fingerprint() {
        let (temp, dir) = dir();
        std::fs::write(temp.path().join("f"), "12345").unwrap();
        let file = dir.open_file(b"f").unwrap();
        set_mode(&file, 0o4751).unwrap();
        file.set_modified(time_of_ns(-1)).unwrap();
        let by_name = dir.stat(b"f").unwrap();
        let meta = file.metadata().unwrap();
        assert_eq!(by_name.fingerprint, fingerprint_of(&meta));
        assert_eq!(by_name.fingerprint.mtime_ns, -1);
        assert_eq!(by_name.fingerprint.mode, 0o4751);
        assert_eq!((by_name.dev, by_name.fingerprint.inode), folder_id(&meta));
        let itself = dir.stat_self().unwrap();
        let meta = std::fs::metadata(temp.path()).unwrap();
        assert_eq!((itself.dev, itself.fingerprint.inode), folder_id(&meta));
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
            assert!(crate::os::trouble(&error).is_no_folder(), "{error}");
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
