//! What a folder lets be done to its children and itself: create, set, rename, remove.
//! No operation replaces what has a name but [`Dir::rename`].

use super::dir::{Dir, RIGHT_WRITE_ATTRIBUTES};
use super::sys;
use super::system::{FLAG_BACKUP_SEMANTICS, FLAG_OPEN_REPARSE_POINT};
use crate::os::found::time_of_ns;
use crate::os::names;
use crate::os::names::NameRefused;
use crate::os::reparse;
use crate::os::reparse::JUNCTION_PREFIX;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf, Prefix};

/// `GENERIC_WRITE` (winnt.h).
const RIGHT_WRITE: u32 = 0x4000_0000;

impl Dir {
    /// Create the file `name`; what already has this name is left as it is. Blocks.
    ///
    /// # Errors
    /// What the operating system says; `AlreadyExists` when the name is taken.
    pub fn create_file(&self, name: &[u8]) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(self.new_child(name)?)
    }

    /// Open the file `name` that is there for reading and writing; a link is
    /// refused. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn reopen_file(&self, name: &[u8]) -> io::Result<File> {
        self.open_plain(name, OpenOptions::new().read(true).write(true))
    }

    /// Create the folder `name`, with the rights it inherits. Blocks.
    ///
    /// # Errors
    /// What the operating system says; `AlreadyExists` when the name is taken.
    pub fn create_dir(&self, name: &[u8], _private: bool) -> io::Result<()> {
        std::fs::create_dir(self.new_child(name)?)
    }

    /// Create the link `name`; what already has this name is left as it is. A target that
    /// begins with `\\??\\` makes a junction, which needs no privilege; any other a symbolic
    /// link, to a folder when [`leads_to_folder`] says so. Blocks.
    ///
    /// # Errors
    /// What the operating system says; `AlreadyExists` when the name is taken.
    pub fn create_link(&self, target: &[u8], name: &[u8]) -> io::Result<()> {
        let wide = names::bytes_to_wide(target)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, NameRefused::NotText))?;
        let path = self.new_child(name)?;
        if target.starts_with(JUNCTION_PREFIX) {
            return create_junction(&path, &wide);
        }
        let target = PathBuf::from(OsString::from_wide(&wide));
        if leads_to_folder(&self.path, &target) {
            std::os::windows::fs::symlink_dir(target, path)
        } else {
            std::os::windows::fs::symlink_file(target, path)
        }
    }

    /// Set the modification time of the link `name` itself. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn set_link_mtime(&self, name: &[u8], mtime_ns: i128) -> io::Result<()> {
        let path = self.child(name)?;
        let atime = filetime::FileTime::from_last_access_time(&path.symlink_metadata()?);
        let mtime = filetime::FileTime::from_system_time(time_of_ns(mtime_ns));
        filetime::set_symlink_file_times(path, atime, mtime)
    }

    /// Set this folder's modification time; a mode means nothing for a folder. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn set_self(&self, _mode: u32, mtime_ns: i128) -> io::Result<()> {
        self.open_self()?.set_modified(time_of_ns(mtime_ns))
    }

    /// Folders have no mode here.
    ///
    /// # Errors
    /// Never on Windows.
    pub fn set_self_mode(&self, _mode: u32) -> io::Result<()> {
        Ok(())
    }

    /// Numbers are no owners here.
    ///
    /// # Errors
    /// Never on Windows.
    pub fn set_self_owner(&self, _owner: (u32, u32)) -> io::Result<bool> {
        Ok(false)
    }

    /// Set the modification time of the file `name` to now; a link is refused. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn touch_file(&self, name: &[u8]) -> io::Result<()> {
        let path = self.child(name)?;
        if !path.symlink_metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        OpenOptions::new()
            .access_mode(RIGHT_WRITE_ATTRIBUTES)
            .open(path)?
            .set_modified(std::time::SystemTime::now())
    }

    /// Links have no numeric owner here: nothing is done.
    ///
    /// # Errors
    /// Never on Windows.
    pub fn set_link_owner(&self, _name: &[u8], _owner: (u32, u32)) -> io::Result<()> {
        Ok(())
    }

    /// Rename within this folder, in place of what has the name `to`. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn rename(&self, from: &[u8], to: &[u8]) -> io::Result<()> {
        let to = self.new_child(to)?;
        if to.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let from = self.child(from)?;
        despite_read_only(&to, || std::fs::rename(&from, &to))
    }

    /// Rename within this folder, unless the name `to` is taken: then `false`,
    /// and nothing has changed. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn rename_new(&self, from: &[u8], to: &[u8]) -> io::Result<bool> {
        let (old, new) = (self.child(from)?, self.new_child(to)?);
        // A second name fails when the first is taken; a rename would replace it.
        match std::fs::hard_link(&old, &new) {
            Ok(()) => {
                let before = old.symlink_metadata()?.permissions();
                self.remove_file(from)?;
                if before.readonly() && !new.symlink_metadata()?.permissions().readonly() {
                    // Both names are of one file, which had to lose the mark for a moment.
                    std::fs::set_permissions(new, before)?;
                }
                return Ok(true);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            // FAT and many network disks have no second names, nor have folders.
            Err(_) => {}
        }
        match self.create_file(to) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(error),
        }
        if let Err(error) = std::fs::rename(&old, &new) {
            // The empty file is ours; leaving it would look like a restored one.
            self.remove_file(to)?;
            return Err(error);
        }
        Ok(true)
    }

    /// Give the file `name` the name `new` as well, unless that is taken: then
    /// `false`. `None` where the file system has no second names. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn second_name(&self, name: &[u8], new: &[u8]) -> io::Result<Option<bool>> {
        match std::fs::hard_link(self.child(name)?, self.new_child(new)?) {
            Ok(()) => Ok(Some(true)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Some(false)),
            // FAT and many network disks have no second names.
            Err(_) => Ok(None),
        }
    }

    /// Remove the file or link `name`. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn remove_file(&self, name: &[u8]) -> io::Result<()> {
        let path = self.child(name)?;
        if path.symlink_metadata()?.file_type().is_symlink_dir() {
            std::fs::remove_dir(path)
        } else {
            despite_read_only(&path, || std::fs::remove_file(&path))
        }
    }

    /// NTFS keeps its names in a journal: nothing to wait for.
    ///
    /// # Errors
    /// Never on Windows.
    pub fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    /// See [`Dir::sync`].
    ///
    /// # Errors
    /// Never on Windows.
    pub fn sync_file_system(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a folder is where a link in `folder` leads to. No link on the way is followed, and
/// no other computer is asked: `target` is what a bucket says, and Windows would log on to
/// whatever server that names. Blocks.
fn leads_to_folder(folder: &Path, target: &Path) -> bool {
    let mut at = folder.to_owned();
    let mut components = target.components().peekable();
    while let Some(component) = components.next() {
        match component {
            Component::Prefix(prefix) => match prefix.kind() {
                Prefix::Disk(_) | Prefix::VerbatimDisk(_) => at = prefix.as_os_str().into(),
                _ => return false,
            },
            Component::RootDir => at.push(r"\"),
            Component::CurDir => {}
            Component::ParentDir => drop(at.pop()),
            Component::Normal(name) => at.push(name),
        }
        let is_last = components.peek().is_none();
        match at.symlink_metadata() {
            Ok(meta) if meta.is_dir() => {}
            Ok(meta) => return is_last && meta.file_type().is_symlink_dir(),
            // `C:` by itself is no folder yet.
            Err(_) if matches!(component, Component::Prefix(_)) => {}
            Err(_) => return false,
        }
    }
    true
}

/// Make an empty folder a junction to `target`, which begins with the system's own prefix.
fn create_junction(path: &Path, target: &[u16]) -> io::Result<()> {
    let data = reparse::junction_data(target)
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
    std::fs::create_dir(path)?;
    let made = OpenOptions::new()
        .access_mode(RIGHT_WRITE)
        .custom_flags(FLAG_BACKUP_SEMANTICS | FLAG_OPEN_REPARSE_POINT)
        .open(path)
        .and_then(|folder| sys::set_reparse_data(&folder, &data));
    made.inspect_err(|_| {
        // An empty folder would look like a restored one.
        let _ = std::fs::remove_dir(path);
    })
}

/// Rename over, or remove, what stands at `path`. Where the system knows no removal by
/// POSIX' rules (FAT, older servers), and for renaming over it, a file that is marked as
/// read-only refuses that.
fn despite_read_only(path: &Path, act: impl Fn() -> io::Result<()>) -> io::Result<()> {
    let refused = match act() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => error,
        done => return done,
    };
    let before = match path.symlink_metadata() {
        Ok(meta) if meta.is_file() && meta.permissions().readonly() => meta.permissions(),
        _ => return Err(refused),
    };
    let mut writable = before.clone();
    #[allow(clippy::permissions_set_readonly_false)]
    writable.set_readonly(false);
    std::fs::set_permissions(path, writable)?;
    act().inspect_err(|_| {
        // It stays what it was; the refusal is what is worth telling.
        let _ = std::fs::set_permissions(path, before);
    })
}

#[cfg(test)]
#[path = "dir_tests.rs"]
mod tests;
