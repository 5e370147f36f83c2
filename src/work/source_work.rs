//! What waits to be done for one source.

use super::in_flight::InFlightChanges;
use super::queue::SourceQueue;
use super::scan_requests::ScanRequests;
use crate::types::{MonotonicMs, RelPath};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// Hints of one source on their way from watch, scan and backup to collect. Beyond that a
/// scan is asked for, so the bound costs nothing but time.
pub const HINTS_MAX: usize = 16 * 1024;

/// A path that may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// The path.
    pub path: RelPath,
    /// When it was first seen to have changed, by the monotonic clock.
    pub first_ms: MonotonicMs,
    /// When it last changed, by the monotonic clock.
    pub last_ms: MonotonicMs,
    /// A worker had it and could not store it yet.
    pub is_given_back: bool,
}

/// One source's part of the queue, the scans that are asked for, and the changes that are
/// on their way. Clones share them.
#[derive(Clone)]
pub struct SourceWork {
    /// Paths that wait for a worker.
    pub queue: SourceQueue,
    /// Scans that are asked for.
    pub scans: ScanRequests,
    /// Hints on their way and paths that are still debounced.
    pub in_flight: InFlightChanges,
    hints: mpsc::Sender<Hint>,
}

impl SourceWork {
    /// With this part of the queue; hints come out of the receiver, for the collector.
    pub fn new(queue: SourceQueue) -> (Self, mpsc::Receiver<Hint>) {
        let (hints, receiver) = mpsc::channel(HINTS_MAX);
        let work = Self {
            queue,
            scans: ScanRequests::default(),
            in_flight: InFlightChanges::default(),
            hints,
        };
        (work, receiver)
    }

    /// Tell the collector of a path; when it cannot take any more, a scan will find it.
    pub fn hint(&self, hint: Hint) {
        self.in_flight.add(hint.first_ms, hint.is_given_back);
        if let Err(refused) = self.hints.try_send(hint) {
            let (TrySendError::Full(hint) | TrySendError::Closed(hint)) = refused;
            self.scans
                .ask_subtree(hint.path.parent().unwrap_or_default());
            self.settled(hint.first_ms, hint.is_given_back.into());
        }
    }

    /// A path heard of first at `first_ms` is in the queue now, or has become one
    /// with another; workers had given it back so often.
    pub fn settled(&self, first_ms: MonotonicMs, given_back: u32) {
        self.in_flight.remove(first_ms, given_back);
        if self.queue.has_deferred() {
            // A deferred path may come now.
            self.queue.wake();
        }
    }

    /// Put a path in the fast lane; when that is full, a scan will find it.
    /// `since_ms` is by the monotonic clock.
    pub fn edit(&self, path: RelPath, since_ms: MonotonicMs, deadline: bool) {
        let folder = path.parent().unwrap_or_default();
        if self.queue.push_edit(path, since_ms, deadline).is_err() {
            self.scans.ask_subtree(folder);
        }
    }
}
