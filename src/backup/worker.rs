//! One worker: takes a path from the queue, gives it its turn, and tells queue, circuit
//! breaker and index what came of it.
//!
//! Invariant: a path that fails is written down as unprotected or goes back into the
//! queue, never forgotten.

use super::deferred::{release_in_time, ripe};
use super::execute::{PathDone, work};
use super::outcome::{Outcome, bucket_works};
use super::rehint::hint_again;
use crate::destination;
use crate::destination::announce;
use crate::files;
use crate::files::Pulse;
use crate::os::blocking::blocking;
use crate::retry::Backoff;
use crate::source::{Context, on_disk};
use crate::status::News;
use crate::types::{Class, Fault, Kind, RelKey, RelPath};
use crate::work::{Item, Lane};
use std::sync::Arc;
use std::time::Duration;

/// One worker: works until the queue is closed.
pub async fn run(ctx: Arc<Context>) {
    loop {
        let may_start = |source: usize, path: &RelPath, lane: Lane| {
            // A stop waits for edits alone.
            let is_over = lane == Lane::Backlog && ctx.is_ending();
            !is_over
                && ctx.sources[source].destination.may_send()
                && ctx.answering.may_work(source)
                && ctx.gates.may_start(source, path, lane, ctx.now_ms())
        };
        let Some(item) = ctx
            .queue
            .pop(may_start, |source, ms| ripe(&ctx, source, ms))
            .await
        else {
            return;
        };
        let next = match destination::is_ours(&ctx, item.source).await {
            Ok(true) => {
                let result = work(&ctx, &item).await;
                settle(&ctx, &item, result).await
            }
            // It waits for somebody's word.
            Ok(false) => {
                ctx.gates.abandoned(item.source, &item.path, ctx.now_ms());
                Next::GiveBack
            }
            Err(fault) => settle(&ctx, &item, Err(fault)).await,
        };
        // Before another worker may take the same path.
        ctx.gates.ended(item.source, &item.path);
        match next {
            Next::Done => ctx.queue.done(&item),
            Next::GiveBack => ctx.queue.give_back(&item),
            Next::SetAside => {
                if ctx.queue.set_aside(&item, ctx.steady_ms()) {
                    tokio::spawn(release_in_time(Arc::clone(&ctx), item.source));
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
    SetAside,
}

async fn settle(ctx: &Arc<Context>, item: &Item, result: Result<PathDone, Fault>) -> Next {
    let now_ms = ctx.now_ms();
    match result {
        Ok(done) => {
            match done.outcome {
                Outcome::Sent => bucket_works(ctx, item),
                Outcome::Answered => {
                    let change = ctx.gates.answered(item.source, &item.path, now_ms);
                    announce(ctx, item.source, change);
                }
                Outcome::Agreed | Outcome::Changed | Outcome::Aside => {
                    ctx.gates.abandoned(item.source, &item.path, now_ms);
                }
            }
            if done.outcome == Outcome::Aside {
                return Next::SetAside;
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
            ctx.gates.abandoned(item.source, &item.path, now_ms);
            hint_again(ctx, item);
            Next::Done
        }
        Err(fault) => failed(ctx, item, fault, now_ms).await,
    }
}

async fn failed(ctx: &Arc<Context>, item: &Item, fault: Fault, now_ms: i64) -> Next {
    let (change, only_waits) = ctx.gates.failure(item.source, &item.path, &fault, now_ms);
    announce(ctx, item.source, change);
    if only_waits {
        tracing::debug!(
            at_once = ctx.gates.at_once(item.source),
            "fewer uploads at a time: {fault}"
        );
        return Next::GiveBack;
    }
    if fault.class.is_destination() && ctx.gates.outage(item.source).is_some() {
        // Not this file's trouble: it waits in the queue for the bucket.
        return Next::GiveBack;
    }
    let fault = fault.about(item.path.to_string());
    let written = {
        let (ctx, item, fault) = (Arc::clone(ctx), item.clone(), fault.clone());
        blocking(move || {
            let source = &ctx.sources[item.source];
            let key = RelKey::of_file(&item.path);
            let attempts = ctx
                .index
                .unprotected_attempts(source.id, &key)?
                .saturating_add(1);
            let delay = Backoff::of(fault.class).delay_ms(attempts, fastrand::u64(..));
            let next_ms = now_ms.saturating_add(i64::try_from(delay).unwrap_or(i64::MAX));
            ctx.index
                .mark_unprotected(source.id, &key, &fault, now_ms, next_ms)?;
            Ok(attempts)
        })
        .await
    };
    let name = &ctx.sources[item.source].config.name;
    match written {
        Ok(1) => {
            tracing::warn!(source = %name, "{fault}");
            ctx.board.tell(News::Failed {
                source: item.source,
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
        on_disk(ctx, item.source, &pulse, move || {
            let ctx = shared;
            beat.rest(); // the index is another disk
            let source = &ctx.sources[item.source];
            let key = RelKey::of_file(&item.path);
            if ctx.index.unprotected_attempts(source.id, &key)? == 0 {
                return Ok(());
            }
            ctx.index.clear_unprotected(source.id, &key)?;
            beat.beat();
            let found = files::stat(&source.config.path, &item.path)?;
            if found.is_some_and(|f| f.kind == Kind::Folder) {
                ctx.scans.ask_subtree(item.source, item.path.clone());
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
    const FUTURE_BYTES_MAX: usize = 8 * 1024;

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
