//! The vault: an embedded, versioned S3 on a local folder.
//!
//! Made for backups to an external disk or a NAS mount where there is no AWS, and for
//! tests that want a real S3. The newest version of each object is a plain file at its
//! own path; history and records lie in a hidden folder beside (layout.rs has the map).
//! It speaks S3 and nothing else: through [`Vault::http_client`] the SDK's requests end here without a
//! socket, through [`Vault::serve`] any S3 client can use it over loopback.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use keepwatch_vault::Vault;
//!
//! # let disk = tempfile::tempdir()?;
//! # let folder = disk.path().join("vault");
//! assert!(!Vault::is_at(&folder)?);
//! let vault = Vault::open(&folder)?;
//! vault.ensure_bucket("office")?;
//! assert!(Vault::is_at(&folder)?);
//! # Ok(())
//! # }
//! ```
//!
//! | file | what it is for |
//! |---|---|
//! | layout, record, log, backward | names on the disk, lines, one log per key |
//! | inner, recover | locks, ownership, buckets; after a crash |
//! | commit, places | how a version comes and goes; which body lies where |
//! | stage, read, multipart | bodies in, bodies out, uploads in parts |
//! | names, list | keys in order, pages of listings |
//! | s3, op_*, convert, demand | the operations of S3 |
//! | failure, headers, error | how it says no |
//! | disk, os | steps on the disk, and what differs between systems |
//! | connector, chunked, server | the two ways in |
//!
//! It must never lose a version that was acknowledged, serve bytes that are
//! not the ones stored, or write outside its folder.

mod backward;
mod chunked;
mod commit;
mod connector;
mod convert;
mod demand;
mod disk;
mod error;
mod failure;
mod headers;
mod inner;
mod layout;
mod list;
mod log;
mod multipart;
mod names;
mod op_bucket;
mod op_copy;
mod op_list;
mod op_multipart;
mod op_read;
mod op_uploads;
mod op_write;
mod os;
mod places;
mod read;
mod record;
mod recover;
mod s3;
mod server;
mod stage;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod vault_tests;

pub use connector::VaultConnector;
pub use error::VaultError;
pub use headers::{MESSAGE_HEADER, ORDER_HEADER, markers_in_order};

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use disk::Disk;
use inner::Inner;
use std::path::Path;
use std::sync::Arc;

/// Where requests for the in-process vault seem to go. Nothing is resolved or
/// connected; the name only has to be a valid one.
pub const IN_PROCESS_ENDPOINT: &str = "http://vault.localhost";

/// An open vault. Cheap to clone; all clones are one vault.
#[derive(Debug, Clone)]
pub struct Vault {
    inner: Arc<Inner>,
}

impl Vault {
    /// Open the vault in `folder`, making it (owner-only) when absent, and
    /// bring to a clean state what a crash cut off. Blocks.
    ///
    /// Opening a folder twice in one process gives the same vault. Several
    /// processes may read; one at a time writes, and the others are told to
    /// come back later (503). A vault whose disk fails or takes no writing is
    /// opened all the same, to be read: [`Vault::only_read_because`].
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

    /// Why it can only be read, when its disk refused what opening it wants to
    /// write. Every change tries again, and fails with its own reason.
    #[must_use]
    pub fn only_read_because(&self) -> Option<&str> {
        self.inner.unsettled()
    }

    /// True when there is a vault in this folder, for whoever only reads and
    /// must not make one by opening it. Blocks.
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

    /// An HTTP client for aws-sdk-s3 whose requests end in this vault: no
    /// socket, no signature check. Use it with [`IN_PROCESS_ENDPOINT`],
    /// path-style addressing and any credentials.
    #[must_use]
    pub fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.connector())
    }

    /// What [`Vault::http_client`] is made of, for tests that put failures in between.
    #[must_use]
    pub fn connector(&self) -> VaultConnector {
        VaultConnector::new(self)
    }

    /// The folder it lies in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.inner.layout.root
    }
}
