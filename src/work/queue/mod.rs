//! The bounded queue of paths that wait for a worker, filled by scan, collect and the
//! workers themselves.
//!
//! Invariants: it is keyed by path, so a path waits at most once; a path is
//! never in two workers; a path touched while it is worked on is worked on
//! again. Edits overtake the backlog, the newest first, and the backlog never
//! takes the last workers, nor one source all of them. None waits for ever. A
//! full lane makes the scan wait and the collector ask for a scan: nothing is
//! dropped here. What was deferred (a deletion that may be half of a rename)
//! comes when all of its source is done that was there before, or after its time.
//! What comes later never holds it up: in an office something always changes.
//!
//! `shared` is the queue itself, `hand_out` gives paths to workers, `source` is what one
//! source does with it, `lanes` the order
//! of one source's paths, `deferred` when deferred paths come, `item` what a worker gets.

mod deferred;
mod hand_out;
mod item;
mod lanes;
mod shared;
mod source;

pub use deferred::Readiness;
pub use item::{Item, Lane};
pub use shared::{Full, Queue};
pub use source::{Depth, HasQueue, SourceQueue};

#[cfg(test)]
mod tests;
