//! Metadata, names and private files on Unix.

use crate::os::found::{NS_PER_S, size_of_kind};
use crate::os::names::NameRefused;
use crate::types::{BootMs, Fingerprint, Kind};
use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Permission bits, without the file type.
pub(super) const MODE_BITS: u32 = 0o7777;

/// Nanoseconds since 1970.
pub(super) fn ns_of_parts(seconds: i64, nanoseconds: i64) -> i128 {
    i128::from(seconds) * i128::from(NS_PER_S) + i128::from(nanoseconds)
}

/// The same in 64 bits; beyond what they hold, the nearest time that they do.
pub(super) fn near_ns_of_parts(seconds: i64, nanoseconds: i64) -> i64 {
    seconds.saturating_mul(NS_PER_S).saturating_add(nanoseconds)
}

/// What an open file is now.
///
/// # Errors
/// What the operating system says.
pub fn fingerprint_of(file: &File) -> io::Result<Fingerprint> {
    Ok(of_metadata(&file.metadata()?))
}

/// What stands at a path itself.
///
/// # Errors
/// What the operating system says.
pub fn fingerprint_at(path: &Path) -> io::Result<Fingerprint> {
    Ok(of_metadata(&path.symlink_metadata()?))
}

fn of_metadata(meta: &Metadata) -> Fingerprint {
    let kind = match meta.file_type() {
        t if t.is_file() => Kind::File,
        t if t.is_dir() => Kind::Folder,
        t if t.is_symlink() => Kind::Symlink,
        _ => Kind::Special,
    };
    Fingerprint {
        kind,
        size_bytes: size_of_kind(kind, meta.len()),
        mtime_ns: ns_of_parts(meta.mtime(), meta.mtime_nsec()),
        ctime_ns: near_ns_of_parts(meta.ctime(), meta.ctime_nsec()),
        inode: meta.ino(),
        mode: meta.mode() & MODE_BITS,
        owner: Some((meta.uid(), meta.gid())),
    }
}

/// Now, by a clock that nobody sets and that goes on while the computer sleeps. [`std::time::Instant`] stands still then on Linux and macOS.
pub fn boot_now() -> BootMs {
    #[cfg(target_os = "linux")]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
    let now = rustix::time::clock_gettime(CLOCK);
    let ms = now.tv_sec.saturating_mul(1_000);
    BootMs(ms.saturating_add(now.tv_nsec / 1_000_000))
}

/// What tells an open file or folder from another one: file system and inode.
///
/// # Errors
/// What the operating system says.
pub fn id_of(file: &File) -> io::Result<(u64, u64)> {
    file.metadata().map(|meta| (meta.dev(), meta.ino()))
}

/// The same of what stands at a path; a link is followed.
///
/// # Errors
/// What the operating system says.
pub fn id_at(path: &Path) -> io::Result<(u64, u64)> {
    path.metadata().map(|meta| (meta.dev(), meta.ino()))
}

/// The same of what stands at a path itself.
///
/// # Errors
/// What the operating system says.
pub fn link_id_at(path: &Path) -> io::Result<(u64, u64)> {
    path.symlink_metadata().map(|meta| (meta.dev(), meta.ino()))
}

/// Whether an id that was noted for a folder is one of an earlier version, with which
/// today's cannot be compared: there are none here.
pub fn is_id_of_before(_noted: (u64, u64), _made_ns: Option<i64>) -> bool {
    false
}

/// A component of a path as the operating system has it.
///
/// # Errors
/// Never on Unix.
pub fn name_of_bytes(name: &[u8]) -> Result<Cow<'_, OsStr>, NameRefused> {
    Ok(Cow::Borrowed(OsStr::from_bytes(name)))
}

/// A relative path as pattern matching wants it, `/` between components.
pub fn path_for_patterns(path: &[u8]) -> Cow<'_, Path> {
    Cow::Borrowed(Path::new(OsStr::from_bytes(path)))
}

/// The bytes of an operating system's name.
pub fn bytes_of_name(name: &OsStr) -> Vec<u8> {
    name.as_bytes().to_vec()
}

/// The name under which what is called `name` can be stored here: itself.
pub fn storable_name(name: &[u8]) -> Cow<'_, [u8]> {
    Cow::Borrowed(name)
}

/// Refuse a name that would be stored under another one here.
///
/// # Errors
/// Never on Unix.
pub fn writable_name(_name: &[u8]) -> Result<(), NameRefused> {
    Ok(())
}

