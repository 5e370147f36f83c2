//! What differs between operating systems, as far as the vault meets it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::path::Path;

#[cfg(unix)]
use rustix::io::Errno;
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};

/// Options that create a file for its owner alone (0600) and follow no link to it.
/// Windows gives it the rights of its folder.
pub(super) fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    #[cfg(unix)]
    options
        .mode(0o600)
        .custom_flags(i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0));
    options
}

/// Create one folder for its owner alone (0700); the folder above it must exist.
pub(super) fn create_private_dir(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    return DirBuilder::new().mode(0o700).create(path);
    #[cfg(not(unix))]
    DirBuilder::new().create(path)
}

/// Open a file that is there to wait until it is on the platter.
pub(super) fn open_to_sync(path: &Path) -> io::Result<File> {
    // Windows flushes only what may be written to; elsewhere a vault on a disk that is
    // read-only now is synced as well.
    File::options().read(true).write(cfg!(windows)).open(path)
}

/// Whether `path` leads to this open file; `None` where the system does not say so cheaply.
/// While a file is open, no other on the same computer has its numbers.
#[cfg(unix)]
pub(super) fn is_same_file(file: &File, path: &Path) -> Option<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let numbers = |found: io::Result<std::fs::Metadata>| found.ok().map(|m| (m.dev(), m.ino()));
    let own = numbers(file.metadata());
    Some(own.is_some() && own == numbers(std::fs::symlink_metadata(path)))
}

/// Windows lets nobody replace a file that is open like this one, and fails what is asked of it
/// once its drive was pulled.
#[cfg(not(unix))]
pub(super) fn is_same_file(_file: &File, _path: &Path) -> Option<bool> {
    None
}

/// True for the errors of a system that cannot sync a folder at all: some
/// network file systems, and Windows cannot even open one. Nothing else can be
/// done there.
pub(super) fn cannot_sync_folders(error: &io::Error) -> bool {
    let is_known = matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied
    );
    #[cfg(unix)]
    let is_known = is_known || Errno::from_io_error(error) == Some(Errno::BADF);
    is_known
}

/// True when the disk does not take what is written to it, or fails, or is gone:
/// what lies on it may be readable all the same.
pub(super) fn is_refusal_to_write(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    let is_of_kind = matches!(
        error.kind(),
        Kind::ReadOnlyFilesystem
            | Kind::PermissionDenied
            | Kind::StorageFull
            | Kind::QuotaExceeded
            | Kind::FileTooLarge
            | Kind::StaleNetworkFileHandle
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown
            | Kind::NotConnected
            | Kind::TimedOut
    );
    is_of_kind || error.raw_os_error().is_some_and(is_failing_device)
}

/// Codes that have no stable [`io::ErrorKind`]: the device fails or is gone.
#[cfg(unix)]
fn is_failing_device(code: i32) -> bool {
    matches!(
        Errno::from_raw_os_error(code),
        Errno::IO | Errno::NXIO | Errno::NODEV | Errno::HOSTDOWN
    )
}

/// Codes that have no stable [`io::ErrorKind`] (winerror.h).
#[cfg(windows)]
fn is_failing_device(code: i32) -> bool {
    matches!(
        code,
        // ERROR_WRITE_PROTECT.
        19
        // ERROR_NOT_READY, ERROR_CRC, ERROR_SEEK, ERROR_GEN_FAILURE, ERROR_IO_DEVICE.
        | 21 | 23 | 25 | 31 | 1117
        // ERROR_HANDLE_DISK_FULL, ERROR_DISK_FULL.
        | 39 | 112
        // ERROR_BAD_NETPATH, ERROR_DEV_NOT_EXIST, ERROR_NETNAME_DELETED, ERROR_BAD_NET_NAME.
        | 53 | 55 | 64 | 67
        // ERROR_CLOUD_FILE_*: the file is in the cloud and cannot be fetched now.
        | 362 | 395 | 396 | 404
        // ERROR_PRIVILEGE_NOT_HELD.
        | 1314
    )
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_takes_no_writing_is_known_by_its_errors() {
        let of = |errno: Errno| io::Error::from_raw_os_error(errno.raw_os_error());
        for errno in [
            Errno::ROFS,
            Errno::ACCESS,
            Errno::PERM,
            Errno::NOSPC,
            Errno::DQUOT,
            Errno::FBIG,
            Errno::IO,
            Errno::NXIO,
            Errno::NODEV,
            Errno::STALE,
            Errno::NOTCONN,
            Errno::HOSTDOWN,
        ] {
            assert!(is_refusal_to_write(&of(errno)), "{errno:?}");
        }
        for errno in [Errno::NOENT, Errno::NOTDIR, Errno::INVAL, Errno::MFILE] {
            assert!(!is_refusal_to_write(&of(errno)), "{errno:?}");
        }
    }

    #[test]
    fn folders_that_cannot_be_synced_are_known_by_their_errors() {
        let of = |errno: Errno| io::Error::from_raw_os_error(errno.raw_os_error());
        for errno in [Errno::INVAL, Errno::OPNOTSUPP, Errno::ACCESS, Errno::BADF] {
            assert!(cannot_sync_folders(&of(errno)), "{errno:?}");
        }
        for errno in [Errno::IO, Errno::NOSPC, Errno::NOENT] {
            assert!(!cannot_sync_folders(&of(errno)), "{errno:?}");
        }
    }
}
