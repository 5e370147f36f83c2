//! One-off runs without a running daemon: open, work, close.

use super::answers::{NAMED_MAX, digest_line, reconcile, state, told, verify_line, write_down};
use super::close::close;
use super::maintenance;
use super::open::open;
use super::parts::{CLEARING_MAX, Options, Parts, this_computer};
use crate::backup;
use crate::backup::orphaned_uploads;
use crate::bandwidth;
use crate::config::Config;
use crate::control::{Line, Reconciled, Words};
use crate::destination;
use crate::digest::{Failed, OneOff, OneOffTask};
use crate::guard;
use crate::mail::{FailureLine, Post};
use crate::os;
use crate::os::blocking::blocking;
use crate::scan;
use crate::source::{Context, system_clock};
use crate::types::{Fatal, Fault};
use crate::verify::Ask;
use crate::watch::collect;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// How long paths that failed for now, or are still being written, are given.
/// After that the run ends and names them.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often a wait looks again.
const LOOK: Duration = Duration::from_millis(100);

/// Where progress lines go.
pub type Progressing = mpsc::Sender<Line>;

/// One full comparison of every source with its bucket, in this process. The
/// owner is told by message, as after any one-off run.
///
/// # Errors
/// Something it depends on cannot be opened. What failed for single files is
/// in the result.
pub async fn reconcile_once(
    config: Config,
    options: Options,
    progress: Progressing,
    words: Words,
) -> Result<Vec<Reconciled>, Fatal> {
    with_workers(config, options, async |ctx, post| {
        let started_ms = ctx.now_ms();
        let results = reconcile(ctx, &progress, words, settle_down(ctx))
            .await
            .map_err(Fatal::from);
        tell(ctx, post, started_ms, &results).await;
        results
    })
    .await
}

/// The digest without a running daemon: as the index has it, or (`send`) the
/// whole daily job.
///
/// # Errors
/// Something it depends on cannot be opened, or the digest can neither be sent
/// nor kept.
pub async fn digest_once(config: Config, options: Options, send: bool) -> Result<Line, Fatal> {
    with_workers(config, options, async |ctx, post| {
        Ok(digest_line(ctx, post, send, settle_down(ctx)).await?)
    })
    .await
}

/// Verify without a running daemon. Only a repair needs workers.
///
/// # Errors
/// Something it depends on cannot be opened, or nothing can be said.
pub async fn verify_once(
    config: Config,
    options: Options,
    ask: Ask,
    progress: Progressing,
) -> Result<Line, Fatal> {
    if ask.repair {
        return with_workers(config, options, async |ctx, _| {
            for source in 0..ctx.sources.len() {
                destination::look(ctx, source).await;
            }
            Ok(verify_line(ctx, &ask, &progress).await?)
        })
        .await;
    }
    let clock = options.clock.unwrap_or_else(system_clock);
    let computer = options.computer.unwrap_or_else(this_computer);
    let Parts { ctx, .. } = open(config, options.store, clock, computer).await?;
    let line = verify_line(&ctx, &ask, &progress).await;
    close(&ctx, true).await?;
    Ok(line?)
}

/// Open everything, run the workers around `work`, close everything.
async fn with_workers<T>(
    config: Config,
    options: Options,
    work: impl AsyncFnOnce(&Arc<Context>, &Arc<Post>) -> Result<T, Fatal>,
) -> Result<T, Fatal> {
    let clock = options.clock.unwrap_or_else(system_clock);
    let started_ms = clock();
    let computer = options.computer.unwrap_or_else(this_computer);
    let Parts {
        ctx, post, hints, ..
    } = open(config, options.store, clock, computer).await?;
    // Nobody would be there to store what waits.
    ctx.pacing.end();
    let (stop, stopped) = watch::channel(false);
    let mut loops = JoinSet::new();
    for hints in hints {
        loops.spawn(collect::run(Arc::clone(&ctx), hints, stopped.clone()));
    }
    loops.spawn(maintenance::run(
        Arc::clone(&ctx),
        Arc::clone(&post),
        stopped.clone(),
    ));
    loops.spawn(bandwidth::run(
        Arc::clone(&ctx),
        options.reload,
        stopped.clone(),
    ));
    for _ in 0..ctx.config.limits.workers {
        loops.spawn(backup::run(Arc::clone(&ctx)));
    }
    for source in 0..ctx.sources.len() {
        loops.spawn(scan::run(Arc::clone(&ctx), source, stopped.clone()));
    }
    let result = work(&ctx, &post).await;
    // What was held back at the very end does not wait for the next run.
    guard::tell(&ctx, &post, true).await;
    destination::tell(&ctx, &post).await;
    if let Err(fault) = post.flush(&ctx).await {
        tracing::warn!("a message waits in the outbox: {fault}");
    }
    // For who asks how things stand when no daemon runs.
    if let Err(fault) = write_down(&ctx, state(&ctx, &post, started_ms).await).await {
        tracing::warn!("{fault}");
    }
    // Fails only when every loop has ended already.
    let _ = stop.send(true);
    ctx.queue.close();
    let idle = (0..ctx.sources.len()).all(|source| ctx.queue.depth(source).running == 0);
    loops.shutdown().await;
    // There may be no next run for long: what was cut off and can be gone on
    // with waits, the rest goes now.
    let cleared = tokio::time::timeout(CLEARING_MAX, orphaned_uploads::sweep(&ctx)).await;
    if cleared != Ok(true) {
        tracing::warn!("parts of unfinished uploads stay in the bucket until the next run");
    }
    close(&ctx, idle).await?;
    result
}

