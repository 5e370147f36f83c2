//! When a deferred deletion runs: not before newer files are uploaded. It may be half of a
//! rename, and the content must be reachable under one of the two names at every moment.

use crate::source::SourceRuntime;
use crate::types::MonotonicMs;
use crate::work::Readiness;
use std::sync::Arc;
use std::time::Duration;

/// How often deferred deletions are checked.
const DEFERRED_LOOK: Duration = Duration::from_millis(100);

/// The longest that a deletion is deferred. A quarter of an hour is long enough to copy
/// a folder of tens of thousands of files under its new name.
const DEFERRED_MAX_MS: i64 = 15 * 60 * 1000;

/// How much later the event of a new name may come than that of the old one: the
/// watcher gathers for 200 ms and holds back for another 200 (`watch`), in steps, and
/// longer on a busy computer.
pub const NEWS_MS: i64 = 500;

/// The shortest time that a deletion is deferred: until the other half of a rename would
/// have been heard of and has settled. At a stop (`is_ending`) nothing waits to settle.
pub(crate) fn rename_wait_ms(debounce_ms: u64, is_ending: bool) -> i64 {
    if is_ending {
        return NEWS_MS;
    }
    NEWS_MS.saturating_add(i64::try_from(debounce_ms).unwrap_or(0))
}

/// Wakes the queue until the source has no deferred deletion left.
pub(crate) async fn wake_until_run(source: Arc<SourceRuntime>) {
    while source.work.queue.has_deferred() {
        tokio::time::sleep(DEFERRED_LOOK).await;
        source.work.queue.wake();
    }
}

/// Whether a deletion that was deferred at `deferred_ms`, and has waited for `waited_ms`,
/// may run, or the other half of a rename can still be on its way to the queue.
pub(crate) fn readiness(
    source: &SourceRuntime,
    deferred_ms: MonotonicMs,
    waited_ms: i64,
    rename_wait_ms: i64,
) -> Readiness {
    if waited_ms >= DEFERRED_MAX_MS {
        return Readiness::Now;
    }
    let is_early = waited_ms < rename_wait_ms || source.guard.is_filling(rename_wait_ms);
    if is_early || source.work.scans.is_looking() {
        return Readiness::No;
    }
    match source.work.in_flight.up_to(deferred_ms) {
        Some(given_back) => Readiness::AfterTheRest { given_back },
        None => Readiness::No,
    }
}
