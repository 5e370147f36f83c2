//! One worker: takes a path from the queue, gives it its turn, and tells queue, circuit
//! breaker and index what came of it.
//!
//! Invariant: a path that fails is written down as unprotected or goes back into the
//! queue, never forgotten.

use super::deferred::{readiness, release_in_time};
use super::execute::{PathDone, work};
use super::outcome::{Outcome, bucket_works};
use super::rehint::hint_again;
use crate::backup::context::{Context, Item};
use crate::destination;
use crate::files;
use crate::files::Pulse;
use crate::os::blocking::blocking;
use crate::retry::Backoff;
use crate::source::SourceRuntime;
use crate::source::announce;
use crate::status::Event;
use crate::types::{Class, Fault, Kind, RelKey, RelPath, WallMs};
use crate::work::Lane;
use std::sync::Arc;
use std::time::Duration;

/// One worker: works until the queue is closed.
pub async fn run(ctx: Arc<Context>) {
    loop {
        let may_start = |source: &Arc<SourceRuntime>, path: &RelPath, lane: Lane| {
            // A stop waits for edits alone.
            let is_over = lane == Lane::Backlog && ctx.signals.is_ending();
            !is_over
                && source.destination.may_send()
                && source.watchdog.may_work()
                && source.breaker.may_start(path, lane, ctx.clock.now_ms())
        };
        let Some(item) = ctx
            .queue
            .pop(&ctx.sources, may_start, |source, ms| {
                readiness(&ctx, source, ms)
            })
            .await
        else {
            return;
        };
        let next = match destination::is_ours(&item.source.destination).await {
            Ok(true) => {
                let result = work(&ctx, &item).await;
                settle(&ctx, &item, result).await
            }
            // It waits for somebody's word.
            Ok(false) => {
                item.source
                    .breaker
                    .abandoned(&item.path, ctx.clock.now_ms());
                Next::GiveBack
            }
            Err(fault) => settle(&ctx, &item, Err(fault)).await,
        };
        // Before another worker may take the same path.
        item.source.breaker.ended(&item.path);
        match next {
            Next::Done => ctx.queue.done(&item),
            Next::GiveBack => ctx.queue.give_back(&item),
            Next::Defer => {
                if ctx.queue.defer(&item, ctx.clock.monotonic_ms()) {
                    tokio::spawn(release_in_time(Arc::clone(&item.source)));
                }
            }
        }
    }
}

/// What the queue is told of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// A worker is done with it.
    Done,
    /// It waits again.
    GiveBack,
    /// It waits until nothing else does.
    Defer,
}

async fn settle(ctx: &Arc<Context>, item: &Item, result: Result<PathDone, Fault>) -> Next {
    let now_ms = ctx.clock.now_ms();
    match result {
        Ok(done) => {
            match done.outcome {
                Outcome::Sent => bucket_works(ctx, item),
                Outcome::Answered => {
                    let change = item.source.breaker.answered(&item.path, now_ms);
                    announce(&ctx.sources, &item.source, change);
                }
                Outcome::Agreed | Outcome::Changed | Outcome::Aside => {
                    item.source.breaker.abandoned(&item.path, now_ms);
                }
            }
            if done.outcome == Outcome::Aside {
                return Next::Defer;
            }
            if done.outcome == Outcome::Changed {
                hint_again(ctx, item);
            } else if done.may_be_unprotected {
                protected(ctx, item).await;
            }
            Next::Done
        }
        // It went away under our hands: look again, it is a deletion now. One
        // that is always there and never there is told like any other failure.
        Err(fault) if fault.class == Class::Vanished && !item.deadline => {
            item.source.breaker.abandoned(&item.path, now_ms);
            hint_again(ctx, item);
            Next::Done
        }
        Err(fault) => failed(ctx, item, fault, now_ms).await,
    }
}

