//! One-off runs without a running daemon: open, work, close.

use super::answers::{Answers, NAMED_MAX, told};
use super::close::close;
use super::maintenance::tell_of_sources;
use super::open::{Open, open};
use super::parts::{CLEARING_MAX, Options, Parts};
use crate::bandwidth;
use crate::bandwidth::{Limits, Reload};
use crate::config::Config;
use crate::control::{Line, Reconciled, Words};
use crate::destination;
use crate::digest::{Failed, OneOff, OneOffTask};
use crate::mail::FailureLine;
use crate::os;
use crate::os::blocking::blocking;
use crate::source::SourceRuntime;
use crate::types::{Fatal, Fault};
use crate::verify::Ask;
use crate::work::Hint;
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
    with_workers(config, options, async |parts, answers| {
        let started_ms = parts.clock.now_ms();
        let results = answers
            .reconcile(&progress, words, settle_down(parts))
            .await
            .map_err(Fatal::from);
        tell(parts, started_ms, &results).await;
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
    with_workers(config, options, async |parts, answers| {
        Ok(answers.digest(send, settle_down(parts)).await?)
    })
    .await
}

/// Verify without a running daemon. Only a repair needs workers.
///
/// # Errors
/// Something it depends on cannot be opened, or nothing can be said.
pub async fn verify_once(
    config: Config,
    mut options: Options,
    ask: Ask,
    progress: Progressing,
) -> Result<Line, Fatal> {
    if ask.repair {
        return with_workers(config, options, async |parts, answers| {
            for source in parts.sources.iter() {
                destination::look(&source.destination).await;
            }
            Ok(answers.verify(&ask, &progress).await?)
        })
        .await;
    }
    let Open {
        parts, started_ms, ..
    } = open(config, &mut options).await?;
    let answers = Answers::new(&parts, started_ms);
    let line = answers.verify(&ask, &progress).await;
    close(&parts, true).await?;
    Ok(line?)
}

/// Open everything, run the workers around `work`, close everything.
async fn with_workers<T>(
    config: Config,
    mut options: Options,
    work: impl AsyncFnOnce(&Parts, &Answers) -> Result<T, Fatal>,
) -> Result<T, Fatal> {
    let Open {
        parts,
        hints,
        started_ms,
        ..
    } = open(config, &mut options).await?;
    let answers = Answers::new(&parts, started_ms);
    // Nobody would be there to store what waits.
    for source in parts.sources.iter() {
        source.pacing.end();
    }
    let (stop, stopped) = watch::channel(false);
    let mut loops = start_loops(&parts, hints, options.reload, &stopped);
    let result = work(&parts, &answers).await;
    // What was held back at the very end does not wait for the next run.
    tell_of_sources(&parts.sources, &parts.outbox, true).await;
    if let Err(fault) = parts.outbox.flush().await {
        tracing::warn!("a message waits in the outbox: {fault}");
    }
    // For who asks how things stand when no daemon runs.
    if let Err(fault) = answers.write_down().await {
        tracing::warn!("{fault}");
    }
    // Fails only when every loop has ended already.
    let _ = stop.send(true);
    parts.queue.close();
    let mut sources = parts.sources.iter();
    let idle = sources.all(|source| source.work.queue.depth().running == 0);
    loops.shutdown().await;
    // There may be no next run for long: what was cut off and can be gone on
    // with waits, the rest goes now.
    let orphaned = parts.orphaned_uploads();
    if tokio::time::timeout(CLEARING_MAX, orphaned.sweep()).await != Ok(true) {
        tracing::warn!("parts of unfinished uploads stay in the bucket until the next run");
    }
    close(&parts, idle).await?;
    result
}

fn start_loops(
    parts: &Parts,
    hints: Vec<mpsc::Receiver<Hint>>,
    reload: Option<Reload>,
    stopped: &watch::Receiver<bool>,
) -> JoinSet<()> {
    let mut loops = JoinSet::new();
    for (source, hints) in parts.sources.iter().zip(hints) {
        loops.spawn(parts.collector(source).run(hints, stopped.clone()));
        loops.spawn(parts.scanner(source).run(stopped.clone()));
    }
    loops.spawn(parts.maintenance().run(stopped.clone()));
    loops.spawn(bandwidth::run(
        Limits::new(&parts.config, reload),
        Arc::clone(&parts.traffic),
        parts.clock.wall(),
        stopped.clone(),
    ));
    for _ in 0..parts.config.limits.workers {
        loops.spawn(parts.worker().run());
    }
    loops
}

/// Wait for files that were still being written and for second tries. Ends
/// early when only a person can help.
async fn settle_down(parts: &Parts) {
    let mut waited = Duration::ZERO;
    while waited < PATIENCE {
        let is_busy = parts.sources.iter().any(|source| is_busy(source));
        match may_pass(parts).await {
            Ok(may_pass) if !is_busy && !may_pass => return,
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

fn is_busy(source: &SourceRuntime) -> bool {
    if source.work.in_flight.count() > 0 {
        return true;
    }
    match source.breaker.outage() {
        Some((_, fault)) if !fault.class.is_transient() => false,
        // It waits for somebody's word.
        _ if !source.destination.may_send() => false,
        _ => source.work.queue.depth().total() > 0,
    }
}

/// Tries a path gets within one run when its trouble may pass.
const TRIES: u32 = 4;

/// True when a path failed for a reason that may pass, and has tries left.
async fn may_pass(parts: &Parts) -> Result<bool, Fault> {
    let (sources, index) = (Arc::clone(&parts.sources), parts.index.clone());
    blocking(move || {
        for source in sources.iter() {
            let (some, _) = index.unprotected(source.id, NAMED_MAX)?;
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
async fn tell(parts: &Parts, started_ms: i64, results: &Result<Vec<Reconciled>, Fatal>) {
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
        ended_ms: parts.clock.now_ms(),
        time_zone: parts.config.schedule.time_zone.clone(),
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
    match parts.outbox.send(message).await {
        Ok(delivery) => tracing::info!("the report was {}", told(&delivery)),
        Err(fault) => tracing::error!("{fault}"),
    }
}
