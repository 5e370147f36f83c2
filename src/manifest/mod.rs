//! manifest.
pub mod format;
pub mod owner;
pub mod read;
pub(crate) mod retention;

pub use format::proof::{Reading, Row, Writing};
pub use format::{Demands, Header, Line, MANIFEST_VERSION, Settings, Trailer, folder};
pub use owner::{Claimant, Computer, OWNER_BYTES_MAX, Owner, Whose};
pub(crate) use read::CLOCKS_APART_MAX_MS;
pub use read::{Lines, Listing, Manifest, Written};
