//! What an error of the operating system means, in one vocabulary for all of them.
//!
//! It says what happened; `files` decides what that is worth and what to advise.

use super::reparse::OnlyInCloud;
use std::io;

/// What went wrong with one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing has this name.
    Missing,
    /// A folder was needed and something else stands there.
    NotFolder,
    /// A folder stands where something else was needed.
    IsFolder,
    /// A link stands there and is not followed, or links go round in a circle.
    Link,
    /// The account may not do this.
    Denied,
    /// The disk or the device fails.
    Device,
    /// The network folder has gone away.
    Stale,
    /// Another program keeps it to itself.
    Busy,
    /// Its content is only in the cloud.
    InCloud,
    /// The name or the path is longer than the file system takes.
    TooLong,
    /// The file system does not take such a name.
    BadName,
    /// This process, or the computer, has too many files open.
    TooManyOpen,
    /// The disk or the quota is full.
    Full,
    /// The file system is read-only.
    ReadOnly,
    /// The name is taken.
    Exists,
    /// The file system has no such feature.
    Unsupported,
    /// Anything else.
    Other,
}

impl Trouble {
    /// True when no folder of this name is there (a link to one is none).
    pub fn is_no_folder(self) -> bool {
        matches!(self, Trouble::Missing | Trouble::NotFolder | Trouble::Link)
    }

    /// True when nothing of this name is there; a name that its file system cannot
    /// hold is the name of nothing.
    pub fn is_nothing(self) -> bool {
        self.is_no_folder() || self == Trouble::TooLong
    }
}

/// What this error means.
pub fn trouble(error: &io::Error) -> Trouble {
    if let Some(known) = error.raw_os_error().and_then(of_code) {
        return known;
    }
    if error.get_ref().is_some_and(|why| why.is::<OnlyInCloud>()) {
        return Trouble::InCloud;
    }
    match error.kind() {
        io::ErrorKind::NotFound => Trouble::Missing,
        io::ErrorKind::NotADirectory => Trouble::NotFolder,
        io::ErrorKind::IsADirectory | io::ErrorKind::DirectoryNotEmpty => Trouble::IsFolder,
        io::ErrorKind::PermissionDenied => Trouble::Denied,
        io::ErrorKind::StaleNetworkFileHandle
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::NotConnected
        | io::ErrorKind::TimedOut => Trouble::Stale,
        // "Would block": somebody holds a lease on it (Samba's oplocks), which is
        // being called back just now.
        io::ErrorKind::ResourceBusy
        | io::ErrorKind::ExecutableFileBusy
        | io::ErrorKind::WouldBlock => Trouble::Busy,
        io::ErrorKind::InvalidFilename => Trouble::TooLong,
        io::ErrorKind::InvalidInput => Trouble::BadName,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            Trouble::Full
        }
        io::ErrorKind::ReadOnlyFilesystem => Trouble::ReadOnly,
        io::ErrorKind::AlreadyExists => Trouble::Exists,
        io::ErrorKind::Unsupported => Trouble::Unsupported,
        _ => Trouble::Other,
    }
}

/// Codes that have no stable [`io::ErrorKind`].
#[cfg(unix)]
fn of_code(code: i32) -> Option<Trouble> {
    use rustix::io::Errno;
    let errno = Errno::from_raw_os_error(code);
    Some(match errno {
        Errno::LOOP => Trouble::Link,
        Errno::IO | Errno::NXIO | Errno::NODEV => Trouble::Device,
        Errno::HOSTDOWN => Trouble::Stale,
        Errno::MFILE | Errno::NFILE => Trouble::TooManyOpen,
        Errno::ILSEQ => Trouble::BadName,
        // Not only "invalid argument": FAT and others answer so to odd names.
        Errno::INVAL => Trouble::BadName,
        Errno::OPNOTSUPP | Errno::NOSYS => Trouble::Unsupported,
        _ => return None,
    })
}

/// Codes that have no stable [`io::ErrorKind`].
#[cfg(windows)]
fn of_code(code: i32) -> Option<Trouble> {
    of_windows(code)
}

