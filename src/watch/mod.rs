//! Hearing of changes from the operating system; the only notify import.
//!
//! Invariants: a watch that does not prove itself, or whose root was deleted,
//! made again or mounted over, is set up anew and the folder scanned; what
//! cannot be watched, or cannot be relied on, is scanned on a period, and the
//! owner is told which and why. No event is load-bearing: a lost one costs time
//! until the next scan, nothing else.

pub(crate) mod collect;
mod debounce;
mod gather;
mod keeper;
mod proof;
pub(crate) mod sleep;
mod tap;
mod trouble;
mod watcher;

pub use sleep::{Clocks, Jump};
pub use tap::Silencer;

use crate::source::{Context, Hint};
use gather::Gathered;
use keeper::Keeper;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// The times of the watch. The defaults are what the program uses.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// How often the root, what is mounted below it and the system's limits are
    /// looked at: deleted, renamed or newly mounted folders make no events.
    pub root_check: Duration,
    /// How often the marker is touched: a dead watch is noticed within this and
    /// `prove_within`. One event a minute costs nothing.
    pub prove_every: Duration,
    /// How soon the event must be back. It takes a quarter of a second; a busy
    /// computer may take its time.
    pub prove_within: Duration,
    /// The whole watch is set up again for lost events or new mounts at most
    /// this often: it takes seconds for 100,000 folders.
    pub rearm: Duration,
    /// Kills watches; for tests.
    pub silencer: Option<Silencer>,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self {
            root_check: Duration::from_secs(5),
            prove_every: Duration::from_secs(60),
            prove_within: Duration::from_secs(10),
            rearm: Duration::from_secs(60),
            silencer: None,
        }
    }
}

/// Watch one source until told to stop. `ready` fires once watches are
/// registered (or cannot be), before which no start scan may begin.
pub async fn run(
    ctx: Arc<Context>,
    source: usize,
    options: WatchOptions,
    ready: oneshot::Sender<()>,
    mut stop: watch::Receiver<bool>,
) {
    let gathered = Arc::new(Gathered::default());
    let mut keeper = Keeper::new(Arc::clone(&ctx), source, options, Arc::clone(&gathered));
    tokio::select! {
        () = keeper.keep(ready) => {}
        () = pass_on(&ctx, source, &gathered) => {}
        _ = stop.changed() => {}
    }
    keeper.drop_watch().await;
}

/// Pass on what is heard; never ends.
async fn pass_on(ctx: &Context, source: usize, gathered: &Gathered) {
    loop {
        for (path, times) in gathered.take().await {
            ctx.hint(Hint {
                source,
                path,
                first_ms: times.first_ms,
                last_ms: times.last_ms,
                is_given_back: false,
            });
        }
    }
}
