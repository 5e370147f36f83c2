//! Windows: the same operations by path.
//!
//! Without folder handles a link planted between the look and the act could
//! lead elsewhere; making links takes a privilege there, and each step looks
//! first. Paths are canonical (`\\?\`), so that length and reserved names do
//! not matter when reading. Permission bits come down to "read-only".

use super::sys;
use super::system::{
    FLAG_BACKUP_SEMANTICS, FLAG_OPEN_REPARSE_POINT, bytes_of_name, found_in, found_of,
    name_of_bytes, open_to_ask, real_path, writable_name,
};
use crate::os::attributes::{NamedAttributes, attributes_of};
use crate::os::found::Found;
use crate::os::names;
use crate::os::reparse;
use crate::os::reparse::{OnlyInCloud, TAG_LX_SYMLINK, TAG_MOUNT_POINT, TAG_SYMLINK};
use crate::os::vanished;
use crate::types::Kind;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// `GENERIC_READ` (winnt.h); it includes reading attributes and rights.
const RIGHT_READ: u32 = 0x8000_0000;

/// `FILE_WRITE_ATTRIBUTES` (winnt.h): needed to set times and attributes.
pub(super) const RIGHT_WRITE_ATTRIBUTES: u32 = 0x0100;

/// NTFS and others take so many units of UTF-16 for one name.
const NAME_UNITS_MAX: usize = 255;

/// A folder. Every operation takes the name of one direct child.
#[derive(Debug)]
pub struct Dir {
    pub(super) path: PathBuf,
}

