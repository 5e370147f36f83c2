//! The workers: take a path from the queue, look at it, make the bucket agree,
//! write that into the index.
//!
//! Invariants: the index learns of a version only after S3 acknowledged it; a
//! path that fails is written down as unprotected or goes back into the queue,
//! never forgotten; nothing is marked deleted without a look at the disk.

mod carry;
mod commits;
mod context;
mod doubt;
mod elsewhere;
mod file;
mod gone;
pub(crate) mod late;
mod look;
mod made_of;
pub(crate) mod manifest;
pub(crate) mod orphaned_uploads;
mod outcome;
mod since;
mod stored;
mod swaps;
mod take;
mod together;

pub use commits::Commits;
pub use context::Context;
pub use manifest::write_all;
pub use orphaned_uploads::sweep;
pub use outcome::NEWS_MS;
pub use swaps::Moves;

use crate::destination;
use crate::files;
use crate::guard;

use outcome::{Outcome, aside_min_ms, bucket_works};

use crate::source::announce;
use crate::files::Pulse;
use crate::os::blocking::blocking;
use crate::retry::Backoff;
use crate::source::SourceRuntime;
use crate::work::Hint;
use crate::status::Event;
use crate::types::{Class, Fault, Kind, RelKey, RelPath};
use crate::backup::context::Item;
use crate::work::{Lane, Readiness};
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked whether a deletion that waits may come.
const ASIDE_LOOK: Duration = Duration::from_millis(100);

/// Ends when nothing of the source is set aside any more.
async fn release_in_time(source: Arc<SourceRuntime>) {
    while source.work.queue.has_deferred() {
        tokio::time::sleep(ASIDE_LOOK).await;
        source.work.queue.wake();
    }
}

/// How long a deletion waits at the most for what is new to be stored, so that a
/// file that was renamed is never under neither name. A quarter of an hour is
/// long enough for the copies of a folder of tens of thousands of files.
const ASIDE_MAX_MS: i64 = 15 * 60 * 1000;

/// Whether the other half of a rename can still be on its way to the queue, when
/// its old name was set aside at `deferred_ms`.
fn readiness(ctx: &Context, source: &SourceRuntime, deferred_ms: i64) -> Readiness {
    let waited_ms = ctx.clock.steady_ms() - deferred_ms;
    if waited_ms >= ASIDE_MAX_MS {
        return Readiness::Now;
    }
    let pause_ms = aside_min_ms(ctx);
    let is_early = waited_ms < pause_ms || guard::is_filling(&source.guard, pause_ms);
    if is_early || source.work.scans.is_looking() {
        return Readiness::No;
    }
    match source.work.in_flight.up_to(deferred_ms) {
        Some(given_back) => Readiness::AfterTheRest { given_back },
        None => Readiness::No,
    }
}

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
            .pop(&ctx.sources, may_start, |source, ms| readiness(&ctx, source, ms))
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
                item.source.breaker.abandoned(&item.path, ctx.clock.now_ms());
                Next::GiveBack
            }
            Err(fault) => settle(&ctx, &item, Err(fault)).await,
        };
        // Before another worker may take the same path.
        item.source.breaker.ended(&item.path);
        match next {
            Next::Done => ctx.queue.done(&item),
            Next::GiveBack => ctx.queue.give_back(&item),
            Next::SetAside => {
                if ctx.queue.defer(&item, ctx.clock.steady_ms()) {
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
    SetAside,
}

/// A path that was worked on.
struct Done {
    outcome: Outcome,
    /// It may stand among the unprotected: some path of its source did.
    may_be_unprotected: bool,
}

async fn work(ctx: &Arc<Context>, item: &Item) -> Result<Done, Fault> {
    if let Some(outcome) = together::pass_on(ctx, item).await? {
        return Ok(Done {
            outcome,
            // Of this path nothing is known by that.
            may_be_unprotected: false,
        });
    }
    let (look, early) = {
        let (shared, item) = (Arc::clone(ctx), item.clone());
        let (pulse, slot) = (Pulse::default(), take::Slot::new());
        let (beat, filled) = (pulse.clone(), slot.clone());
        let looked = item.source.watchdog.clone().run(&pulse, move || {
            let look = look::look(&shared, &item.source, &item.path, &beat)?;
            beat.beat();
            let record = look.file.as_ref();
            // What belongs together is read together.
            let alone = look.disk.filter(|_| look.companions.is_empty());
            let taken = alone
                .and_then(|seen| take::Early::read(&shared, &item, &seen, record, &filled, &beat));
            Ok((look, taken))
        })
        .await;
        let memory = slot.leave();
        let (look, taken) = looked?;
        let early = memory.zip(taken);
        let early = early.map(|(memory, taken)| take::Early { memory, taken });
        (look, early)
    };
    let was = look.disk.map(|found| found.kind);
    let may_be_unprotected = look.has_unprotected;
    let outcome = act(ctx, item, look, early).await?;
    // `file::store` and `together::store` look again by themselves, once per file.
    let has_looked = matches!(was, Some(Kind::File | Kind::Symlink));
    if outcome == Outcome::Sent && !has_looked {
        look_again_if_other(ctx, item, was).await?;
    }
    Ok(Done {
        outcome,
        may_be_unprotected,
    })
}

async fn act(
    ctx: &Arc<Context>,
    item: &Item,
    mut look: look::Look,
    early: Option<take::Early>,
) -> Result<Outcome, Fault> {
    let Some(fingerprint) = look.disk else {
        item.source.pacing.forget(&item.path);
        if gone::waits(ctx, item, look.file.as_ref()).await? {
            return Ok(Outcome::Aside);
        }
        if item.source.marks_deletions() {
            let stays = |one: &look::Companion| one.disk.is_some();
            let stay: Vec<_> = look.companions.extract_if(.., |one| stays(one)).collect();
            together::leave(ctx, item, &stay).await?;
        }
        let mut file = gone::mark_gone(ctx, item, &RelKey::of_file(&item.path), look.file).await?;
        if file.is_acknowledged() {
            // After it: alone they harm nobody, and it without them does.
            file = file.max(together::mark_gone(ctx, item, look.companions).await?);
        }
        let folder =
            gone::mark_gone(ctx, item, &RelKey::of_folder(&item.path), look.folder).await?;
        gone::look_at_folder(ctx, item).await?;
        return Ok(file.max(folder));
    };
    match fingerprint.kind {
        Kind::File | Kind::Symlink => {
            // The folder that was here is gone, and so is its object.
            gone::mark_gone(ctx, item, &RelKey::of_folder(&item.path), look.folder).await?;
            if fingerprint.kind == Kind::File && !look.companions.is_empty() {
                return together::store(ctx, item, fingerprint, look.file, look.companions).await;
            }
            together::leave(ctx, item, &look.companions).await?;
            file::store(ctx, item, fingerprint, look.file, early).await
        }
        Kind::Folder => {
            together::leave(ctx, item, &look.companions).await?;
            let file = gone::mark_gone(ctx, item, &RelKey::of_file(&item.path), look.file).await?;
            let stored = file::store_folder(ctx, item, fingerprint, look.folder, look.empty);
            // A file that may not be marked yet has its path's next turn.
            Ok(file.max(stored.await?))
        }
        Kind::Special => {
            together::leave(ctx, item, &look.companions).await?;
            let file = gone::mark_gone(ctx, item, &RelKey::of_file(&item.path), look.file).await?;
            let folder =
                gone::mark_gone(ctx, item, &RelKey::of_folder(&item.path), look.folder).await?;
            Ok(file.max(folder))
        }
    }
}

async fn settle(ctx: &Arc<Context>, item: &Item, result: Result<Done, Fault>) -> Next {
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
                return Next::SetAside;
            }
            if done.outcome == Outcome::Changed {
                look_again(ctx, item);
            } else if done.may_be_unprotected {
                protected(ctx, item).await;
            }
            Next::Done
        }
        // It went away under our hands: look again, it is a deletion now. One
        // that is always there and never there is told like any other failure.
        Err(fault) if fault.class == Class::Vanished && !item.deadline => {
            item.source.breaker.abandoned(&item.path, now_ms);
            look_again(ctx, item);
            Next::Done
        }
        Err(fault) => failed(ctx, item, fault, now_ms).await,
    }
}