/// Wait for files that were still being written and for second tries. Ends
/// early when only a person can help.
async fn settle_down(ctx: &Arc<Context>) {
    let mut waited = Duration::ZERO;
    while waited < PATIENCE {
        let mut busy = ctx.unsettled.count() > 0;
        for number in 0..ctx.sources.len() {
            let depth = ctx.queue.depth(number);
            match ctx.gates.outage(number) {
                Some((_, fault)) if !fault.class.is_transient() => {}
                // It waits for somebody's word.
                _ if !ctx.sources[number].destination.may_send() => {}
                _ => busy |= depth.total() > 0,
            }
        }
        match may_pass(ctx).await {
            Ok(may_pass) if !busy && !may_pass => return,
            Ok(_) => {}
            Err(fault) => {
                tracing::error!("{fault}");
                return;
            }
        }
        tokio::time::sleep(LOOK).await;
        waited += LOOK;
    }
}

/// Tries a path gets within one run when its trouble may pass.
const TRIES: u32 = 4;

/// True when a path failed for a reason that may pass, and has tries left.
async fn may_pass(ctx: &Arc<Context>) -> Result<bool, Fault> {
    let ctx = Arc::clone(ctx);
    blocking(move || {
        for source in &ctx.sources {
            let (some, _) = ctx.index.unprotected(source.id, NAMED_MAX)?;
            if some
                .iter()
                .any(|(_, u)| u.fault.class.is_transient() && u.attempts < TRIES)
            {
                return Ok(true);
            }
        }
        Ok(false)
    })
    .await
}

/// Success and failure of a one-off run are told as the digest is.
async fn tell(
    ctx: &Arc<Context>,
    post: &Post,
    started_ms: i64,
    results: &Result<Vec<Reconciled>, Fatal>,
) {
    let none = Vec::new();
    let (list, failed) = match results {
        Ok(list) => {
            let stopped = list.iter().find_map(|r| {
                let outage = r.outage.as_ref().map(|f| (f.to_string(), f.hint.clone()));
                let trouble = r.troubles.first();
                let trouble = || trouble.map(|t| (t.text.clone(), t.remedy.clone()));
                let incomplete = || r.incomplete.first().map(|i| (i.clone(), String::new()));
                outage.or_else(trouble).or_else(incomplete)
            });
            (list, stopped)
        }
        Err(fatal) => (&none, Some((fatal.cause.clone(), fatal.hint.clone()))),
    };
    let message = OneOff {
        computer: os::computer_name(),
        task: OneOffTask::Reconcile,
        place: list
            .iter()
            .map(|r| format!("{} to {}", r.name, r.destination))
            .collect::<Vec<_>>()
            .join("; "),
        started_ms,
        ended_ms: ctx.now_ms(),
        time_zone: ctx.config.schedule.time_zone.clone(),
        files: list.iter().map(|r| r.files).sum(),
        bytes: list.iter().map(|r| r.bytes).sum(),
        failures: list
            .iter()
            .flat_map(|r| &r.failed)
            .map(|fault| FailureLine {
                path: fault.subject.clone(),
                reason: fault.reason(),
                remedy: fault.hint.clone(),
                count: 1,
            })
            .collect(),
        failures_total: list.iter().map(|r| r.failed_total).sum(),
        failed: failed.map(|(cause, hint)| Failed { cause, hint }),
    }
    .message();
    match post.send(ctx, message).await {
        Ok(delivery) => tracing::info!("the report was {}", told(&delivery)),
        Err(fault) => tracing::error!("{fault}"),
    }
}
