//! When a deferred deletion runs: not before newer files are uploaded. It may be half of a
//! rename, and the content must be reachable under one of the two names at every moment.

use super::outcome::aside_min_ms;
use crate::backup::context::Context;
use crate::source::SourceRuntime;
use crate::work::Readiness;
use std::sync::Arc;
use std::time::Duration;

/// How often deferred deletions are checked.
const DEFERRED_LOOK: Duration = Duration::from_millis(100);

/// Wakes the queue until the source has no deferred deletion left.
pub(crate) async fn release_in_time(source: Arc<SourceRuntime>) {
    while source.work.queue.has_deferred() {
        tokio::time::sleep(DEFERRED_LOOK).await;
        source.work.queue.wake();
    }
}

/// The longest that a deletion is deferred. A quarter of an hour is long enough to copy
/// a folder of tens of thousands of files under its new name.
const DEFERRED_MAX_MS: i64 = 15 * 60 * 1000;

/// Whether a deletion that was deferred at `deferred_ms` may run, or the other half of a
/// rename can still be on its way to the queue.
pub(crate) fn readiness(ctx: &Context, source: &SourceRuntime, deferred_ms: i64) -> Readiness {
    let waited_ms = ctx.clock.steady_ms() - deferred_ms;
    if waited_ms >= DEFERRED_MAX_MS {
        return Readiness::Now;
    }
    let pause_ms = aside_min_ms(ctx);
    let is_early = waited_ms < pause_ms || source.guard.is_filling(pause_ms);
    if is_early || source.work.scans.is_looking() {
        return Readiness::No;
    }
    match source.work.in_flight.up_to(deferred_ms) {
        Some(given_back) => Readiness::AfterTheRest { given_back },
        None => Readiness::No,
    }
}
