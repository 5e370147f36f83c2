//! How bytes move from a file to the bucket.
//!
//! [`read`] returns a file's content as it was at one moment. [`send`] sends it with one
//! PUT or in parts, compressed or not; of a large file, only what the bucket's version
//! does not have. Invariants: a version's bytes were compared with the plan as they were
//! read; a copy made by the server counts only with its checksum; an upload of a file
//! that changes while it is read is not completed; memory is bounded by [`Budget`]; an
//! upload in parts that fails is resumed later, or aborted.
//!
//! | file | what it is for |
//! |---|---|
//! | `read`, `plan` | the reading that decides |
//! | `part_stream`, `piece`, `raw`, `members` | making parts: the thread that reads again |
//! | `send`, `large`, `parts` | what goes over the wire |
//! | `trust` | tracks which servers copy parts correctly |
//! | `copy` | whole objects copied on the server |
//! | `begin`, `uploads` | uploads in parts, noted in the index |
//! | `budget` | memory |

mod begin;
mod budget;
mod copy;
mod delta;
mod fill;
mod large;
mod members;
mod part_stream;
mod parts;
mod piece;
mod plan;
mod raw;
mod read;
mod send;
mod sizes;
mod trust;
mod uploads;

pub use begin::{CLOCK_SKEW_MS, is_young};
pub use budget::{Budget, Permit};
pub(crate) use copy::proof::is_final;
pub use copy::proof::is_of_one_piece;
pub use copy::{Copied, Original, copy};
pub use large::send_large;
pub use read::{Content, ReadMode, Reading, read};
pub use send::{Job, Sent, StoredVersion, UploadHooks, send_small};
pub use sizes::SMALL_BYTES_MAX;
pub use uploads::Uploads;
