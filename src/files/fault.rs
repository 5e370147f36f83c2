//! Turns an error of the operating system into a fault, with advice.
//!
//! There is one table for reading and one for writing, as pure functions, because most of
//! these errors cannot be provoked in a test (least of all as root).

use crate::os;
use crate::os::Trouble;
use crate::types::{Class, Fault, FaultDetail, RelPath, chain};
use std::io;

/// Longer paths are shown by their two ends: a line in a log stays a line.
const SUBJECT_CHARS_MAX: usize = 1024;

/// Reading `subject` failed.
pub(super) fn reading(operation: &str, subject: impl Into<String>, error: &io::Error) -> Fault {
    let (class, hint) = of_reading(os::trouble(error));
    let fault = Fault::new(class, operation, subject, chain(error));
    let fault = fault.hint(hint).with_source(kept(error));
    match os::trouble(error) {
        Trouble::Busy => fault.detail(FaultDetail::HeldByProgram),
        _ => fault,
    }
}

/// Writing `subject` failed.
pub(super) fn writing(operation: &str, subject: impl Into<String>, error: &io::Error) -> Fault {
    let (class, hint) = of_writing(os::trouble(error));
    let of_service = match os::trouble(error) {
        Trouble::ReadOnly => os::remedy_for_read_only(),
        _ => None,
    };
    let fault = Fault::new(class, operation, subject, chain(error));
    let fault = fault
        .hint(of_service.unwrap_or_else(|| hint.to_owned()))
        .with_source(kept(error));
    match is_of_the_disk(error) {
        true => fault.detail(FaultDetail::DiskRefuses),
        false => fault,
    }
}

/// The same error to keep.
fn kept(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        // Which kind of thing it said is told from the error itself (see `os::trouble`).
        None if os::trouble(error) == Trouble::InCloud => io::Error::other(os::OnlyInCloud),
        None => io::Error::new(error.kind(), chain(error)),
    }
}

/// True when the disk refuses other files as well: not for what stands in the way
/// of one, nor for one that is larger than the file system takes.
fn is_of_the_disk(error: &io::Error) -> bool {
    error.kind() != io::ErrorKind::FileTooLarge
        && matches!(
            os::trouble(error),
            Trouble::Full | Trouble::Device | Trouble::ReadOnly | Trouble::Stale
        )
}

/// A path as shown to people, in one line of bearable length.
pub(super) fn shown(path: &RelPath) -> String {
    let text = path.to_string();
    if text.len() <= SUBJECT_CHARS_MAX {
        return text;
    }
    let chars: Vec<char> = text.chars().collect();
    let half = SUBJECT_CHARS_MAX / 2;
    if chars.len() <= 2 * half {
        return text;
    }
    let head: String = chars[..half].iter().collect();
    let tail: String = chars[chars.len() - half..].iter().collect();
    format!("{head}…{tail}")
}

fn of_reading(trouble: Trouble) -> (Class, &'static str) {
    match trouble {
        Trouble::Missing | Trouble::NotFolder => (Class::Vanished, ""),
        // Something else has taken its place since it was looked at.
        Trouble::IsFolder | Trouble::Exists => (Class::Changed, ""),
        Trouble::Link => (
            Class::Unreadable,
            "links lead round in a circle here; remove one of them",
        ),
        Trouble::Denied => (
            Class::Unreadable,
            "let the account that runs Keepwatch read it (its own rights and those of the folders above it)",
        ),
        Trouble::Device => (
            Class::Unreadable,
            "the disk or network folder reports a read error: check its cable and health, and copy what matters off it",
        ),
        Trouble::Stale => (
            Class::Unreadable,
            "the network folder or the cloud drive does not answer: check the connection, or connect it again",
        ),
        Trouble::Busy => (
            Class::Unreadable,
            "another program keeps the file to itself (Outlook its mail, Access its database): close it there, at least once a day; it is tried again every few minutes and stored as soon as it is free",
        ),
        Trouble::InCloud => (
            Class::Unreadable,
            "have it kept on this computer (in Explorer: right click, \"Always keep on this device\"), or leave it out with a rule; what is stored of it already stays",
        ),
        Trouble::TooLong => (
            Class::Unreadable,
            "the name is too long for this file system: shorten it or the folders above it",
        ),
        Trouble::BadName => (
            Class::Unreadable,
            "the file system does not take this name: rename it",
        ),
        Trouble::TooManyOpen => (
            Class::Local,
            "too many files are open on this computer: raise the limit on open files for Keepwatch",
        ),
        Trouble::Full | Trouble::ReadOnly | Trouble::Unsupported | Trouble::Other => {
            (Class::Unreadable, "see whether another program can read it")
        }
    }
}

