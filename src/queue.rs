//! The bounded queue of paths that want a look, shared by scan, collect and the
//! upload workers.
//!
//! Invariants: it is keyed by path, so a path waits at most once; a path is
//! never in two workers; a path touched while it is worked on is worked on
//! again. Edits overtake the backlog, and the backlog never takes the last
//! workers. A full lane makes the scan wait and the collector ask for a scan:
//! nothing is dropped here.

use crate::model::RelPath;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Which lane a path waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Somebody just saved it.
    Edit,
    /// A scan found it, or an earlier try failed.
    Backlog,
}

/// A path that wants a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Index of the source in the configuration.
    pub source: usize,
    /// The path in that source.
    pub path: RelPath,
    /// The lane it waited in.
    pub lane: Lane,
    /// When it was first seen to have changed, on a clock that nobody sets.
    pub since_ms: i64,
    /// It never rested for the longest allowed time: store what is there.
    pub deadline: bool,
}

/// The edit lane is full; ask for a scan instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

#[derive(Debug, Clone, Copy)]
struct Want {
    lane: Lane,
    since_ms: i64,
    deadline: bool,
}

impl Want {
    fn merge(self, other: Want) -> Want {
        Want {
            lane: if self.lane == Lane::Edit {
                Lane::Edit
            } else {
                other.lane
            },
            since_ms: self.since_ms.min(other.since_ms),
            deadline: self.deadline || other.deadline,
        }
    }
}

enum Entry {
    /// Waits in a lane under this ticket; other tickets of the path are stale.
    Waiting { want: Want, ticket: u64 },
    /// In a worker; `again` when it was touched meanwhile.
    Running { lane: Lane, again: Option<Want> },
}

#[derive(Default)]
struct Lanes {
    edits: VecDeque<(u64, RelPath)>,
    backlog: VecDeque<(u64, RelPath)>,
    /// Entries (not stale tickets) waiting in each lane.
    edits_waiting: usize,
    backlog_waiting: usize,
    backlog_running: usize,
    edits_running: usize,
    paths: HashMap<RelPath, Entry>,
}

impl Lanes {
    fn waiting(&mut self, lane: Lane) -> &mut usize {
        match lane {
            Lane::Edit => &mut self.edits_waiting,
            Lane::Backlog => &mut self.backlog_waiting,
        }
    }

    fn running(&mut self, lane: Lane) -> &mut usize {
        match lane {
            Lane::Edit => &mut self.edits_running,
            Lane::Backlog => &mut self.backlog_running,
        }
    }

    fn enqueue(&mut self, path: RelPath, want: Want, ticket: u64) {
        *self.waiting(want.lane) += 1;
        match want.lane {
            Lane::Edit => self.edits.push_back((ticket, path.clone())),
            Lane::Backlog => self.backlog.push_back((ticket, path.clone())),
        }
        self.paths.insert(path, Entry::Waiting { want, ticket });
    }

    /// The path that is next in the lane; stale tickets are dropped on the way.
    fn peek(&mut self, lane: Lane) -> Option<(RelPath, Want)> {
        loop {
            let queue = match lane {
                Lane::Edit => &mut self.edits,
                Lane::Backlog => &mut self.backlog,
            };
            let (ticket, path) = queue.front()?;
            match self.paths.get(path) {
                Some(Entry::Waiting { want, ticket: t }) if t == ticket => {
                    return Some((path.clone(), *want));
                }
                _ => queue.pop_front(), // promoted meanwhile
            };
        }
    }

    /// Hand out the path that [`Lanes::peek`] showed.
    fn start(&mut self, lane: Lane, path: &RelPath) {
        match lane {
            Lane::Edit => self.edits.pop_front(),
            Lane::Backlog => self.backlog.pop_front(),
        };
        *self.waiting(lane) -= 1;
        *self.running(lane) += 1;
        self.paths
            .insert(path.clone(), Entry::Running { lane, again: None });
    }
}

