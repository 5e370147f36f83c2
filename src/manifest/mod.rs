//! The manifest: a whole source as the bucket has it at one moment, and who owns it.
//!
//! `format` is the file, `listing` finds them in a bucket, `read` proves one, `written` is
//! what the index remembers of them, `retention` says which
//! older ones go, `owner` is the record of whose a destination is. A manifest that was cut,
//! altered or put in another order is never taken for a whole one. Writing one is the
//! backup's ([`crate::backup`]).

mod fault;
pub mod format;
mod listing;
pub mod owner;
pub mod read;
pub(crate) mod retention;
mod written;

pub use format::proof::{Reading, Row, Writing};
pub use format::{Demands, Header, MANIFEST_VERSION, ManifestEntry, Settings, Trailer, folder};
pub(crate) use listing::CLOCKS_APART_MAX_MS;
pub use listing::Listing;
pub use owner::{Claimant, Computer, OWNER_BYTES_MAX, Owner, Whose};
pub use read::{Manifest, ManifestEntries};
pub use written::Written;