/// Set permission bits.
///
/// # Errors
/// What the operating system says.
pub fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(mode & MODE_BITS))
}

/// Give the file to this owner and group; `false` when this account may not,
/// and has not tried. It clears set-user-id bits, so the mode comes after it.
///
/// # Errors
/// What the operating system says.
pub fn set_owner(file: &File, owner: (u32, u32)) -> io::Result<bool> {
    if !is_privileged() {
        return Ok(false);
    }
    std::os::unix::fs::fchown(file, Some(owner.0), Some(owner.1))?;
    Ok(true)
}

/// Bytes that an open file takes on its disk, when it has holes: less than it has.
/// `None` for any other, and for one that a disk compresses. Leaves it at its
/// beginning.
///
/// # Errors
/// What the operating system says.
pub fn sparse_bytes(file: &mut File) -> io::Result<Option<u64>> {
    /// A hole is a page at least.
    const HOLE_BYTES_MIN: u64 = 4096;
    /// What `stat` counts in, on all Unixes of today.
    const UNIT_BYTES: u64 = 512;
    let meta = file.metadata()?;
    let on_disk = meta.blocks().saturating_mul(UNIT_BYTES);
    if on_disk.saturating_add(HOLE_BYTES_MIN) > meta.len() {
        return Ok(None);
    }
    let is_sparse = has_hole(file, meta.len());
    std::io::Seek::rewind(file)?;
    Ok(is_sparse.then_some(on_disk))
}

/// A file system that does not know holes has none.
#[cfg(any(target_os = "linux", target_os = "macos"))]
fn has_hole(file: &File, size_bytes: u64) -> bool {
    rustix::fs::seek(file, rustix::fs::SeekFrom::Hole(0)).is_ok_and(|at| at < size_bytes)
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn has_hole(_file: &File, _size_bytes: u64) -> bool {
    false
}

/// True for a plain file of this account that nobody else may open and that has
/// one name only: it can be written to without doing so elsewhere.
///
/// # Errors
/// What the operating system says.
pub fn is_own_private_file(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let meta = file.metadata()?;
    Ok(meta.is_file()
        && meta.nlink() == 1
        && meta.uid() == rustix::process::geteuid().as_raw()
        && meta.mode() & 0o077 == 0)
}

/// True when this process may read and change everything (root).
pub fn is_privileged() -> bool {
    rustix::process::geteuid().is_root()
}

/// True when this account owns it.
pub fn is_own(there: &Fingerprint) -> bool {
    let own = rustix::process::geteuid().as_raw();
    there.owner.is_some_and(|(owner, _)| owner == own)
}

/// Open for writing, created for its owner alone (0600) when it is not there. A
/// link in its place is refused: it may lead to a file that is not ours.
pub fn private_options() -> OpenOptions {
    let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create(true)
        .mode(0o600)
        .custom_flags(no_follow);
    options
}

/// Create a folder and those above it, for their owner alone (0700). What is
/// already there keeps its mode.
///
/// # Errors
/// What the operating system says.
pub fn create_private_dir_all(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Create a folder to restore into and those above it, for their owner alone (0700).
///
/// # Errors
/// What the operating system says.
pub fn create_target_dir_all(path: &Path) -> io::Result<()> {
    create_private_dir_all(path)
}

/// The path without links.
///
/// # Errors
/// What the operating system says.
pub fn real_path(path: &Path) -> io::Result<PathBuf> {
    path.canonicalize()
}

/// This system has no shadow copies: nothing is done.
pub fn use_shadow_copies(_list: &Path) {}

/// See [`use_shadow_copies`].
pub fn end_shadow_copies() {}

/// Bytes that this account may still write to the disk that `path` is on.
///
/// # Errors
/// What the operating system says.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// True when the system says that what was opened cannot be used so. Some
/// network and FUSE mounts answer thus to the sync of a folder.
pub fn is_bad_descriptor(error: &io::Error) -> bool {
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::BADF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_nanoseconds_are_put_together() {
        assert_eq!(ns_of_parts(-2, 500_000_000), -1_500_000_000);
        assert_eq!(near_ns_of_parts(i64::MAX, 5), i64::MAX);
        assert_eq!(ns_of_parts(1 << 40, 5), (1 << 40) * 1_000_000_000 + 5);
    }
}
