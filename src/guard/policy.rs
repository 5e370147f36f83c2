//! When a fall in the number of files, another root or a missing disk is not taken for
//! deletions.
//!
//! Pure: others count, look and persist; this decides. Invariant: when in doubt a
//! deletion is held back, never granted. What is held back stays known and is found again
//! by the next scan, so holding loses nothing.
//!
//! `fall` has the thresholds, `baseline` what they are measured by, `bursts` what was
//! marked lately; `hold` is one hold, `state` all that is kept of a source, `take_in` what
//! a scan (`counts`) changes of it; `root_verdict` says whether a root is the right one.

mod baseline;
mod bursts;
mod counts;
mod fall;
mod hold;
mod root_verdict;
mod state;
mod take_in;

pub use baseline::MOUNTS_MAX;
pub use counts::{Lacks, Scanned};
pub use fall::{FALL_MIN, most_is_gone};
pub use hold::{DeletionHold, HoldCause, is_below};
pub use root_verdict::{RootVerdict, SentinelMatch, is_alike, judge_root};
pub use state::{GuardState, Now};

#[cfg(test)]
mod tests;
