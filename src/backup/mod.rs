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
//! | `item` | what a worker takes from the queue |
//! | `rehint`, `outcome` | what became of a path |
//! | `commits` | what workers write into the index, many at a time |
//! | `breaker_reports` | what circuit breakers are told of a bucket's answers |
//! | `mark_unverified`, `late` | requests without an answer |
//! | `orphaned_uploads` | uploads in parts that nobody goes on with |
//! | `manifest` | the list of all that is protected, written once a day |

mod breaker_reports;
mod commits;
mod deferred;
mod execute;
mod from_memory;
mod item;
mod late;
mod manifest;
mod mark_unverified;
mod orphaned_uploads;
mod outcome;
mod plan;
mod read;
mod rehint;
mod snapshot;
mod swap_tracker;
mod valid_from;
mod worker;

pub use breaker_reports::BreakerReports;
pub use commits::Commits;
pub use deferred::NEWS_MS;
pub use execute::Executor;
pub use late::LateChecks;
pub use manifest::ManifestWriter;
pub use orphaned_uploads::OrphanedUploads;
pub use swap_tracker::SwapTracker;
pub use worker::Worker;
