//! Whose a source's files are, against what the backup says.

use crate::os;
use crate::types::Fingerprint;

/// Whether a file may have another owner than the backup says, without that being a
/// change: after a restore by an account that can give files to nobody else, and where
/// this computer takes the place of another. Only for what the index does not know yet.
#[derive(Debug, Clone, Copy)]
pub struct Owners {
    pub(super) takes_over: bool,
    pub(super) is_privileged: bool,
}

impl Owners {
    /// True for this file.
    pub fn are_forgiven(self, now: &Fingerprint) -> bool {
        self.takes_over || (!self.is_privileged && os::is_own(now))
    }
}
