//! Space on the disk that is restored to: what a file needs, and when the disk as a
//! whole is full.

use crate::files::Target;
use crate::types::{Class, Fatal, Fault, FaultDetail, text};

/// What a restore leaves free. A disk that is full to its last byte stops other
/// programs, and small files that are under way together reach it between the
/// look and the writing. Small disks are restored to as well, so it is no more.
pub(crate) const RESERVE_BYTES: u64 = 16 * 1024 * 1024;

/// Files in a row that the disk refuses, before it counts as taking nothing
/// more: as many as are under way together. A quota and a disk that is gone
/// show themselves so alone.
pub(crate) const REFUSED_IN_A_ROW_MAX: u32 = 32;

const HINT: &str = "free some space or restore to another disk with --to (--ignore-space uses the disk up to its end)";

/// A file that cannot fit is refused before any of it is written. Blocks.
pub(crate) fn for_file(target: &Target, bytes: u64, subject: &str) -> Result<(), Fault> {
    // A disk that does not say how full it is gets the benefit of the doubt.
    match target.free_bytes() {
        Ok(free) => fits(free, bytes, subject),
        Err(_) => Ok(()),
    }
}

fn fits(free: u64, bytes: u64, subject: &str) -> Result<(), Fault> {
    // What takes no room finds some on any disk.
    if bytes == 0 || bytes.saturating_add(RESERVE_BYTES) <= free {
        return Ok(());
    }
    let cause = format!(
        "it has {}, and {} beside that always stay free for other programs; the disk has {} left",
        text::size(bytes),
        text::size(RESERVE_BYTES),
        text::size(free)
    );
    let fault = Fault::new(Class::Local, "write", subject, cause);
    Err(fault.hint(HINT).detail(FaultDetail::DiskRefuses))
}

/// How the run ends when nothing more goes onto the disk; `None` while other files
/// may. `refused` is how many it has refused in a row. Blocks.
pub(crate) fn end_if_full(target: &Target, refused: u32, fault: &Fault) -> Option<Fatal> {
    let free = target.free_bytes().ok();
    if !is_full(free, refused) {
        return None;
    }
    let left = free.map_or_else(String::new, |free| format!(" ({} left)", text::size(free)));
    Some(Fatal::new(
        format!("restore into {}", target.path().display()),
        match free {
            Some(free) if free < RESERVE_BYTES => {
                format!("the disk is full{left}; every file that is there by now is whole")
            }
            _ => format!(
                "the disk takes nothing more{left}: {}; every file that is there by now is whole",
                fault.cause
            ),
        },
        "free some space and run the same command again: it goes on from here; or restore to another disk with --to",
    ))
}

fn is_full(free: Option<u64>, refused: u32) -> bool {
    free.is_some_and(|free| free < RESERVE_BYTES) || refused >= REFUSED_IN_A_ROW_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    const R: u64 = RESERVE_BYTES;

    #[test]
    fn some_room_is_always_left() {
        for (free, bytes, want) in [
            (R + 10, 10, true),
            (R + 9, 10, false),
            (10, 10, false),
            (0, 0, true),
            (u64::MAX, u64::MAX, true),
            (u64::MAX - 1, u64::MAX, false),
        ] {
            assert_eq!(fits(free, bytes, "f").is_ok(), want, "{bytes} of {free}");
        }
        let fault = fits(R + 9, 10, "f").unwrap_err();
        assert!(fault.is_of_the_disk(), "{fault}");
        assert!(fault.hint.contains("--to"), "{fault}");
    }

    #[test]
    fn one_large_file_ends_nothing_and_a_full_disk_does() {
        let many = REFUSED_IN_A_ROW_MAX;
        for (free, refused, want) in [
            (Some(R), 1, false),
            (Some(R - 1), 1, true),
            (None, many - 1, false),
            (None, many, true),
            (Some(u64::MAX), many, true),
        ] {
            assert_eq!(is_full(free, refused), want, "{free:?} {refused}");
        }
    }
}
