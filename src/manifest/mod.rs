//! The manifest: a whole source as the bucket has it at one moment, and who owns it.
//!
//! `format` is the file, `read` finds and proves one in a bucket, `retention` says which
//! older ones go, `owner` is the record of whose a destination is. A manifest that was cut,
//! altered or put in another order is never taken for a whole one. Writing one is the
//! backup's ([`crate::backup`]).

pub mod format;
pub mod owner;
pub mod read;
pub(crate) mod retention;

pub use format::proof::{Reading, Row, Writing};
pub use format::{Demands, Header, Line, MANIFEST_VERSION, Settings, Trailer, folder};
pub use owner::{Claimant, Computer, OWNER_BYTES_MAX, Owner, Whose};
pub(crate) use read::CLOCKS_APART_MAX_MS;
pub use read::{Lines, Listing, Manifest, Written};
