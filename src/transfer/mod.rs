//! How bytes move from a file to the bucket.
//!
//! [`read`] takes a file steadily: what it returns was the file's content at
//! one moment. [`send`] carries it out as one PUT or in parts, compressed or
//! not. Called by the upload task. Invariants: nothing becomes a version whose
//! bytes were not hashed as they were read; a file that changes while it is
//! read is not completed; memory is bounded by [`Budget`]; every upload in
//! parts that fails is aborted.

mod begin;
mod budget;
mod piece;
mod read;
mod restamp;
mod send;
mod uploads;

pub use budget::{Budget, Permit};
pub use read::{Content, Patience, Reading, read};
pub use restamp::restamp;
pub use send::{Job, Sent, Wire, send_large, send_small};
pub use uploads::{Uploads, wall_ms};

/// A file up to this size is read in one go into one buffer and sent with one
/// PUT. 8 MiB: below it a second request costs more than it saves, and S3's
/// part minimum (5 MiB) makes smaller uploads in parts pointless.
pub const SMALL_BYTES_MAX: u64 = 8 * 1024 * 1024;
