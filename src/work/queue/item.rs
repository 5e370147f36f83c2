//! A path that waits for a worker.

use crate::types::{MonotonicMs, RelPath};

/// Which lane a path waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Somebody just saved it.
    Edit,
    /// A scan found it, or an earlier try failed.
    Backlog,
}

/// A path that waits for a worker. `S` is the source that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item<S> {
    /// Its source.
    pub source: S,
    /// The path in that source.
    pub path: RelPath,
    /// The lane it waited in.
    pub lane: Lane,
    /// When it was first seen to have changed, on a clock that nobody sets.
    pub since_ms: MonotonicMs,
    /// It never rested for the longest allowed time: store what is there.
    pub deadline: bool,
    /// It was deferred, and its time has come.
    pub was_deferred: bool,
}
