//! The vault as its owner opens it. Requests come in through connector.rs and server.rs.

use super::disk::Disk;
use super::error::VaultError;
use super::failure;
use super::inner::Inner;
use super::layout;
use std::path::Path;
use std::sync::Arc;

/// An open vault. Cheap to clone; all clones are one vault.
#[derive(Debug, Clone)]
pub struct Vault {
    pub(super) inner: Arc<Inner>,
}

impl Vault {
    /// Open the vault in `folder`; make it, for its owner alone, when absent; finish what a
    /// crash cut off. Blocks.
    ///
    /// Opening a folder twice in one process gives the same vault. Several processes may
    /// read; one at a time writes, and the others get 503 when they write. A vault whose
    /// disk fails or takes no writing opens for reading: [`Vault::only_read_because`].
    ///
    /// # Errors
    /// [`VaultError`] when the folder cannot be made or read, or holds a vault of a
    /// newer format.
    pub fn open(folder: &Path) -> Result<Self, VaultError> {
        match Inner::open(folder, Disk::default()) {
            Ok(inner) => Ok(Self { inner }),
            Err(e) => Err(failure::of_vault(
                folder,
                format!("open the vault in {}", folder.display()),
                &e,
            )),
        }
    }

    /// Why the vault can only be read, when its disk refused what opening writes. Every
    /// change tries again, and fails with its own reason.
    #[must_use]
    pub fn only_read_because(&self) -> Option<&str> {
        self.inner.unsettled()
    }

    /// True when there is a vault in this folder; unlike opening, it makes none. Blocks.
    ///
    /// # Errors
    /// [`VaultError`] when the folder may not be looked at: there may be one.
    pub fn is_at(folder: &Path) -> Result<bool, VaultError> {
        layout::Layout::new(folder).is_there().map_err(|e| {
            let hint = match e.kind() {
                std::io::ErrorKind::PermissionDenied => {
                    "it may be there, and this account may not look: run this as the account that runs Keepwatch, or let this account read the folder"
                }
                _ => "it may be there: see whether its disk works",
            };
            VaultError {
                path: folder.to_owned(),
                operation: format!("look for the vault in {}", folder.display()),
                cause: e.to_string(),
                hint: hint.to_owned(),
                is_misuse: false,
            }
        })
    }

    /// Make the bucket with versioning enabled, unless it exists. An existing
    /// bucket is left as it is. Blocks.
    ///
    /// # Errors
    /// [`VaultError`] when the name is not one that S3 takes, the disk refuses, or
    /// the vault can only be read (also when the bucket exists).
    pub fn ensure_bucket(&self, name: &str) -> Result<(), VaultError> {
        self.inner.ensure_bucket(name).map_err(|e| {
            let operation = format!("make the bucket {name} in the vault");
            failure::of_vault(self.folder(), operation, &e)
        })
    }

    /// The folder it lies in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.inner.layout.root
    }
}
