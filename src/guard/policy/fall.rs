//! When so many files are missing that their deletions are not believed: a fall.

/// Deletions that always pass: tidying up a small folder is no accident.
pub const FALL_MIN: u64 = 10;

/// Beyond [`FALL_MIN`], one file in this many may be deleted: half of what was there.
pub const FALL_SHARE: u64 = 2;

/// A fall is over when at most one known file in this many is still missing (or
/// [`FALL_MIN`]): whoever puts files back is not done when half of them are back.
pub const BACK_SHARE: u64 = 20;

/// A fall is also over when, within this time and before the owner is told, as many
/// files are there as before: a program that replaces files by others (a folder renamed
/// by copying) is done by then. Later, new work may have made up the number, and an
/// owner who was told that nothing is marked must be able to rely on it.
pub const SWAP_MS: i64 = 60 * 60 * 1_000;

/// How far the number of files may fall below what is expected.
pub fn fall_max(expected: u64) -> u64 {
    (expected / FALL_SHARE).max(FALL_MIN)
}

/// True when nothing is left, or more than half of the known files are gone and nothing
/// like them has come instead (a renamed folder). It needs no baseline, so it also
/// judges an empty folder on a new computer.
pub fn nothing_like_it(gone: u64, known: u64, on_disk: u64) -> bool {
    let nothing_left = on_disk == 0 && gone > 0;
    nothing_left || most_is_gone(gone, known, on_disk)
}

/// The same for a part of a source, which may well become empty.
pub fn most_is_gone(gone: u64, known: u64, on_disk: u64) -> bool {
    let most = gone >= FALL_MIN && gone * FALL_SHARE > known;
    most && on_disk * FALL_SHARE < known
}
