//! What sled's failures mean, and what people can do about them.
//!
//! The one question: would a fresh database help (damage), or meet the same
//! (the computer fails), or take what is another's (locked)? It must never call
//! a full disk damage.

use super::worker::Failed;
use crate::types::{Fault, FaultDetail, chain};
use std::io;
use std::path::Path;

/// What people are told when the database is damaged.
pub(super) const HINT_DAMAGED: &str = "the backup is safe: the index is only a cache, and Keepwatch sets it aside and rebuilds it from the bucket at its next start";

/// Why a database is given up that does not answer.
const CAUSE_STUCK: &str = "the database does not answer";

/// Why the database could not be opened.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OpenRefused {
    /// Its bytes are damaged, or were written by a newer program.
    Damaged(String),
    /// Opening or reading it never ended; a thread is left behind.
    Stuck(String),
    /// A process holds it.
    Locked(String),
    /// The computer fails (disk full, no permission): moving it aside would not help.
    Computer {
        /// What it said.
        why: String,
        /// What can be done.
        hint: String,
    },
}

impl From<Fault> for OpenRefused {
    fn from(fault: Fault) -> Self {
        if fault.detail == Some(FaultDetail::IndexStuck) {
            Self::Stuck(fault.cause)
        } else if fault.detail == Some(FaultDetail::IndexDamaged) {
            Self::Damaged(fault.cause)
        } else {
            Self::Computer {
                why: fault.cause,
                hint: fault.hint,
            }
        }
    }
}

/// A call that the worker gave up, as a refusal.
pub(super) fn given_up(failed: Failed) -> OpenRefused {
    match failed {
        Failed::Panicked(why) => OpenRefused::Damaged(why),
        Failed::Stuck => OpenRefused::Stuck(CAUSE_STUCK.to_owned()),
        Failed::NoThread(why) => OpenRefused::Computer {
            why,
            hint: "close other programs and start again".to_owned(),
        },
    }
}

/// What to do about an operating system's refusal.
pub(super) fn hint_for(kind: io::ErrorKind, folder: &Path) -> String {
    let folder = folder.display();
    match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            format!("free some space on the disk that holds {folder}; nothing backed up is lost")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            format!("let the account that runs Keepwatch write to {folder}")
        }
        _ => format!(
            "make sure that {folder} is on a working disk of this computer (not a network folder), or name another state folder under [state] in the configuration"
        ),
    }
}

/// Trouble of the computer that a fresh database would meet as well.
fn is_computers(error: &io::Error) -> bool {
    /// "Too many open files", of the process and of the system, on Unix.
    const FILES_EXHAUSTED: [i32; 2] = [24, 23];
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::OutOfMemory
            | io::ErrorKind::WouldBlock
            | io::ErrorKind::Unsupported
    ) || error
        .raw_os_error()
        .is_some_and(|code| cfg!(unix) && FILES_EXHAUSTED.contains(&code))
}

/// sled's errors, told apart by what helps.
pub(super) fn refused(error: &sled::Error, folder: &Path) -> OpenRefused {
    match error {
        sled::Error::Io(io) => {
            let text = chain(io);
            // sled has no error of its own for it; its text is pinned with its version.
            if text.contains("could not acquire lock") {
                OpenRefused::Locked(text)
            } else if is_computers(io) {
                OpenRefused::Computer {
                    why: text,
                    hint: hint_for(io.kind(), folder),
                }
            } else {
                OpenRefused::Damaged(text)
            }
        }
        other => OpenRefused::Damaged(chain(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart() {
        let tell = |error| refused(&error, Path::new("/x"));
        let io = |kind| tell(sled::Error::Io(io::Error::from(kind)));
        for full in [io::ErrorKind::StorageFull, io::ErrorKind::FileTooLarge] {
            let OpenRefused::Computer { hint, .. } = io(full) else {
                panic!("{full} is no damage");
            };
            assert!(hint.contains("free some space"), "{hint}");
        }
        assert!(matches!(
            io(io::ErrorKind::UnexpectedEof),
            OpenRefused::Damaged(_)
        ));
        assert!(matches!(
            tell(sled::Error::ReportableBug("x".into())),
            OpenRefused::Damaged(_)
        ));
    }
}
