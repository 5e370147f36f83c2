//! The exit codes of the commands.

/// Everything is as it should be.
pub(crate) const COMPLETE: u8 = 0;

/// What was asked for failed as a whole.
pub(crate) const FAILED: u8 = 1;

/// Some paths failed; each is named.
pub(crate) const PARTIAL: u8 = 3;

/// `restore --diff` found differences: not a failure, and not the same either.
pub(crate) const DIFFERENT: u8 = 4;