/// Look at the path again when it went, came back or became something else with
/// all it was in while it was worked on: a scan of that runs beside the worker,
/// and has seen no record yet, or still the old one.
async fn look_again_if_other(
    ctx: &Arc<Context>,
    item: &Item,
    was: Option<Kind>,
) -> Result<(), Fault> {
    let now = {
        let root = item.source.config.path.clone();
        let path = item.path.clone();
        let work = move || files::stat(&root, &path);
        item.source.watchdog.run(&Pulse::default(), work).await?
    };
    if now.map(|found| found.kind) != was {
        look_again(ctx, item);
    }
    Ok(())
}

/// The path changed under the worker's hands: let it settle first.
fn look_again(ctx: &Context, item: &Item) {
    let now_ms = ctx.clock.steady_ms();
    let max_ms = i64::try_from(ctx.config.limits.debounce_max_ms).unwrap_or(i64::MAX);
    // Time spent waiting in the queue is no time spent changing.
    let has_been_changing = item.lane == Lane::Edit && now_ms - item.since_ms < max_ms;
    item.source.work.hint(Hint {
        path: item.path.clone(),
        first_ms: if has_been_changing || item.deadline {
            item.since_ms
        } else {
            now_ms
        },
        last_ms: now_ms,
        is_given_back: true,
    });
}

async fn failed(ctx: &Arc<Context>, item: &Item, fault: Fault, now_ms: i64) -> Next {
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
            let next_ms = now_ms.saturating_add(i64::try_from(delay).unwrap_or(i64::MAX));
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
        item.source.watchdog.clone().run(&pulse, move || {
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
    use super::outcome::Outcome;

    /// Named after the bug: a database whose own deletion waited had its journal marked.
    #[test]
    fn what_belongs_to_a_file_follows_only_what_the_bucket_has_acknowledged() {
        for (outcome, follows) in [
            (Outcome::Agreed, false),
            (Outcome::Answered, true),
            (Outcome::Sent, true),
            (Outcome::Changed, false),
            (Outcome::Aside, false),
        ] {
            assert_eq!(outcome.is_acknowledged(), follows, "{outcome:?}");
        }
    }
}
