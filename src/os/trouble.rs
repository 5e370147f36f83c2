//! What an error of the operating system means, in one vocabulary for all of them.
//!
//! It says what happened; `files` decides what that is worth and what to advise.

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

/// Codes that have no stable [`io::ErrorKind`] (winerror.h).
#[cfg(windows)]
fn of_code(code: i32) -> Option<Trouble> {
    Some(match code {
        // ERROR_FILE_NOT_FOUND, ERROR_PATH_NOT_FOUND.
        2 | 3 => Trouble::Missing,
        // ERROR_TOO_MANY_OPEN_FILES.
        4 => Trouble::TooManyOpen,
        // ERROR_NOT_READY, ERROR_CRC, ERROR_SEEK, ERROR_GEN_FAILURE, ERROR_IO_DEVICE.
        21 | 23 | 25 | 31 | 1117 => Trouble::Device,
        // ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION.
        32 | 33 => Trouble::Busy,
        // ERROR_BAD_NETPATH, ERROR_DEV_NOT_EXIST, ERROR_NETNAME_DELETED, ERROR_BAD_NET_NAME.
        53 | 55 | 64 | 67 => Trouble::Stale,
        // ERROR_FILE_EXISTS, ERROR_ALREADY_EXISTS.
        80 | 183 => Trouble::Exists,
        // ERROR_DISK_FULL, ERROR_HANDLE_DISK_FULL.
        39 | 112 => Trouble::Full,
        // ERROR_WRITE_PROTECT.
        19 => Trouble::ReadOnly,
        // ERROR_INVALID_NAME.
        123 => Trouble::BadName,
        // ERROR_FILENAME_EXCED_RANGE.
        206 => Trouble::TooLong,
        // ERROR_DIRECTORY.
        267 => Trouble::NotFolder,
        // ERROR_PRIVILEGE_NOT_HELD.
        1314 => Trouble::Denied,
        // ERROR_CANT_ACCESS_FILE, ERROR_CANT_RESOLVE_FILENAME.
        1920 | 1921 => Trouble::Link,
        // ERROR_CLOUD_FILE_* : the file is in the cloud and cannot be fetched now.
        362 | 395 | 396 | 404 => Trouble::Stale,
        // ERROR_INVALID_FUNCTION, ERROR_NOT_SUPPORTED.
        1 | 50 => Trouble::Unsupported,
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
}
