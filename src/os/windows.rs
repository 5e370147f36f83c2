//! Windows: the same operations by path.
//!
//! Without folder handles a link planted between the look and the act could
//! lead elsewhere; making links takes a privilege there, and each step looks
//! first. Paths are canonical (`\\?\`), so that length and reserved names do
//! not matter when reading. Permission bits come down to "read-only".

use super::{Found, names, size_of_kind, time_of_ns};
use crate::os::{NameRefused, Named};
use crate::types::{Fingerprint, Kind};
use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Instant;

/// What a writable file's mode is said to be.
const MODE_WRITABLE: u32 = 0o644;
/// What a read-only file's mode is said to be.
const MODE_READ_ONLY: u32 = 0o444;
/// The owner's right to write: all that a mode means here.
const MODE_OWNER_WRITES: u32 = 0o200;

/// 100 ns ticks between 1601, where Windows counts from, and 1970.
const TICKS_TO_1970: i64 = 116_444_736_000_000_000;
/// Nanoseconds in one tick of a Windows time stamp.
const NS_PER_TICK: i64 = 100;

/// `FILE_FLAG_BACKUP_SEMANTICS` (winbase.h): needed to open a folder.
const FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
/// `FILE_WRITE_ATTRIBUTES` (winnt.h): needed to set a folder's times.
const RIGHT_WRITE_ATTRIBUTES: u32 = 0x0100;

/// A folder. Every operation takes the name of one direct child.
#[derive(Debug)]
pub struct Dir {
    path: PathBuf,
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
    /// What the operating system says; see [`crate::platform::Trouble::is_no_folder`].
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
        let path = self.child(name)?;
        if !path.symlink_metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        OpenOptions::new().read(true).write(true).open(path)
    }

    /// Create the folder `name`, with the rights it inherits. Blocks.
    ///
    /// # Errors
    /// What the operating system says; `AlreadyExists` when the name is taken.
    pub fn create_dir(&self, name: &[u8], _private: bool) -> io::Result<()> {
        std::fs::create_dir(self.new_child(name)?)
    }

    /// Create the link `name`; what already has this name is left as it is.
    /// It becomes a link to a folder when a folder is there now. Blocks.
    ///
    /// # Errors
    /// What the operating system says; `AlreadyExists` when the name is taken.
    pub fn create_link(&self, target: &[u8], name: &[u8]) -> io::Result<()> {
        let wide = names::bytes_to_wide(target)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, NameRefused::NotText))?;
        let target = PathBuf::from(OsString::from_wide(&wide));
        let path = self.new_child(name)?;
        if self.path.join(&target).is_dir() {
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
        OpenOptions::new()
            .access_mode(RIGHT_WRITE_ATTRIBUTES)
            .custom_flags(FLAG_BACKUP_SEMANTICS)
            .open(&self.path)?
            .set_modified(time_of_ns(mtime_ns))
    }

    /// Folders have no mode here.
    ///
    /// # Errors
    /// Never on Windows.
    pub fn set_self_mode(&self, _mode: u32) -> io::Result<()> {
        Ok(())
    }

    /// None are read on Windows.
    ///
    /// # Errors
    /// Never on Windows.
    pub fn attributes(
        &self,
        _bytes_max: usize,
        _is_wanted: impl Fn(&str) -> bool,
    ) -> io::Result<Option<Named>> {
        Ok(None)
    }

    /// Those of Linux mean nothing on Windows.
    ///
    /// # Errors
    /// Always on Windows.
    pub fn open_self(&self) -> io::Result<File> {
        Err(io::ErrorKind::Unsupported.into())
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
        std::fs::rename(self.child(from)?, to)
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
                self.remove_file(from)?;
                return Ok(true);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            // FAT and many network disks have no second names.
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
            std::fs::remove_file(path)
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

    fn child(&self, name: &[u8]) -> io::Result<PathBuf> {
        let name =
            name_of_bytes(name).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        Ok(self.path.join(name))
    }

    fn new_child(&self, name: &[u8]) -> io::Result<PathBuf> {
        writable_name(name).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        self.child(name)
    }
}

