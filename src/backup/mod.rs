//! The workers: take a path from the queue, look at it, make the bucket agree,
//! write that into the index.
//!
//! Invariants: the index learns of a version only after S3 acknowledged it; a
//! path that fails is written down as unprotected or goes back into the queue,
//! never forgotten; nothing is marked deleted without a look at the disk.
//!
//! | file | what it is for |
//! |---|---|
//! | `worker` | the loop: one path after the other |
//! | `snapshot` | the first look at a path: disk and index |
//! | `plan` | what is done with it: pure |
//! | `execute` | carries that out |
//! | `read`, `from_memory` | the content, read by the thread that looks |
//! | `valid_from`, `swap_tracker` | from when on a content counts at its path |
//! | `deferred` | when a deferred deletion runs |
//! | `rehint`, `outcome` | what became of a path |
//! | `commits` | what workers write into the index, many at a time |
//! | `copy_health` | whether the server's copies work |
//! | `mark_unverified`, `late` | requests without an answer |
//! | `orphaned_uploads` | uploads in parts that nobody goes on with |
//! | `manifest` | the list of all that is protected, written once a day |

mod commits;
mod copy_health;
mod deferred;
mod execute;
mod from_memory;
pub(crate) mod late;
pub(crate) mod manifest;
mod mark_unverified;
pub(crate) mod orphaned_uploads;
mod outcome;
mod plan;
mod read;
mod rehint;
mod snapshot;
mod swap_tracker;
mod valid_from;
mod worker;

pub use commits::Commits;
pub use copy_health::CopyHealth;
pub use late::LateChecks;
pub use manifest::write_all;
pub use orphaned_uploads::sweep;
pub use outcome::NEWS_MS;
pub use swap_tracker::SwapTracker;
pub use worker::run;
