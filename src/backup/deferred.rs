//! When a deferred deletion runs: not before newer files are uploaded. It may be half of a
//! rename, and the content must be reachable under one of the two names at every moment.

use super::outcome::aside_min_ms;
use crate::guard;
use crate::source::Context;
use crate::work::Ripe;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked whether a deletion that waits may come.
const ASIDE_LOOK: Duration = Duration::from_millis(100);

/// Ends when nothing of the source is set aside any more.
pub(crate) async fn release_in_time(ctx: Arc<Context>, source: usize) {
    while ctx.queue.has_aside(source) {
        tokio::time::sleep(ASIDE_LOOK).await;
        ctx.queue.wake();
    }
}

/// How long a deletion waits at the most for what is new to be stored, so that a
/// file that was renamed is never under neither name. A quarter of an hour is
/// long enough for the copies of a folder of tens of thousands of files.
const ASIDE_MAX_MS: i64 = 15 * 60 * 1000;

/// Whether the other half of a rename can still be on its way to the queue, when
/// its old name was set aside at `aside_ms`.
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
