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
mod options;
mod proof;
pub(crate) mod sleep;
mod tap;
mod trouble;
mod watcher;

pub use options::WatchOptions;
pub use sleep::{Clocks, Jump};
pub use tap::Silencer;

use crate::source::{Context, Hint};
use gather::Gathered;
use keeper::Keeper;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};

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
