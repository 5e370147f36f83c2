//! The exit codes of the commands.

/// Everything is as it should be.
pub(crate) const COMPLETE: u8 = 0;

/// What was asked for failed as a whole.
pub(crate) const FAILED: u8 = 1;

/// Some paths failed; each is named.
pub(crate) const PARTIAL: u8 = 3;

/// `restore --diff` found differences: not a failure, and not the same either.
pub(crate) const DIFFERENT: u8 = 4;

/// All exit codes with their meaning, as the manual pages list them.
pub(crate) const MEANINGS: [(u8, &str); 6] = [
    (COMPLETE, "Complete."),
    (
        FAILED,
        "Failed: something that the whole run depends on, or the result could not be printed.",
    ),
    (
        2,
        "The command line or the configuration is wrong. Nothing was done.",
    ),
    (
        PARTIAL,
        "Partial: some files failed, or need you to look at them, and each is named.",
    ),
    (
        DIFFERENT,
        "restore --diff found differences, and could look at everything.",
    ),
    (130, "Interrupted. Run it again to go on."),
];
