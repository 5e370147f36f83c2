//! What one source does with the queue.

use super::item::Lane;
use super::lanes::{Entry, Want};
use super::shared::{Full, Queue};
use crate::types::{MonotonicMs, RelPath};
use std::fmt;

/// How many paths wait and are worked on, for one source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Waiting edits.
    pub edits: usize,
    /// Waiting backlog.
    pub backlog: usize,
    /// In a worker.
    pub running: usize,
}

impl Depth {
    /// Everything that is not done yet.
    pub fn total(self) -> u64 {
        (self.edits + self.backlog + self.running) as u64
    }
}

/// Whatever stands for a source in the queue.
pub trait HasQueue {
    /// Its part of the queue.
    fn queue(&self) -> &SourceQueue;
}

/// One source's part of the queue. Only [`Queue::new`] gives it out. Clones share it.
#[derive(Clone)]
pub struct SourceQueue {
    pub(super) queue: Queue,
    /// Its place in the queue that gave it out.
    pub(super) number: usize,
}

impl PartialEq for SourceQueue {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number && self.queue.is_same(&other.queue)
    }
}

impl Eq for SourceQueue {}

impl fmt::Debug for SourceQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceQueue({})", self.number)
    }
}

impl HasQueue for SourceQueue {
    fn queue(&self) -> &SourceQueue {
        self
    }
}

impl SourceQueue {
    /// Put an edit in the fast lane.
    ///
    /// # Errors
    /// [`Full`] when the lane is full and the path is not in it already.
    pub fn push_edit(
        &self,
        path: RelPath,
        since_ms: MonotonicMs,
        deadline: bool,
    ) -> Result<(), Full> {
        let want = Want {
            lane: Lane::Edit,
            since_ms,
            deadline,
        };
        self.queue.push(self.number, path, want)
    }

    /// Put a path in the slow lane, waiting while the lane is full.
    pub async fn push_backlog(&self, path: RelPath, since_ms: MonotonicMs) {
        let want = backlog(since_ms);
        let is_in =
            || self.queue.is_closed() || self.queue.push(self.number, path.clone(), want).is_ok();
        self.queue.when_room(is_in).await;
    }

    /// Put a path in the slow lane if there is room, for another try: one that
    /// waits or is being worked on already is left alone, or a try that takes
    /// longer than its pause would be followed by the next at once.
    ///
    /// # Errors
    /// [`Full`] when the lane is full.
    pub fn push_retry(&self, path: RelPath, since_ms: MonotonicMs) -> Result<(), Full> {
        let is_known = self
            .queue
            .state()
            .lanes_of(self.number)
            .paths
            .contains_key(&path);
        if is_known {
            return Ok(());
        }
        self.queue.push(self.number, path, backlog(since_ms))
    }

    /// Wait until the backlog is empty and none of it is in a worker, nor any of what was
    /// deferred.
    pub async fn backlog_drained(&self) {
        let is_drained = || {
            let state = self.queue.state();
            state.lanes_of(self.number).is_drained() || state.is_closed()
        };
        self.queue.when_drained(is_drained).await;
    }

    /// How much waits and runs.
    pub fn depth(&self) -> Depth {
        let state = self.queue.state();
        let lanes = state.lanes_of(self.number);
        Depth {
            edits: lanes.edits.paths.len(),
            backlog: lanes.backlog_len(),
            running: lanes.running(),
        }
    }

    /// Edits wait or are worked on, or deletions that nothing of the backlog holds
    /// up: a stop waits for these.
    pub fn has_recent(&self) -> bool {
        self.queue.state().lanes_of(self.number).has_recent()
    }

    /// True while this very path is in a worker.
    pub fn is_running(&self, path: &RelPath) -> bool {
        let state = self.queue.state();
        let entry = state.lanes_of(self.number).paths.get(path);
        matches!(entry, Some(Entry::Running { .. }))
    }

    /// The destination takes files again: what was given back because it did not waits as
    /// if it had never been tried.
    pub fn forget_tries(&self) {
        self.queue.state().lanes(self.number).0.forget_tries();
    }

    /// True when the queue hands out nothing any more.
    pub fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }

    /// Let every waiting worker look again.
    pub fn wake(&self) {
        self.queue.wake();
    }
}

fn backlog(since_ms: MonotonicMs) -> Want {
    Want {
        lane: Lane::Backlog,
        since_ms,
        deadline: false,
    }
}
