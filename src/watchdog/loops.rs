//! Whether the daemon's loops still turn: what a service manager's watchdog is told.
//!
//! A restart cures a loop that is stuck in this process: a deadlock, an endless loop, a
//! thread of the runtime that never comes back. It does not cure a disk: the call that hangs
//! holds the process up while it is ended, and hangs again in the next one. So a loop that
//! waits for a source's disk is excused for as long as that takes ([`super::IoWatchdog`]
//! tells of it), and one that waits for the index is excused too, until it has waited
//! [`INDEX_WAIT_MAX`] although the disk that the index is on answers. Workers, scans and
//! uploads do not turn in a fixed time and are not looked at here: each of their calls has a
//! limit of its own.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A loop turns at least this often, unless it waits for a disk.
pub const TURN: Duration = Duration::from_secs(1);

/// A loop that has not turned for this long is stuck. A busy computer that swaps delays a
/// loop by seconds.
pub const STUCK_AFTER: Duration = Duration::from_secs(60);

/// How long a loop may wait for the index: opening one of gigabytes again takes a minute or
/// two. After that the disk is asked whose fault it is.
pub const INDEX_WAIT_MAX: Duration = Duration::from_secs(600);

/// What a loop waits for that a restart would not cure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// A source's disk.
    Source,
    /// The index, on the disk of the state folder.
    Index,
}

/// How the loops are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turning {
    /// All of them turn, or wait for what may take its time.
    All,
    /// This one waits for the index for too long: the disk decides whose fault that is.
    IndexSilent(String),
    /// This one does not turn.
    Stuck(String),
}

#[derive(Debug, Clone)]
struct Turn {
    name: String,
    since: Instant,
    outside: Option<Outside>,
}

#[derive(Default)]
struct All {
    next: u64,
    turns: BTreeMap<u64, Turn>,
}

/// The loops of one daemon. Clones share them.
#[derive(Clone, Default)]
pub struct Loops(Arc<Mutex<All>>);

impl Loops {
    /// A loop begins under this name; it ends when what is given is dropped.
    pub fn begin(&self, name: impl Into<String>) -> LoopPulse {
        let mut all = self.0.lock();
        let id = all.next;
        all.next += 1;
        let turn = Turn {
            name: name.into(),
            since: Instant::now(),
            outside: None,
        };
        all.turns.insert(id, turn);
        LoopPulse {
            loops: self.clone(),
            id,
        }
    }

    /// How they are now. A loop that is stuck counts before one that waits.
    pub fn turning(&self) -> Turning {
        let now = Instant::now();
        let all = self.0.lock();
        let late = |limit: Duration, outside: Option<Outside>| {
            let mut turns = all.turns.values();
            let turn = turns.find(|turn| turn.outside == outside && now - turn.since > limit);
            turn.map(|turn| turn.name.clone())
        };
        if let Some(name) = late(STUCK_AFTER, None) {
            return Turning::Stuck(name);
        }
        late(INDEX_WAIT_MAX, Some(Outside::Index)).map_or(Turning::All, Turning::IndexSilent)
    }
}

/// One loop's sign of life, held by the loop.
pub struct LoopPulse {
    loops: Loops,
    id: u64,
}

impl LoopPulse {
    /// The loop has turned.
    pub fn turn(&self) {
        self.set(None);
    }

    /// Wait for what may take its time.
    pub async fn outside<T>(&self, what: Outside, work: impl Future<Output = T>) -> T {
        self.set(Some(what));
        let done = work.await;
        self.set(None);
        done
    }

    fn set(&self, outside: Option<Outside>) {
        if let Some(turn) = self.loops.0.lock().turns.get_mut(&self.id) {
            turn.since = Instant::now();
            turn.outside = outside;
        }
    }
}

impl Drop for LoopPulse {
    fn drop(&mut self) {
        self.loops.0.lock().turns.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pass(time: Duration) {
        tokio::time::advance(time + Duration::from_millis(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_does_not_turn_is_named_until_it_turns_or_ends() {
        let loops = Loops::default();
        let (one, other) = (loops.begin("one"), loops.begin("other"));
        pass(STUCK_AFTER - Duration::from_secs(1)).await;
        assert_eq!(loops.turning(), Turning::All);
        one.turn();
        pass(Duration::from_secs(1)).await;
        assert_eq!(loops.turning(), Turning::Stuck("other".to_owned()));
        other.turn();
        assert_eq!(loops.turning(), Turning::All);
        pass(STUCK_AFTER).await;
        assert_eq!(loops.turning(), Turning::Stuck("one".to_owned()));
        // What has ended is told by who waits for it.
        drop((one, other));
        assert_eq!(loops.turning(), Turning::All);
    }

    /// Named after the danger: a network drive that hangs would have the service killed and
    /// started again for ever, and the other folders with it.
    #[tokio::test(start_paused = true)]
    async fn a_source_that_hangs_is_no_reason_for_a_restart_and_an_index_is_after_a_while() {
        let loops = Loops::default();
        let (source, index) = (loops.begin("collector"), loops.begin("heartbeat"));
        let waits = async {
            tokio::join!(
                source.outside(Outside::Source, std::future::pending::<()>()),
                index.outside(Outside::Index, std::future::pending::<()>()),
            )
        };
        tokio::pin!(waits);
        assert!(futures::poll!(&mut waits).is_pending());
        pass(INDEX_WAIT_MAX - Duration::from_secs(1)).await;
        assert_eq!(loops.turning(), Turning::All);
        pass(Duration::from_secs(1)).await;
        assert_eq!(
            loops.turning(),
            Turning::IndexSilent("heartbeat".to_owned())
        );
        index.outside(Outside::Index, async {}).await;
        assert_eq!(loops.turning(), Turning::All);
    }
}
