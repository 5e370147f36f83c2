//! When a deferred deletion runs: not before newer files are uploaded. It may be half of a
//! rename, and the content must be reachable under one of the two names at every moment.

use super::outcome::aside_min_ms;
use crate::guard;
use crate::source::Context;
use crate::work::Ripe;
use std::sync::Arc;
use std::time::Duration;

/// How often deferred deletions are checked.
const ASIDE_LOOK: Duration = Duration::from_millis(100);

/// Wakes the queue until the source has no deferred deletion left.
pub(crate) async fn release_in_time(ctx: Arc<Context>, source: usize) {
    while ctx.queue.has_aside(source) {
        tokio::time::sleep(ASIDE_LOOK).await;
        ctx.queue.wake();
    }
}

/// The longest that a deletion is deferred. A quarter of an hour is long enough to copy
/// a folder of tens of thousands of files under its new name.
const ASIDE_MAX_MS: i64 = 15 * 60 * 1000;

/// Whether a deletion that was deferred at `aside_ms` may run, or the other half of a
/// rename can still be on its way to the queue.
pub(crate) fn ripe(ctx: &Context, source: usize, aside_ms: i64) -> Ripe {
    let waited_ms = ctx.steady_ms() - aside_ms;
    if waited_ms >= ASIDE_MAX_MS {
        return Ripe::Now;
    }
    let pause_ms = aside_min_ms(ctx);
    let is_early = waited_ms < pause_ms || guard::is_filling(ctx, source, pause_ms);
    if is_early || ctx.scans.is_looking(source) {
        return Ripe::No;
    }
    match ctx.unsettled.up_to(source, aside_ms) {
        Some(given_back) => Ripe::AfterTheRest { given_back },
        None => Ripe::No,
    }
}
