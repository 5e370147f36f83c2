//! Metadata, names and private files on Windows.

use super::rights;
use super::sys;
use super::sys::HandleInfo;
use crate::os::file_ids;
use crate::os::found::{Found, size_of_kind};
use crate::os::names;
use crate::os::names::NameRefused;
use crate::os::reparse;
use crate::os::reparse::ATTRIBUTE_READ_ONLY;
use crate::os::trouble::{Trouble, trouble};
use crate::types::{BootMs, Fingerprint, Kind};
use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Instant;

/// What a writable file's mode is said to be.
const MODE_WRITABLE: u32 = 0o644;

/// What a read-only file's mode is said to be.
const MODE_READ_ONLY: u32 = 0o444;

/// The owner's right to write: all that a mode means here.
const MODE_OWNER_WRITES: u32 = 0o200;

/// `FILE_READ_ATTRIBUTES` (winnt.h): enough to ask what a file is; no sharing of others
/// stands in its way.
const RIGHT_READ_ATTRIBUTES: u32 = 0x80;

/// `FILE_FLAG_BACKUP_SEMANTICS` (winbase.h): needed to open a folder.
pub(super) const FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;

/// `FILE_FLAG_OPEN_REPARSE_POINT` (winbase.h): a link itself and not what it leads to.
pub(super) const FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;

/// What stands at a path, opened only to be asked what it is: links are not followed.
pub(super) fn open_to_ask(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .access_mode(RIGHT_READ_ATTRIBUTES)
        .custom_flags(FLAG_BACKUP_SEMANTICS | FLAG_OPEN_REPARSE_POINT)
        .open(path)
}

/// What is known of an open file.
pub(super) fn found_of(file: &File) -> io::Result<Found> {
    Ok(found_in(&sys::info_of(file)?))
}

pub(super) fn found_in(info: &HandleInfo) -> Found {
    let kind = reparse::kind_of(info.attributes, info.tag);
    let fingerprint = Fingerprint {
        kind,
        size_bytes: size_of_kind(kind, info.size_bytes),
        mtime_ns: file_ids::ns_of_ticks(info.written_ticks),
        // What a cloud does to its placeholder is no change of the file.
        ctime_ns: match reparse::is_elsewhere(info.attributes) {
            true => 0,
            false => file_ids::near_ns_of_ticks(info.changed_ticks),
        },
        inode: info.id,
        mode: match info.attributes & ATTRIBUTE_READ_ONLY {
            0 => MODE_WRITABLE,
            // A folder's mark means something else: that its looks were customised.
            _ if kind == Kind::Folder => MODE_WRITABLE,
            _ => MODE_READ_ONLY,
        },
        owner: None,
    };
    Found {
        fingerprint,
        dev: info.volume,
        links: info.links,
    }
}

/// What an open file is now.
///
/// # Errors
/// What the operating system says.
pub fn fingerprint_of(file: &File) -> io::Result<Fingerprint> {
    Ok(found_of(file)?.fingerprint)
}

/// What stands at a path itself.
///
/// # Errors
/// What the operating system says.
pub fn fingerprint_at(path: &Path) -> io::Result<Fingerprint> {
    fingerprint_of(&open_to_ask(path)?)
}

/// Now, by a clock that nobody sets; this system's goes on while the
/// computer sleeps (`QueryPerformanceCounter`).
pub fn boot_now() -> BootMs {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    let since = BEGAN.get_or_init(Instant::now).elapsed();
    BootMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// What tells an open file or folder from another one: volume and file; when it was
/// made, where its file system has no ids.
///
/// # Errors
/// What the operating system says.
pub fn id_of(file: &File) -> io::Result<(u64, u64)> {
    let info = sys::info_of(file)?;
    Ok(match info.id {
        0 => (0, u64::try_from(info.created_ticks).unwrap_or(0)),
        id => (info.volume, id),
    })
}

/// The same of what stands at a path; a link is followed.
///
/// # Errors
/// What the operating system says.
pub fn id_at(path: &Path) -> io::Result<(u64, u64)> {
    let file = OpenOptions::new()
        .access_mode(RIGHT_READ_ATTRIBUTES)
        .custom_flags(FLAG_BACKUP_SEMANTICS)
        .open(path)?;
    id_of(&file)
}

/// The same of what stands at a path itself.
///
/// # Errors
/// What the operating system says.
pub fn link_id_at(path: &Path) -> io::Result<(u64, u64)> {
    id_of(&open_to_ask(path)?)
}

/// Whether an id that was noted for a folder is one of an earlier version, which noted
/// when it was made: that is `made_ns` of the folder in question.
pub fn is_id_of_before(noted: (u64, u64), made_ns: Option<i64>) -> bool {
    file_ids::is_time_of_making(noted, made_ns)
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

/// The name under which what is called `name` can be stored here.
pub fn storable_name(name: &[u8]) -> Cow<'_, [u8]> {
    names::windows_storable(name)
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

/// Create a folder and those above it, for this account, the system and the computer's
/// administrators alone: in `%ProgramData%` all that is new could be read by everybody. What
/// is already there keeps its rights.
///
/// # Errors
/// What the operating system says.
pub fn create_private_dir_all(path: &Path) -> io::Result<()> {
    let missing = path.ancestors().take_while(|at| !at.exists());
    let Some(topmost) = missing.last() else {
        return Ok(());
    };
    std::fs::create_dir_all(path)?;
    // What is created in it from now on inherits.
    match make_private(topmost) {
        // FAT and some servers have no rights.
        Err(error) if trouble(&error) == Trouble::Unsupported => Ok(()),
        done => done,
    }
}

/// Let only this account, the system and administrators into a folder, and into what will
/// be created in it.
fn make_private(folder: &Path) -> io::Result<()> {
    /// `READ_CONTROL` and `WRITE_DAC` (winnt.h).
    const RIGHTS: u32 = 0x6_0000;
    let sid = rights::account_sid()?;
    let open = OpenOptions::new()
        .access_mode(RIGHTS)
        .custom_flags(FLAG_BACKUP_SEMANTICS)
        .open(folder)?;
    let list = format!("D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;{sid})");
    rights::set_sddl(&open, &list)
}

/// Create a folder to restore into and those above it, with the rights they inherit: what
/// is restored is for whoever the folder is for.
///
/// # Errors
/// What the operating system says.
pub fn create_target_dir_all(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

/// The path without links, in the form to which no limit of 260 characters applies.
///
/// # Errors
/// What the operating system says.
pub fn real_path(path: &Path) -> io::Result<PathBuf> {
    path.canonicalize().or_else(|error| {
        // Drives that a program shows (RAM disks, encrypted folders) may have no such
        // name; a link on the way is then looked through at each call.
        let whole = std::path::absolute(path)?;
        whole.metadata().map_err(|_| error)?;
        Ok(names::verbatim(&whole))
    })
}

/// True when this account can make files in the folder: the system is asked for a handle
/// with just that right.
pub fn can_write_in(dir: &Path) -> bool {
    /// `FILE_ADD_FILE` (winnt.h).
    const RIGHT_ADD_FILE: u32 = 0x2;
    let opened = OpenOptions::new()
        .access_mode(RIGHT_ADD_FILE)
        .custom_flags(FLAG_BACKUP_SEMANTICS)
        .open(dir);
    opened.is_ok_and(|folder| folder.metadata().is_ok_and(|meta| meta.is_dir()))
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