/// Windows' codes (winerror.h), compiled everywhere so that its test runs everywhere.
#[cfg(any(windows, test))]
fn of_windows(code: i32) -> Option<Trouble> {
    Some(match code {
        // ERROR_FILE_NOT_FOUND, ERROR_PATH_NOT_FOUND, ERROR_DELETE_PENDING.
        2 | 3 | 303 => Trouble::Missing,
        // ERROR_TOO_MANY_OPEN_FILES, ERROR_NO_SYSTEM_RESOURCES.
        4 | 1450 => Trouble::TooManyOpen,
        // ERROR_INVALID_DRIVE, ERROR_NOT_READY, ERROR_CRC, ERROR_SEEK, ERROR_NOT_DOS_DISK,
        // ERROR_GEN_FAILURE, ERROR_WRONG_DISK, ERROR_NO_MEDIA_IN_DRIVE,
        // ERROR_FILE_INVALID (the volume was changed), ERROR_DEVICE_NOT_CONNECTED,
        // ERROR_IO_DEVICE, ERROR_UNRECOGNIZED_VOLUME, ERROR_DISK_CORRUPT, ERROR_FILE_CORRUPT,
        // ERROR_NO_SUCH_DEVICE, ERROR_DEVICE_REMOVED, ERROR_DEV_NOT_EXIST's kin.
        15 | 21 | 23 | 25 | 26 | 31 | 34 | 1112 | 1006 | 1167 | 1117 | 1005 | 1393 | 1392 | 433
        | 1617 => Trouble::Device,
        // ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION, ERROR_USER_MAPPED_FILE.
        32 | 33 | 1224 => Trouble::Busy,
        // ERROR_REM_NOT_LIST, ERROR_BAD_NETPATH, ERROR_NETWORK_BUSY, ERROR_DEV_NOT_EXIST,
        // ERROR_ADAP_HDW_ERR, ERROR_BAD_NET_RESP, ERROR_UNEXP_NET_ERR, ERROR_NETNAME_DELETED,
        // ERROR_BAD_NET_NAME, ERROR_SHARING_PAUSED, ERROR_SEM_TIMEOUT, ERROR_VC_DISCONNECTED,
        // ERROR_NO_NET_OR_BAD_PATH, ERROR_NETWORK_UNREACHABLE, ERROR_HOST_UNREACHABLE,
        // ERROR_CONNECTION_ABORTED, ERROR_NOT_CONNECTED, ERROR_CONNECTION_UNAVAIL,
        // ERROR_NO_LOGON_SERVERS, ERROR_TIMEOUT.
        51 | 53 | 54 | 55 | 57 | 58 | 59 | 64 | 67 | 70 | 121 | 240 | 1203 | 1231 | 1232 | 1236
        | 2250 | 1201 | 1311 | 1460 => Trouble::Stale,
        // ERROR_FILE_EXISTS, ERROR_ALREADY_EXISTS.
        80 | 183 => Trouble::Exists,
        // ERROR_HANDLE_DISK_FULL, ERROR_DISK_FULL, ERROR_DISK_QUOTA_EXCEEDED,
        // ERROR_FILE_TOO_LARGE.
        39 | 112 | 1295 | 223 => Trouble::Full,
        // ERROR_WRITE_PROTECT.
        19 => Trouble::ReadOnly,
        // ERROR_INVALID_NAME, ERROR_BAD_PATHNAME.
        123 | 161 => Trouble::BadName,
        // ERROR_FILENAME_EXCED_RANGE.
        206 => Trouble::TooLong,
        // ERROR_DIRECTORY.
        267 => Trouble::NotFolder,
        // ERROR_DIR_NOT_EMPTY, ERROR_DIRECTORY_NOT_SUPPORTED.
        145 | 336 => Trouble::IsFolder,
        // ERROR_ACCESS_DENIED, ERROR_PRIVILEGE_NOT_HELD, ERROR_LOGON_FAILURE,
        // ERROR_ACCOUNT_RESTRICTION, ERROR_NETWORK_ACCESS_DENIED, ERROR_VIRUS_INFECTED,
        // ERROR_ENCRYPTION_FAILED, ERROR_DECRYPTION_FAILED, ERROR_FILE_ENCRYPTED.
        5 | 1314 | 1326 | 1327 | 65 | 225 | 6000 | 6001 | 6002 => Trouble::Denied,
        // ERROR_CANT_RESOLVE_FILENAME, ERROR_STOPPED_ON_SYMLINK. Not ERROR_CANT_ACCESS_FILE
        // (1920): a driver that fails, and no link.
        1921 | 681 => Trouble::Link,
        // ERROR_FILE_OFFLINE and ERROR_CLOUD_FILE_*: the file is in the cloud, and cannot
        // or must not be fetched now.
        4350 | 358..=364 | 366 | 374..=398 | 404 | 426 | 475 => Trouble::InCloud,
        // ERROR_INVALID_FUNCTION, ERROR_NOT_SUPPORTED, ERROR_CALL_NOT_IMPLEMENTED.
        1 | 50 | 120 => Trouble::Unsupported,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_a_meaning_everywhere() {
        for (kind, want) in [
            (io::ErrorKind::NotFound, Trouble::Missing),
            (io::ErrorKind::NotADirectory, Trouble::NotFolder),
            (io::ErrorKind::PermissionDenied, Trouble::Denied),
            (io::ErrorKind::StorageFull, Trouble::Full),
            (io::ErrorKind::QuotaExceeded, Trouble::Full),
            (io::ErrorKind::ReadOnlyFilesystem, Trouble::ReadOnly),
            (io::ErrorKind::StaleNetworkFileHandle, Trouble::Stale),
            (io::ErrorKind::AlreadyExists, Trouble::Exists),
            (io::ErrorKind::Other, Trouble::Other),
        ] {
            assert_eq!(trouble(&io::Error::from(kind)), want, "{kind:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn codes_of_unix() {
        use rustix::io::Errno;
        for (code, want) in [
            (Errno::NOENT, Trouble::Missing),
            (Errno::NOTDIR, Trouble::NotFolder),
            (Errno::ISDIR, Trouble::IsFolder),
            (Errno::LOOP, Trouble::Link),
            (Errno::ACCESS, Trouble::Denied),
            (Errno::PERM, Trouble::Denied),
            (Errno::IO, Trouble::Device),
            (Errno::NXIO, Trouble::Device),
            (Errno::STALE, Trouble::Stale),
            (Errno::NOTCONN, Trouble::Stale),
            (Errno::NAMETOOLONG, Trouble::TooLong),
            (Errno::MFILE, Trouble::TooManyOpen),
            (Errno::NFILE, Trouble::TooManyOpen),
            (Errno::NOSPC, Trouble::Full),
            (Errno::DQUOT, Trouble::Full),
            (Errno::ROFS, Trouble::ReadOnly),
            (Errno::EXIST, Trouble::Exists),
            (Errno::BUSY, Trouble::Busy),
            (Errno::AGAIN, Trouble::Busy),
        ] {
            let error = io::Error::from_raw_os_error(code.raw_os_error());
            assert_eq!(trouble(&error), want, "{code:?}");
        }
    }

    /// A drive that was pulled out, a share that does not answer and a file that a
    /// program holds are not deleted, and none of them is a full disk.
    #[test]
    fn codes_of_windows() {
        for (code, want) in [
            (2, Some(Trouble::Missing)),
            (3, Some(Trouble::Missing)),
            (5, Some(Trouble::Denied)),
            (15, Some(Trouble::Device)),
            (21, Some(Trouble::Device)),
            (1117, Some(Trouble::Device)),
            (1167, Some(Trouble::Device)),
            (32, Some(Trouble::Busy)),
            (33, Some(Trouble::Busy)),
            (53, Some(Trouble::Stale)),
            (59, Some(Trouble::Stale)),
            (64, Some(Trouble::Stale)),
            (67, Some(Trouble::Stale)),
            (121, Some(Trouble::Stale)),
            (1231, Some(Trouble::Stale)),
            (112, Some(Trouble::Full)),
            (19, Some(Trouble::ReadOnly)),
            (123, Some(Trouble::BadName)),
            (206, Some(Trouble::TooLong)),
            (267, Some(Trouble::NotFolder)),
            (362, Some(Trouble::InCloud)),
            (4350, Some(Trouble::InCloud)),
            (1314, Some(Trouble::Denied)),
            // "Bad length" and "out of paper": Linux has watch limits at these numbers.
            (24, None),
            (28, None),
            (0, None),
        ] {
            assert_eq!(of_windows(code), want, "{code}");
        }
        let gone = (1..16_000).filter(|code| of_windows(*code).is_some_and(Trouble::is_nothing));
        let gone: Vec<i32> = gone.collect();
        assert_eq!(gone, [2, 3, 206, 267, 303, 681, 1921]);
    }

    #[test]
    fn a_file_in_the_cloud_is_no_other_trouble() {
        assert_eq!(trouble(&io::Error::other(OnlyInCloud)), Trouble::InCloud);
    }
}
