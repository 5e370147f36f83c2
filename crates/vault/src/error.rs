//! Why a vault cannot be used at all, for the program that opened it. A failed request is
//! an error of S3 (failure.rs).
//!
//! Must never carry a credential.

use std::fmt;
use std::path::PathBuf;

/// The vault cannot be opened, served or given a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultError {
    /// The vault's folder.
    pub path: PathBuf,
    /// What was being done and to what, e.g. `open the vault in /mnt/disk`.
    pub operation: String,
    /// Why it failed.
    pub cause: String,
    /// What the reader can do about it.
    pub hint: String,
    /// The caller asked for something that the vault never does.
    pub is_misuse: bool,
}

impl fmt::Display for VaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot {}: {} (what to do: {})",
            self.operation, self.cause, self.hint
        )
    }
}

impl std::error::Error for VaultError {}
