//! One-off runs without a running daemon: open, work, close.

use super::answers::{Answers, NAMED_MAX, told};
use super::close::close;
use super::components::{CLEARING_MAX, Components, Options};
use super::maintenance::tell_of_sources;
use super::open::{Open, open};
use crate::bandwidth;
use crate::bandwidth::{Limits, Reload};
use crate::config::Config;
use crate::control::{Kept, Line, Reconciled, Words};
use crate::destination;
use crate::digest::{Failed, OneOff, OneOffTask};
use crate::mail::FailureLine;
use crate::os;
use crate::os::blocking::blocking;
use crate::source::SourceRuntime;
use crate::types::{Fatal, Fault, WallMs};
use crate::verify::Ask;
use crate::work::Hint;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// How long a run waits for paths that failed for now, or are still being written. Then
/// it ends and names them.
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
    with_workers(config, options, async |components, answers| {
        let started_ms = components.clock.now_ms();
        let results = answers
            .reconcile(&progress, words, settle_down(components))
            .await
            .map_err(Fatal::from);
        tell(components, started_ms, &results).await;
        results
    })
    .await
}

/// The digest without a running daemon: as the index has it, or (`send`) after the whole
/// daily job.
///
/// # Errors
/// Something it depends on cannot be opened, or the digest can neither be sent
/// nor kept.
pub async fn digest_once(config: Config, options: Options, send: bool) -> Result<Line, Fatal> {
    with_workers(config, options, async |components, answers| {
        Ok(answers.digest(send, settle_down(components)).await?)
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
        return with_workers(config, options, async |components, answers| {
            for source in components.sources.iter() {
                destination::look(&source.destination).await;
            }
            Ok(answers.verify(&ask, &progress).await?)
        })
        .await;
    }
    let Open {
        components,
        started_ms,
        ..
    } = open(config, &mut options).await?;
    let answers = Answers::new(&components, started_ms);
    let line = answers.verify(&ask, &progress).await;
    close(&components, true).await?;
    Ok(line?)
}

/// Open everything, run the workers around `work`, close everything.
async fn with_workers<T>(
    config: Config,
    mut options: Options,
    work: impl AsyncFnOnce(&Components, &Answers) -> Result<T, Fatal>,
) -> Result<T, Fatal> {
    let Open {
        components,
        hints,
        started_ms,
        ..
    } = open(config, &mut options).await?;
    let answers = Answers::new(&components, started_ms);
    // No file is paced: nobody would store later what waits.
    for source in components.sources.iter() {
        source.pacing.end();
    }
    take_up_scans(&components).await?;
    let (stop, stopped) = watch::channel(false);
    let mut loops = start_loops(&components, hints, options.reload, &stopped);
    let result = work(&components, &answers).await;
    // A hold that began at the very end does not wait for the next run.
    tell_of_sources(&components.sources, &components.outbox, true).await;
    if let Err(fault) = components.outbox.flush().await {
        tracing::warn!("a message waits in the outbox: {fault}");
    }
    // For `status` while no daemon runs.
    if let Err(fault) = answers.write_down().await {
        tracing::warn!("{fault}");
    }
    // Fails only when every loop has ended already.
    let _ = stop.send(true);
    components.queue.close();
    let mut sources = components.sources.iter();
    let idle = sources.all(|source| source.work.queue.depth().running == 0);
    loops.shutdown().await;
    // The next run may be far off. What it can resume waits for it; the rest is aborted
    // now.
    let orphaned = components.orphaned_uploads();
    if tokio::time::timeout(CLEARING_MAX, orphaned.sweep()).await != Ok(true) {
        tracing::warn!("parts of unfinished uploads stay in the bucket until the next run");
    }
    close(&components, idle).await?;
    result
}

/// Take over when each source was last compared: the run before has written it down, and a
/// digest that compares nothing itself tells of it.
async fn take_up_scans(components: &Components) -> Result<(), Fatal> {
    let (config, sources) = (
        Arc::clone(&components.config),
        Arc::clone(&components.sources),
    );
    let taken_up = blocking(move || {
        let last = Kept::read(&config.state_dir);
        for then in last.into_iter().flat_map(|last| last.status.sources) {
            let mut sources = sources.iter();
            if let Some(source) = sources.find(|source| source.config.name == then.name) {
                source
                    .status
                    .update(|status| status.last_scan = then.board.last_scan);
            }
        }
        Ok(())
    });
    Ok(taken_up.await?)
}

fn start_loops(
    components: &Components,
    hints: Vec<mpsc::Receiver<Hint>>,
    reload: Option<Reload>,
    stopped: &watch::Receiver<bool>,
) -> JoinSet<()> {
    let mut loops = JoinSet::new();
    for (source, hints) in components.sources.iter().zip(hints) {
        loops.spawn(components.collector(source).run(hints, stopped.clone()));
        loops.spawn(components.scanner(source).run(stopped.clone()));
    }
    loops.spawn(components.maintenance().run(stopped.clone()));
    loops.spawn(bandwidth::run(
        Limits::new(&components.config, reload),
        Arc::clone(&components.traffic),
        components.clock.wall(),
        stopped.clone(),
    ));
    for _ in 0..components.config.limits.workers {
        loops.spawn(components.worker().run());
    }
    loops
}

/// Wait for files that were still being written and for second tries. Ends
/// early when only a person can help.
async fn settle_down(components: &Components) {
    let mut waited = Duration::ZERO;
    while waited < PATIENCE {
        let is_busy = components.sources.iter().any(|source| is_busy(source));
        match may_pass(components).await {
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
        // It waits for somebody to take the destination over.
        _ if !source.destination.may_send() => false,
        _ => source.work.queue.depth().total() > 0,
    }
}

/// Tries of one path within one run, as long as its trouble may pass.
const TRIES: u32 = 4;

/// True when a path failed for a reason that may pass, and has tries left.
async fn may_pass(components: &Components) -> Result<bool, Fault> {
    let (sources, index) = (Arc::clone(&components.sources), components.index.clone());
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

/// Tell the owner how a one-off run ended, as the digest is told.
async fn tell(
    components: &Components,
    started_ms: WallMs,
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
        ended_ms: components.clock.now_ms(),
        time_zone: components.config.schedule.time_zone.clone(),
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
    match components.outbox.send(message).await {
        Ok(delivery) => tracing::info!("the report was {}", told(&delivery)),
        Err(fault) => tracing::error!("{fault}"),
    }
}
