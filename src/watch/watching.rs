//! Runs one source's watch.

use super::gather::Gathered;
use super::options::WatchParts;
use super::supervisor::WatchSupervisor;
use crate::work::{Hint, SourceWork};
use std::sync::Arc;
use tokio::sync::{oneshot, watch};

/// Watch one source until told to stop. `ready` fires once the watch is set up or cannot
/// be: only then may the first scan begin.
pub async fn run(parts: WatchParts, ready: oneshot::Sender<()>, mut stop: watch::Receiver<bool>) {
    let gathered = Arc::new(Gathered::default());
    let work = parts.source.work.clone();
    let mut supervisor = WatchSupervisor::new(parts, Arc::clone(&gathered));
    tokio::select! {
        () = supervisor.keep(ready) => {}
        () = pass_on(&work, &gathered) => {}
        _ = stop.changed() => {}
    }
    supervisor.drop_watch().await;
}

/// Pass on what is heard; never ends.
async fn pass_on(work: &SourceWork, gathered: &Gathered) {
    loop {
        for (path, times) in gathered.take().await {
            work.hint(Hint {
                path,
                first_ms: times.first_ms,
                last_ms: times.last_ms,
                is_given_back: false,
            });
        }
    }
}
