//! The queue itself: what waits in it, and who hears that it changed.

use super::item::Lane;
use super::lanes::{Entry, Lanes, Want};
use crate::types::RelPath;
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use tokio::sync::Notify;

/// The lane is full; ask for a scan instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

pub(super) struct State {
    pub(super) sources: Vec<Lanes>,
    pub(super) next_ticket: u64,
    /// The source that is asked first, so that none waits for another.
    pub(super) turn: usize,
    pub(super) closed: bool,
}

impl State {
    /// The lanes of one source, and a ticket for what comes now.
    pub(super) fn lanes(&mut self, number: usize) -> (&mut Lanes, u64) {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        (&mut self.sources[number], ticket)
    }

    pub(super) fn lanes_of(&self, number: usize) -> &Lanes {
        &self.sources[number]
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }
}

pub(super) struct Inner {
    pub(super) state: Mutex<State>,
    pub(super) items_max: usize,
    pub(super) backlog_running_max: usize,
    pub(super) source_running_max: usize,
    pub(super) source_backlog_max: usize,
    pub(super) work: Notify,
    pub(super) room: Notify,
    pub(super) drained: Notify,
}

/// Handle to the queue; cheap to clone.
#[derive(Clone)]
pub struct Queue(pub(super) Arc<Inner>);

impl Queue {
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A panic while holding the lock leaves counters, not memory, in doubt.
        self.0.state.lock()
    }

    pub(super) fn push(&self, number: usize, path: RelPath, want: Want) -> Result<(), Full> {
        let mut state = self.state();
        let ticket = state.next_ticket;
        let lanes = &mut state.sources[number];
        let (want, old) = match lanes.paths.get_mut(&path) {
            Some(Entry::Running { again, .. }) => {
                *again = Some(again.map_or(want, |a| a.merge(want)));
                return Ok(());
            }
            Some(Entry::Waiting {
                want: old,
                place,
                came,
            }) => {
                if want.lane == Lane::Backlog {
                    // A scan's find is no news of a path that waits.
                    *old = old.merge(want);
                    return Ok(());
                }
                (old.merge(want), Some((old.lane, *place, *came)))
            }
            Some(Entry::Deferred { .. }) => {
                // News of it: it is looked at again.
                let old = lanes.take_back(&path);
                (old.map_or(want, |old| old.merge(want)), None)
            }
            None => (want, None),
        };
        let is_more = old.is_none_or(|(lane, ..)| lane != want.lane);
        if is_more && lanes.lane(want.lane).paths.len() >= self.0.items_max {
            return Err(Full);
        }
        if let Some((lane, place, _)) = old {
            lanes.lane(lane).paths.remove(&place);
        }
        // Saved again: among the newest, with the tries that it has behind it.
        let (tries, came) = old.map_or((0, ticket), |(_, place, came)| (place.0, came));
        lanes.enqueue(path, want, (tries, ticket), came);
        state.next_ticket += 1;
        drop(state);
        self.0.work.notify_one();
        Ok(())
    }

    /// Wait until `is_done` says yes; it is asked again whenever a path was taken out of
    /// a lane.
    pub(super) async fn when_room(&self, is_done: impl Fn() -> bool) {
        until(&self.0.room, is_done).await;
    }

    /// The same, whenever a worker is done with a path.
    pub(super) async fn when_drained(&self, is_done: impl Fn() -> bool) {
        until(&self.0.drained, is_done).await;
    }

    /// Something changed that is no path taken out.
    pub(super) fn changed(&self) {
        // A place for backlog may have become free as well as work added.
        self.0.work.notify_one();
        self.0.drained.notify_waiters();
    }

    /// Let every waiting worker look again.
    pub fn wake(&self) {
        self.0.work.notify_waiters();
    }

    /// No more work is handed out; waiting callers return.
    pub fn close(&self) {
        self.state().closed = true;
        self.0.work.notify_waiters();
        self.0.work.notify_one();
        self.0.room.notify_waiters();
        self.0.drained.notify_waiters();
    }

    /// True after [`Queue::close`].
    pub fn is_closed(&self) -> bool {
        self.state().closed
    }
}

/// Wait until `is_done` says yes; it is asked now, and after each notification.
async fn until(changed: &Notify, is_done: impl Fn() -> bool) {
    loop {
        let notified = changed.notified();
        tokio::pin!(notified);
        notified.as_mut().enable();
        if is_done() {
            return;
        }
        notified.await;
    }
}
