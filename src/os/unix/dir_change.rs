//! What an open folder lets be done to its children and itself: create, set, rename,
//! remove. No operation replaces what has a name but [`Dir::rename`].

use super::dir::{Dir, READ};
use super::system::{is_privileged, set_mode, set_owner};
use crate::os::found::{NS_PER_S, time_of_ns};
use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use rustix::io::Errno;
use std::fs::File;
use std::io;

impl Dir {
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
            use super::system::MODE_BITS;
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
        set_owner(&File::from(self.readable()?), owner)
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
}

/// How file systems say that they do not know an operation.
fn has_no_such_feature(error: Errno) -> bool {
    // Two codes on macOS, one on Linux.
    [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP, Errno::NOTSUP].contains(&error)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let temp = tempfile::tempdir().unwrap();
            let dir = Dir::open(temp.path()).unwrap();
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
}