async fn failed(ctx: &Arc<Context>, item: &Item, fault: Fault, now_ms: WallMs) -> Next {
    let (change, only_waits) = item.source.breaker.failure(&item.path, &fault, now_ms);
    announce(&ctx.sources, &item.source, change);
    if only_waits {
        tracing::debug!(
            at_once = item.source.breaker.at_once(),
            "fewer uploads at a time: {fault}"
        );
        return Next::GiveBack;
    }
    if fault.class.is_destination() && item.source.breaker.outage().is_some() {
        // Not this file's trouble: it waits in the queue for the bucket.
        return Next::GiveBack;
    }
    let fault = fault.about(item.path.to_string());
    let written = {
        let (ctx, item, fault) = (Arc::clone(ctx), item.clone(), fault.clone());
        blocking(move || {
            let source = &item.source;
            let key = RelKey::of_file(&item.path);
            let attempts = ctx
                .index
                .unprotected_attempts(source.id, &key)?
                .saturating_add(1);
            let delay = Backoff::of(fault.class).delay_ms(attempts, fastrand::u64(..));
            let next_ms = now_ms + i64::try_from(delay).unwrap_or(i64::MAX);
            ctx.index
                .mark_unprotected(source.id, &key, &fault, now_ms, next_ms)?;
            Ok(attempts)
        })
        .await
    };
    let name = &item.source.config.name;
    match written {
        Ok(1) => {
            tracing::warn!(source = %name, "{fault}");
            item.source.status.tell(Event::Failed {
                source: item.source.status.name(),
                fault,
            });
            Next::Done
        }
        Ok(attempts) => {
            tracing::debug!(source = %name, attempts, "again: {fault}");
            Next::Done
        }
        Err(index_fault) => {
            // The index cannot even note it: keep it in the queue.
            tracing::error!(source = %name, "{index_fault}; while noting: {fault}");
            tokio::time::sleep(Duration::from_secs(1)).await;
            Next::GiveBack
        }
    }
}

/// The path is as it should be: it is not "unprotected" any more. A folder that
/// was, because it could not be read, is walked now that it can.
async fn protected(ctx: &Arc<Context>, item: &Item) {
    let clear = {
        let (shared, item) = (Arc::clone(ctx), item.clone());
        let pulse = Pulse::default();
        let beat = pulse.clone();
        item.source
            .watchdog
            .clone()
            .run(&pulse, move || {
                let ctx = shared;
                beat.rest(); // the index is another disk
                let source = &item.source;
                let key = RelKey::of_file(&item.path);
                if ctx.index.unprotected_attempts(source.id, &key)? == 0 {
                    return Ok(());
                }
                ctx.index.clear_unprotected(source.id, &key)?;
                beat.beat();
                let found = files::stat(&source.config.path, &item.path)?;
                if found.is_some_and(|f| f.kind == Kind::Folder) {
                    item.source.work.scans.ask_subtree(item.path.clone());
                }
                Ok(())
            })
            .await
    };
    if let Err(fault) = clear {
        tracing::error!("{fault}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stack has 2 MiB, and an unoptimised build copies a future a few times on its way.
    const FUTURE_BYTES_MAX: usize = 16 * 1024;

    /// Bytes of the future that `make` would make.
    fn future_bytes<A, B, F: Future>(_make: impl Fn(A, B) -> F) -> usize {
        size_of::<F>()
    }

    /// Named after the bug: turns that grew by a few calls overflowed a worker's stack.
    #[test]
    fn a_turn_is_small_enough_for_a_stack() {
        type Held<T> = &'static T;
        let turn = future_bytes(|ctx: Held<Arc<Context>>, item: Held<Item>| work(ctx, item));
        let worker = future_bytes(|ctx: Arc<Context>, (): ()| run(ctx));
        assert!(turn <= FUTURE_BYTES_MAX, "a turn takes {turn} bytes");
        assert!(worker <= FUTURE_BYTES_MAX, "a worker takes {worker} bytes");
    }
}