/// Links and junctions are both "symlink" to the standard library.
fn kind_of(kind: std::fs::FileType) -> Kind {
    if kind.is_symlink() {
        Kind::Symlink
    } else if kind.is_dir() {
        Kind::Folder
    } else if kind.is_file() {
        Kind::File
    } else {
        Kind::Special
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

/// The fingerprint that this metadata amounts to.
pub fn fingerprint_of(meta: &Metadata) -> Fingerprint {
    let kind = kind_of(meta.file_type());
    let ticks = i64::try_from(meta.last_write_time()).unwrap_or(i64::MAX);
    Fingerprint {
        kind,
        size_bytes: size_of_kind(kind, meta.file_size()),
        mtime_ns: (i128::from(ticks) - i128::from(TICKS_TO_1970)) * i128::from(NS_PER_TICK),
        ctime_ns: 0,
        inode: 0,
        mode: if meta.permissions().readonly() {
            MODE_READ_ONLY
        } else {
            MODE_WRITABLE
        },
        owner: None,
    }
}

/// Milliseconds by a clock that nobody sets; this system's goes on while the
/// computer sleeps.
pub fn steady_ms() -> i64 {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    let since = BEGAN.get_or_init(Instant::now).elapsed();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// What tells a folder from another one put in its place: when it was made
/// (file ids have no stable interface in the standard library).
pub fn folder_id(meta: &Metadata) -> (u64, u64) {
    (0, meta.creation_time())
}

/// A component of a path as the operating system has it.
///
/// # Errors
/// [`NameRefused`] when it would lead to another place.
pub fn name_of_bytes(name: &[u8]) -> Result<Cow<'_, OsStr>, NameRefused> {
    names::windows_readable(name)?;
    match std::str::from_utf8(name) {
        Ok(text) => Ok(Cow::Borrowed(OsStr::new(text))),
        Err(_) => {
            let wide = names::bytes_to_wide(name).ok_or(NameRefused::NotText)?;
            Ok(Cow::Owned(OsString::from_wide(&wide)))
        }
    }
}

/// A relative path as pattern matching wants it, `/` between components.
pub fn path_for_patterns(path: &[u8]) -> Cow<'_, Path> {
    match String::from_utf8_lossy(path) {
        Cow::Borrowed(text) => Cow::Borrowed(Path::new(text)),
        Cow::Owned(text) => Cow::Owned(text.into()),
    }
}

/// The bytes of an operating system's name.
pub fn bytes_of_name(name: &OsStr) -> Vec<u8> {
    names::wide_to_bytes(name.encode_wide())
}

/// Refuse a name that would be stored under another one here.
///
/// # Errors
/// [`NameRefused`] says why.
pub fn writable_name(name: &[u8]) -> Result<(), NameRefused> {
    names::windows_writable(name)
}

/// Make the file read-only, or not: all that a mode means here.
///
/// # Errors
/// What the operating system says.
pub fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    let mut permissions = file.metadata()?.permissions();
    permissions.set_readonly(mode & MODE_OWNER_WRITES == 0);
    file.set_permissions(permissions)
}

/// Files have no numeric owner here: `false`, nothing done.
///
/// # Errors
/// Never on Windows.
pub fn set_owner(_file: &File, _owner: (u32, u32)) -> io::Result<bool> {
    Ok(false)
}

/// Bytes that a file with holes takes on its disk: not looked for here.
///
/// # Errors
/// Never on Windows.
pub fn sparse_bytes(_file: &mut File) -> io::Result<Option<u64>> {
    Ok(None)
}

/// True for a plain file that can be written to: rights are inherited here.
///
/// # Errors
/// What the operating system says.
pub fn is_own_private_file(file: &File) -> io::Result<bool> {
    let meta = file.metadata()?;
    Ok(meta.is_file() && !meta.permissions().readonly())
}

/// Nothing is opened here for being one's own: folders have no mode.
pub fn is_own(_there: &Fingerprint) -> bool {
    false
}

/// Windows has no root in the sense of this function.
pub fn is_privileged() -> bool {
    false
}

/// Open for writing, created when it is not there. Files in an account's own
/// folders inherit rights that keep other accounts out.
pub fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    options
}

/// Create a folder and those above it, with the rights they inherit.
///
/// # Errors
/// What the operating system says.
pub fn create_private_dir_all(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

/// Bytes that this account may still write to the disk that `path` is on.
///
/// # Errors
/// What the operating system says.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    fs2::available_space(path)
}

/// True when the system says that what was opened cannot be used so. Some
/// network and FUSE mounts answer thus to the sync of a folder; Windows
/// has no such answer.
pub fn is_bad_descriptor(_error: &io::Error) -> bool {
    false
}