fn of_writing(trouble: Trouble) -> (Class, &'static str) {
    let hint = match trouble {
        Trouble::Missing => {
            "the folder to write to is gone: see whether its disk is still connected"
        }
        Trouble::NotFolder | Trouble::Link => {
            "a file or a link stands where a folder is needed, and nothing is written through it: move it away or use an empty folder"
        }
        Trouble::IsFolder => "a folder of this name stands there: move it away",
        Trouble::Denied => {
            "choose a folder that this account may write to (with `restore`: another one after --to, like ~/restored), or let it write there"
        }
        Trouble::Device => "the disk reports an error: use another one",
        Trouble::Stale => "the network folder does not answer: check the connection",
        Trouble::Busy => "another program keeps the file to itself: close it there",
        Trouble::InCloud => {
            "the file is in the cloud and does not answer: have it kept on this computer first"
        }
        Trouble::TooLong => {
            return (
                Class::Unstorable,
                "the path is too long for this disk: use a folder with a shorter path",
            );
        }
        Trouble::BadName => {
            return (
                Class::Unstorable,
                "this system or disk does not take such a name: restore it on another one",
            );
        }
        Trouble::TooManyOpen => {
            "too many files are open on this computer: raise the limit on open files"
        }
        Trouble::Full => "the disk or the quota is full: free some space or use another disk",
        Trouble::ReadOnly => "the disk is read-only: use another one",
        Trouble::Exists => "the name is taken: move what stands there away",
        Trouble::Unsupported => "the disk's file system cannot do this: use another one",
        Trouble::Other => "see whether another program can write there",
    };
    (Class::Local, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_error_of_reading_is_worth() {
        for (trouble, class, in_hint) in [
            (Trouble::Missing, Class::Vanished, ""),
            (Trouble::NotFolder, Class::Vanished, ""),
            (Trouble::IsFolder, Class::Changed, ""),
            (Trouble::Link, Class::Unreadable, "circle"),
            (Trouble::Denied, Class::Unreadable, "account"),
            (Trouble::Device, Class::Unreadable, "disk"),
            (Trouble::Stale, Class::Unreadable, "network"),
            (Trouble::Busy, Class::Unreadable, "another program"),
            (Trouble::InCloud, Class::Unreadable, "on this computer"),
            (Trouble::TooLong, Class::Unreadable, "shorten"),
            (Trouble::TooManyOpen, Class::Local, "limit on open files"),
            (Trouble::Other, Class::Unreadable, "another program"),
        ] {
            let (got, hint) = of_reading(trouble);
            assert_eq!(got, class, "{trouble:?}");
            assert!(hint.contains(in_hint), "{trouble:?}: {hint}");
            assert_eq!(hint.is_empty(), in_hint.is_empty(), "{trouble:?}");
        }
    }

    #[test]
    fn what_an_error_of_writing_is_worth() {
        for (trouble, class, in_hint) in [
            (Trouble::Full, Class::Local, "full"),
            (Trouble::NotFolder, Class::Local, "through"),
            (Trouble::Denied, Class::Local, "write"),
            (Trouble::TooLong, Class::Unstorable, "shorter"),
            (Trouble::BadName, Class::Unstorable, "name"),
            (Trouble::ReadOnly, Class::Local, "read-only"),
        ] {
            let (got, hint) = of_writing(trouble);
            assert_eq!(got, class, "{trouble:?}");
            assert!(hint.contains(in_hint), "{trouble:?}: {hint}");
        }
    }

    #[test]
    fn what_stands_in_the_way_of_one_file_is_not_the_disks() {
        use io::ErrorKind;
        for (kind, want) in [
            (ErrorKind::StorageFull, true),
            (ErrorKind::QuotaExceeded, true),
            (ErrorKind::ReadOnlyFilesystem, true),
            (ErrorKind::StaleNetworkFileHandle, true),
            (ErrorKind::FileTooLarge, false),
            (ErrorKind::NotADirectory, false),
            (ErrorKind::IsADirectory, false),
            (ErrorKind::PermissionDenied, false),
            (ErrorKind::AlreadyExists, false),
            (ErrorKind::ResourceBusy, false),
            (ErrorKind::NotFound, false),
            (ErrorKind::InvalidFilename, false),
            (ErrorKind::Other, false),
        ] {
            let error = io::Error::from(kind);
            assert_eq!(
                writing("write", "a", &error).is_of_the_disk(),
                want,
                "{kind}"
            );
            assert!(!reading("read", "a", &error).is_of_the_disk(), "{kind}");
        }
        #[cfg(unix)]
        for (errno, want) in [
            (rustix::io::Errno::IO, true),
            (rustix::io::Errno::LOOP, false),
        ] {
            let error = io::Error::from_raw_os_error(errno.raw_os_error());
            let fault = writing("write", "a", &error);
            assert_eq!(fault.is_of_the_disk(), want, "{errno}");
        }
    }

    #[test]
    fn trouble_with_a_file_is_never_taken_for_trouble_with_the_bucket() {
        let errors = (1..200).map(io::Error::from_raw_os_error);
        for error in errors {
            assert!(!reading("read", "a", &error).class.is_destination());
            assert!(!writing("write", "a", &error).class.is_destination());
        }
    }

    #[test]
    fn a_fault_says_all_there_is_to_say() {
        let error = io::Error::from(io::ErrorKind::PermissionDenied);
        assert_eq!(
            reading("read", "Invoices/a.xlsx", &error).to_string(),
            "Invoices/a.xlsx: cannot read: permission denied (what to do: let the account that runs Keepwatch read it (its own rights and those of the folders above it))"
        );
    }

    #[test]
    fn endless_paths_are_shown_by_their_ends() {
        let path = RelPath::from_bytes(format!("first/{}/läst", "ü/".repeat(9000) + "x")).unwrap();
        let text = shown(&path);
        assert!(text.starts_with("first/") && text.ends_with("/läst"));
        assert_eq!(text.chars().count(), SUBJECT_CHARS_MAX + 1);
        assert_eq!(shown(&RelPath::from_bytes("a/b").unwrap()), "a/b");
    }
}