impl Dir {
    /// The folder at `path`; links in `path` itself are followed. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        let path = real_path(path)?;
        if !path.metadata()?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { path })
    }

    /// The folder `name` in this one; a link or a junction is refused. Blocks.
    ///
    /// # Errors
    /// What the operating system says; see [`crate::os::Trouble::is_no_folder`].
    pub fn open_dir(&self, name: &[u8]) -> io::Result<Self> {
        let path = self.child(name)?;
        match self.ask(&path)?.fingerprint.kind {
            Kind::Folder => Ok(Self { path }),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Another handle on the same folder.
    ///
    /// # Errors
    /// Never on Windows.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            path: self.path.clone(),
        })
    }

    /// What this folder itself is. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn stat_self(&self) -> io::Result<Found> {
        self.ask(&self.path)
    }

    /// What stands at `name`; a link is described, not followed. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn stat(&self, name: &[u8]) -> io::Result<Found> {
        #[cfg(test)]
        crate::os::testing::count(|asked| asked.stats += 1);
        let mut found = self.ask(&self.child(name)?)?;
        if found.fingerprint.kind == Kind::Symlink {
            let target = self.read_link(name).map(|t| t.len()).unwrap_or_default();
            found.fingerprint.size_bytes = target as u64;
        }
        Ok(found)
    }

    /// What stands at a path in this folder, or is this folder.
    fn ask(&self, path: &Path) -> io::Result<Found> {
        open_to_ask(path)
            .and_then(|file| found_of(&file))
            .map_err(|error| self.doubted(path, error))
    }

    /// "Not there" said of a path says nothing of a name when the drive or the share that
    /// it is on is gone.
    pub(super) fn doubted(&self, path: &Path, error: io::Error) -> io::Error {
        match error.raw_os_error() {
            Some(code) => {
                let is_there = || vanished::volume_of(path).is_none_or(|root| root.exists());
                vanished::judged(code, is_there).unwrap_or(error)
            }
            None => error,
        }
    }

    /// Call `each` with every name here and its kind. The order is the file
    /// system's. Blocks.
    ///
    /// # Errors
    /// What the operating system says; names may have been given before.
    pub fn list(&self, mut each: impl FnMut(&[u8], Option<Kind>)) -> io::Result<()> {
        #[cfg(test)]
        crate::os::testing::count(|asked| asked.lists += 1);
        let doubted = |error| self.doubted(&self.path, error);
        for entry in self.path.read_dir().map_err(doubted)? {
            let entry = entry.map_err(doubted)?;
            each(&bytes_of_name(&entry.file_name()), listed_kind(&entry));
        }
        Ok(())
    }

    /// Open the file `name` for reading; a link is refused, and so is a file that would
    /// have to be downloaded. Other programs may go on writing, renaming and deleting
    /// it. Blocks.
    ///
    /// # Errors
    /// What the operating system says; [`OnlyInCloud`].
    pub fn open_file(&self, name: &[u8]) -> io::Result<File> {
        self.open_plain(name, OpenOptions::new().read(true))
    }

    /// The same of a file of Keepwatch's own, wherever its content is. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open_own_file(&self, name: &[u8]) -> io::Result<File> {
        let path = self.child(name)?;
        self.plain(&path)?;
        File::open(&path).map_err(|error| self.doubted(&path, error))
    }

    /// The file `name` as the shadow copy of its volume has it, whoever keeps it to itself;
    /// `None` where there are no shadow copies. Blocks, for a minute where one is made.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open_in_shadow(&self, name: &[u8]) -> io::Result<Option<File>> {
        super::shadow::open(&self.child(name)?)
    }

    /// Open the file `name` to set its times and attributes; a link is refused. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open_to_set(&self, name: &[u8]) -> io::Result<File> {
        let rights = RIGHT_READ | RIGHT_WRITE_ATTRIBUTES;
        self.open_plain(name, OpenOptions::new().access_mode(rights))
    }

    /// Open a regular file. Sharing is the standard library's: with everybody.
    pub(super) fn open_plain(&self, name: &[u8], how: &OpenOptions) -> io::Result<File> {
        let path = self.child(name)?;
        let info = self.plain(&path)?;
        if reparse::is_elsewhere(info.attributes) {
            return Err(io::Error::other(OnlyInCloud));
        }
        // Not FILE_FLAG_OPEN_REPARSE_POINT: it would give the empty shell of a
        // file that deduplication or a cloud has a hand in.
        how.open(&path).map_err(|error| self.doubted(&path, error))
    }

    /// The regular file at a path: nothing else is opened.
    fn plain(&self, path: &Path) -> io::Result<sys::HandleInfo> {
        let asked = open_to_ask(path).and_then(|file| sys::info_of(&file));
        let info = asked.map_err(|error| self.doubted(path, error))?;
        match found_in(&info).fingerprint.kind {
            Kind::File => Ok(info),
            _ => Err(io::Error::other("it is not a regular file")),
        }
    }

    /// True when what stands at `name` has a name that differs in capital letters. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn is_spelled_otherwise(&self, name: &[u8]) -> io::Result<bool> {
        let path = self.child(name)?;
        if self.ask(&path)?.fingerprint.kind == Kind::Symlink {
            // Its own name is not told without following it.
            let mut is_there = false;
            self.list(|listed, _| is_there |= listed == name)?;
            return Ok(!is_there);
        }
        let there = path.canonicalize()?;
        Ok(there
            .file_name()
            .is_some_and(|there| bytes_of_name(there) != name))
    }

    /// The target of the link `name`, as it is written there; a junction's begins with
    /// `\??\`. Blocks.
    ///
    /// # Errors
    /// What the operating system says; `InvalidInput` when it is no link.
    pub fn read_link(&self, name: &[u8]) -> io::Result<Vec<u8>> {
        let path = self.child(name)?;
        let file = open_to_ask(&path).map_err(|error| self.doubted(&path, error))?;
        let info = sys::info_of(&file)?;
        if !matches!(info.tag, TAG_SYMLINK | TAG_MOUNT_POINT | TAG_LX_SYMLINK) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let data = sys::reparse_data(&file)?;
        let bytes = |wide: &[u16]| names::wide_to_bytes(wide.iter().copied());
        reparse::link_target(&data, bytes)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the link is damaged"))
    }

    /// The attributes of this folder that `is_wanted` names; see [`attributes_of`]. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn attributes(
        &self,
        bytes_max: usize,
        is_wanted: impl Fn(&str) -> bool,
    ) -> io::Result<Option<NamedAttributes>> {
        let file = OpenOptions::new()
            .access_mode(RIGHT_READ)
            .custom_flags(FLAG_BACKUP_SEMANTICS | FLAG_OPEN_REPARSE_POINT)
            .open(&self.path)?;
        attributes_of(&file, bytes_max, is_wanted)
    }

    /// This folder as a file, to set its times and attributes. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open_self(&self) -> io::Result<File> {
        OpenOptions::new()
            .access_mode(RIGHT_READ | RIGHT_WRITE_ATTRIBUTES)
            .custom_flags(FLAG_BACKUP_SEMANTICS | FLAG_OPEN_REPARSE_POINT)
            .open(&self.path)
    }

    pub(super) fn child(&self, name: &[u8]) -> io::Result<PathBuf> {
        let name =
            name_of_bytes(name).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        if wide_len(&name) > NAME_UNITS_MAX {
            // ERROR_FILENAME_EXCED_RANGE; the system would call it an invalid name.
            return Err(io::Error::from_raw_os_error(206));
        }
        Ok(self.path.join(name))
    }

    pub(super) fn new_child(&self, name: &[u8]) -> io::Result<PathBuf> {
        writable_name(name).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        self.child(name)
    }
}

/// What a listing says an entry is; `None` for a reparse point, whose tag it does not
/// tell.
fn listed_kind(entry: &std::fs::DirEntry) -> Option<Kind> {
    use std::os::windows::fs::MetadataExt as _;
    // Of the listing itself: nothing is opened for it.
    let attributes = entry.metadata().ok()?.file_attributes();
    let is_reparse_point = attributes & reparse::ATTRIBUTE_REPARSE_POINT != 0;
    (!is_reparse_point).then(|| reparse::kind_of(attributes, 0))
}

fn wide_len(name: &std::ffi::OsStr) -> usize {
    use std::os::windows::ffi::OsStrExt as _;
    name.encode_wide().count()
}