struct State {
    sources: Vec<Lanes>,
    next_ticket: u64,
    /// The source that is asked first, so that none waits for another.
    turn: usize,
    closed: bool,
}

struct Inner {
    state: Mutex<State>,
    items_max: usize,
    backlog_running_max: usize,
    work: Notify,
    room: Notify,
    drained: Notify,
}

/// Handle to the queue; cheap to clone.
#[derive(Clone)]
pub struct Queue(Arc<Inner>);

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

impl Queue {
    /// A queue for `sources` sources; each lane of each holds `items_max` paths.
    pub fn new(sources: usize, items_max: usize, workers: usize) -> Self {
        // One worker in eight, at least one, is kept for edits: a save must not
        // wait for the end of somebody's gigabyte.
        let kept_for_edits = (workers / 8).max(1);
        Self(Arc::new(Inner {
            state: Mutex::new(State {
                sources: (0..sources).map(|_| Lanes::default()).collect(),
                next_ticket: 0,
                turn: 0,
                closed: false,
            }),
            items_max,
            backlog_running_max: workers.saturating_sub(kept_for_edits).max(1),
            work: Notify::new(),
            room: Notify::new(),
            drained: Notify::new(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while holding the lock leaves counters, not memory, in doubt.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Put an edit in the fast lane.
    ///
    /// # Errors
    /// [`Full`] when the lane is full and the path is not in it already.
    pub fn push_edit(
        &self,
        source: usize,
        path: RelPath,
        since_ms: i64,
        deadline: bool,
    ) -> Result<(), Full> {
        let want = Want {
            lane: Lane::Edit,
            since_ms,
            deadline,
        };
        self.push(source, path, want, self.0.items_max)
    }

    /// Put a path in the slow lane, waiting while the lane is full.
    pub async fn push_backlog(&self, source: usize, path: RelPath, since_ms: i64) {
        let want = Want {
            lane: Lane::Backlog,
            since_ms,
            deadline: false,
        };
        loop {
            let room = self.0.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if self.is_closed()
                || self
                    .push(source, path.clone(), want, self.0.items_max)
                    .is_ok()
            {
                return;
            }
            room.await;
        }
    }

    /// Put a path in the slow lane if there is room, for another try: one that
    /// waits or is being worked on already is left alone, or a try that takes
    /// longer than its pause would be followed by the next at once.
    ///
    /// # Errors
    /// [`Full`] when the lane is full.
    pub fn push_retry(&self, source: usize, path: RelPath, since_ms: i64) -> Result<(), Full> {
        let want = Want {
            lane: Lane::Backlog,
            since_ms,
            deadline: false,
        };
        let is_known = self
            .state()
            .sources
            .get(source)
            .is_none_or(|lanes| lanes.paths.contains_key(&path));
        if is_known {
            return Ok(());
        }
        self.push(source, path, want, self.0.items_max)
    }

    fn push(&self, source: usize, path: RelPath, want: Want, max: usize) -> Result<(), Full> {
        let mut state = self.state();
        let ticket = state.next_ticket;
        let Some(lanes) = state.sources.get_mut(source) else {
            return Ok(());
        };
        match lanes.paths.get_mut(&path) {
            Some(Entry::Running { again, .. }) => {
                *again = Some(again.map_or(want, |a| a.merge(want)));
                return Ok(());
            }
            Some(Entry::Waiting { want: old, .. }) => {
                let merged = old.merge(want);
                if merged.lane == old.lane {
                    *old = merged;
                    return Ok(());
                }
                let old_lane = old.lane;
                if *lanes.waiting(Lane::Edit) >= max {
                    return Err(Full);
                }
                *lanes.waiting(old_lane) -= 1;
                lanes.enqueue(path, merged, ticket);
            }
            None => {
                if *lanes.waiting(want.lane) >= max {
                    return Err(Full);
                }
                lanes.enqueue(path, want, ticket);
            }
        }
        state.next_ticket += 1;
        drop(state);
        self.0.work.notify_one();
        Ok(())
    }

    /// The next path to work on, edits first; waits for one. `None` after
    /// [`Queue::close`]. `may_start` says whether a source's destination takes
    /// this path now; a path it says yes to is handed out. Call [`Queue::wake`]
    /// when its answer may have changed.
    pub async fn pop(&self, may_start: impl Fn(usize, &RelPath) -> bool) -> Option<Item> {
        loop {
            let work = self.0.work.notified();
            tokio::pin!(work);
            work.as_mut().enable();
            {
                let mut state = self.state();
                if state.closed {
                    return None;
                }
                if let Some(item) = self.take(&mut state, &may_start) {
                    drop(state);
                    self.0.room.notify_waiters();
                    return Some(item);
                }
            }
            work.await;
        }
    }

    fn take(
        &self,
        state: &mut State,
        may_start: &impl Fn(usize, &RelPath) -> bool,
    ) -> Option<Item> {
        let count = state.sources.len();
        let backlog_running: usize = state.sources.iter().map(|l| l.backlog_running).sum();
        for lane in [Lane::Edit, Lane::Backlog] {
            if lane == Lane::Backlog && backlog_running >= self.0.backlog_running_max {
                return None;
            }
            for step in 0..count {
                let source = (state.turn + step) % count;
                let Some((path, want)) = state.sources[source].peek(lane) else {
                    continue;
                };
                if may_start(source, &path) {
                    state.sources[source].start(lane, &path);
                    state.turn = source + 1;
                    return Some(Item {
                        source,
                        path,
                        lane,
                        since_ms: want.since_ms,
                        deadline: want.deadline,
                    });
                }
            }
        }
        None
    }

    /// A worker is done with the path; if it was touched meanwhile it waits again.
    pub fn done(&self, item: &Item) {
        self.settle(item, None);
    }

    /// A worker gives the path back unfinished: it waits again, at the end.
    pub fn give_back(&self, item: &Item) {
        self.settle(
            item,
            Some(Want {
                lane: item.lane,
                since_ms: item.since_ms,
                deadline: item.deadline,
            }),
        );
    }

    fn settle(&self, item: &Item, back: Option<Want>) {
        {
            let mut state = self.state();
            let ticket = state.next_ticket;
            state.next_ticket += 1;
            let Some(lanes) = state.sources.get_mut(item.source) else {
                return;
            };
            if let Some(Entry::Running { lane, again }) = lanes.paths.remove(&item.path) {
                *lanes.running(lane) -= 1;
                let want = match (back, again) {
                    (Some(a), Some(b)) => Some(a.merge(b)),
                    (a, b) => a.or(b),
                };
                if let Some(want) = want {
                    // Over the lane's bound by at most one per worker.
                    lanes.enqueue(item.path.clone(), want, ticket);
                }
            }
        }
        // A place for backlog may have become free as well as work added.
        self.0.work.notify_one();
        self.0.drained.notify_waiters();
    }

    /// Wait until a source's backlog is empty and none of it is in a worker.
    pub async fn backlog_drained(&self, source: usize) {
        loop {
            let drained = self.0.drained.notified();
            tokio::pin!(drained);
            drained.as_mut().enable();
            {
                let state = self.state();
                let empty = state
                    .sources
                    .get(source)
                    .is_none_or(|l| l.backlog_waiting == 0 && l.backlog_running == 0);
                if empty || state.closed {
                    return;
                }
            }
            drained.await;
        }
    }

    /// How much waits and runs for a source.
    pub fn depth(&self, source: usize) -> Depth {
        let state = self.state();
        state
            .sources
            .get(source)
            .map_or_else(Depth::default, |l| Depth {
                edits: l.edits_waiting,
                backlog: l.backlog_waiting,
                running: l.edits_running + l.backlog_running,
            })
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn p(text: &str) -> RelPath {
        RelPath::from_bytes(text).unwrap()
    }

    async fn pop(queue: &Queue) -> Option<String> {
        let next = tokio::time::timeout(Duration::from_secs(1), queue.pop(|_, _| true)).await;
        next.ok().flatten().map(|item| item.path.to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn edits_overtake_the_backlog_and_a_path_waits_once() {
        let queue = Queue::new(1, 10, 16);
        queue.push_backlog(0, p("b1"), 1).await;
        queue.push_backlog(0, p("b2"), 1).await;
        queue.push_edit(0, p("e"), 2, false).unwrap();
        queue.push_edit(0, p("e"), 3, false).unwrap();
        queue.push_edit(0, p("b2"), 3, false).unwrap();
        let got = [
            pop(&queue).await,
            pop(&queue).await,
            pop(&queue).await,
            pop(&queue).await,
        ];
        assert_eq!(
            got.map(|g| g.unwrap_or_default()),
            ["e", "b2", "b1", ""].map(str::to_owned)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_path_is_never_in_two_workers_and_a_touch_meanwhile_is_not_lost() {
        let queue = Queue::new(1, 10, 16);
        queue.push_edit(0, p("a"), 5, false).unwrap();
        let first = queue.pop(|_, _| true).await.unwrap();
        queue.push_edit(0, p("a"), 7, true).unwrap();
        assert_eq!(pop(&queue).await, None, "it is in a worker");
        queue.done(&first);
        let second = queue.pop(|_, _| true).await.unwrap();
        assert_eq!((second.since_ms, second.deadline), (7, true));
        queue.done(&second);
        assert_eq!(pop(&queue).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_edit_lane_says_so_and_a_full_backlog_waits() {
        let queue = Queue::new(1, 2, 16);
        for name in ["a", "b"] {
            queue.push_edit(0, p(name), 1, false).unwrap();
            queue.push_backlog(0, p(&format!("x{name}")), 1).await;
        }
        assert_eq!(queue.push_edit(0, p("c"), 1, false), Err(Full));
        let waiting = {
            let queue = queue.clone();
            tokio::spawn(async move { queue.push_backlog(0, p("xc"), 1).await })
        };
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!waiting.is_finished(), "the scan waits for the queue");
        for _ in 0..3 {
            let item = queue.pop(|_, _| true).await.unwrap();
            queue.done(&item);
        }
        waiting.await.unwrap();
        assert_eq!(queue.depth(0).backlog, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_backlog_leaves_a_worker_for_edits() {
        let queue = Queue::new(1, 10, 2);
        for name in ["a", "b"] {
            queue.push_backlog(0, p(name), 1).await;
        }
        let running = queue.pop(|_, _| true).await.unwrap();
        assert_eq!(
            pop(&queue).await,
            None,
            "the second worker is kept for edits"
        );
        queue.push_edit(0, p("e"), 1, false).unwrap();
        assert_eq!(pop(&queue).await.as_deref(), Some("e"));
        queue.done(&running);
        assert_eq!(pop(&queue).await.as_deref(), Some("b"));
    }

    #[tokio::test(start_paused = true)]
    async fn sources_take_turns_and_an_unreachable_one_waits() {
        let queue = Queue::new(2, 10, 16);
        for name in ["a", "b"] {
            queue.push_backlog(0, p(name), 1).await;
            queue.push_backlog(1, p(&format!("x{name}")), 1).await;
        }
        let mut got = Vec::new();
        for _ in 0..2 {
            got.push(pop(&queue).await.unwrap_or_default());
        }
        assert_eq!(got, ["a", "xa"]);
        let item = queue.pop(|source, _| source == 1).await.unwrap();
        assert_eq!(item.path, p("xb"));
        queue.give_back(&item);
        assert_eq!(queue.depth(1).backlog, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn drained_means_nothing_waits_and_nothing_runs() {
        let queue = Queue::new(1, 10, 16);
        queue.push_backlog(0, p("a"), 1).await;
        let item = queue.pop(|_, _| true).await.unwrap();
        let drained = {
            let queue = queue.clone();
            tokio::spawn(async move { queue.backlog_drained(0).await })
        };
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!drained.is_finished());
        queue.done(&item);
        drained.await.unwrap();
        queue.close();
        assert_eq!(queue.pop(|_, _| true).await, None);
    }
}
