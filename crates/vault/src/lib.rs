//! The vault: an embedded, versioned S3 on a local folder.
//!
//! Made for backups to an external disk or a NAS mount where there is no AWS, and for
//! tests that want a real S3. The newest version of each object is a plain file at its
//! own path; history and records lie in a hidden folder beside (layout.rs has the map).
//! It speaks S3 and nothing else: through [`Vault::http_client`] the SDK's requests end
//! here without a socket, through [`Vault::serve`] any S3 client can use it over loopback.
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
//! | vault | the face: open, make a bucket |
//! | inner, recover | locks, ownership, buckets; after a crash |
//! | commit, places | how a version comes and goes; which body lies where |
//! | stage, checksum, read | bodies in, and what proves them; bodies out |
//! | multipart, complete | uploads in parts |
//! | names, list | keys in order, pages of listings |
//! | s3, op_*, convert, precondition | the operations of S3 |
//! | failure, headers, error | how it says no |
//! | disk, os | steps on the disk, and what differs between systems |
//! | connector, chunked, server | the two ways in |
//!
//! It must never lose a version that was acknowledged, serve bytes that are
//! not the ones stored, or write outside its folder.

mod backward;
mod checksum;
mod chunked;
mod commit;
mod complete;
mod connector;
mod convert;
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
mod precondition;
mod read;
mod record;
mod recover;
mod s3;
mod server;
mod stage;
mod vault;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod disk_faults;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod vault_tests;

pub use connector::{IN_PROCESS_ENDPOINT, VaultConnector};
pub use error::VaultError;
pub use failure::{IN_USE, NOT_THERE};
pub use headers::{MESSAGE_HEADER, ORDER_HEADER, markers_in_order};
pub use vault::Vault;
