//! Windows: the same operations by path.
//!
//! Without folder handles a link planted between the look and the act could
//! lead elsewhere; making links takes a privilege there, and each step looks
//! first. Paths are canonical (`\\?\`), so that length and reserved names do
//! not matter when reading. Permission bits come down to "read-only".

use super::system::{bytes_of_name, fingerprint_of, kind_of, name_of_bytes, writable_name};
use crate::os::attributes::NamedAttributes;
use crate::os::found::Found;
use crate::types::Kind;
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

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
        let path = path.canonicalize()?;
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
        if !path.symlink_metadata()?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { path })
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
        Ok(found_of(&self.path.symlink_metadata()?))
    }

    /// What stands at `name`; a link is described, not followed. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn stat(&self, name: &[u8]) -> io::Result<Found> {
        let mut found = found_of(&self.child(name)?.symlink_metadata()?);
        if found.fingerprint.kind == Kind::Symlink {
            let target = self.read_link(name).map(|t| t.len()).unwrap_or_default();
            found.fingerprint.size_bytes = target as u64;
        }
        Ok(found)
    }

    /// Call `each` with every name here and its kind. The order is the file
    /// system's. Blocks.
    ///
    /// # Errors
    /// What the operating system says; names may have been given before.
    pub fn list(&self, mut each: impl FnMut(&[u8], Option<Kind>)) -> io::Result<()> {
        for entry in self.path.read_dir()? {
            let entry = entry?;
            let kind = entry.file_type().ok().map(kind_of);
            each(&bytes_of_name(&entry.file_name()), kind);
        }
        Ok(())
    }

    /// Open the file `name` for reading; a link is refused. Other programs may
    /// go on writing, renaming and deleting it. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open_file(&self, name: &[u8]) -> io::Result<File> {
        let path = self.child(name)?;
        // Not FILE_FLAG_OPEN_REPARSE_POINT: it would give the empty shell of a
        // file that OneDrive keeps in the cloud.
        if !path.symlink_metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        File::open(path)
    }

    /// The target of the link `name`, as it is written there. Blocks.
    ///
    /// # Errors
    /// What the operating system says; `InvalidInput` when it is no link.
    pub fn read_link(&self, name: &[u8]) -> io::Result<Vec<u8>> {
        let path = self.child(name)?;
        if !path.symlink_metadata()?.is_symlink() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(bytes_of_name(path.read_link()?.as_os_str()))
    }

    /// None are read on Windows.
    ///
    /// # Errors
    /// Never on Windows.
    pub fn attributes(
        &self,
        _bytes_max: usize,
        _is_wanted: impl Fn(&str) -> bool,
    ) -> io::Result<Option<NamedAttributes>> {
        Ok(None)
    }

    /// Those of Linux mean nothing on Windows.
    ///
    /// # Errors
    /// Always on Windows.
    pub fn open_self(&self) -> io::Result<File> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn child(&self, name: &[u8]) -> io::Result<PathBuf> {
        let name =
            name_of_bytes(name).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        Ok(self.path.join(name))
    }

    pub(super) fn new_child(&self, name: &[u8]) -> io::Result<PathBuf> {
        writable_name(name).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        self.child(name)
    }
}

fn found_of(meta: &Metadata) -> Found {
    Found {
        fingerprint: fingerprint_of(meta),
        dev: 0,
        // The standard library does not tell yet; the scan finds what changes.
        links: 1,
    }
}
