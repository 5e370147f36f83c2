//! Metadata, names and private files on Windows.

use crate::os::found::size_of_kind;
use crate::os::names;
use crate::os::names::NameRefused;
use crate::types::{BootMs, Fingerprint, Kind};
use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::fs::MetadataExt;
use std::path::Path;
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

/// Links and junctions are both "symlink" to the standard library.
pub(super) fn kind_of(kind: std::fs::FileType) -> Kind {
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

/// Now, by a clock that nobody sets; this system's goes on while the
/// computer sleeps.
pub fn boot_now() -> BootMs {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    let since = BEGAN.get_or_init(Instant::now).elapsed();
    BootMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
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
