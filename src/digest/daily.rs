//! The daily job: compare everything with the bucket, then tell the owner.
//!
//! Invariants: it runs once a day, also when the computer slept through its
//! hour, and counts for the day on which it began, however long it takes; the
//! digest is handed over before its figures are closed, so a crash between makes it
//! come twice rather than never. Time asleep is no waiting.

pub(crate) mod comparing;
mod patience;

use crate::bandwidth;
use crate::destination;
use crate::drill;
use crate::guard;
use crate::pacing::costs;
use crate::source::{clock, commands};
use comparing::compare_in_full;

use super::report::{OutageLine, Report, ScanLine, SourceReport, UnprotectedLine, WatchLine};
use super::schedule::{Due, next_run, remember};
use crate::config::StoreConfig;
use crate::destination::Kind;
use crate::index::{Activity, Failures};
use crate::mail::{Delivery, FailureLine, Message, Post};
use crate::os::blocking::blocking;
use crate::pacing::Tally;
use crate::source::Context;
use crate::status::ScanDone;
use crate::types::{Fault, RelKey, amount};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often the clock is looked at: computers sleep and clocks are set, so
/// never sleep until the hour in one go.
const LOOK: Duration = Duration::from_secs(5);

/// A daily job that failed is tried again after this.
const AFTER_FAILURE: Duration = Duration::from_secs(600);

/// Failures and unprotected files named per source; more are counted.
const LINES_MAX: usize = 1000;

const LAST_RUN: &str = "digest:last_run_ms";
const PERIOD_START: &str = "digest:period_start_ms";

/// Run the daily job each day until told to stop.
pub async fn run(ctx: Arc<Context>, post: Arc<Post>, mut stop: watch::Receiver<bool>) {
    let mut woke = ctx.woke.subscribe();
    loop {
        tokio::select! {
            due = due(&ctx) => {
                if let Some(scheduled_ms) = due {
                    if woke.has_changed().unwrap_or(false) {
                        comparing::until_reachable(&ctx).await;
                    }
                    run_daily(&ctx, &post, scheduled_ms).await;
                }
                woke.mark_unchanged();
            }
            _ = stop.changed() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.changed() => return,
        }
    }
}

/// The daily job; it counts as run only once its digest is handed over.
async fn run_daily(ctx: &Arc<Context>, post: &Post, scheduled_ms: i64) {
    tracing::info!("daily job begins");
    // Not when it ends: by then the next day's may be due, which is its own.
    let began_ms = ctx.server_now_ms();
    let done = async {
        let settled = std::future::ready(());
        let (_, delivery) = daily(ctx, post, scheduled_ms, settled).await?;
        set_state(ctx, LAST_RUN, began_ms).await?;
        Ok::<_, Fault>(delivery)
    };
    match done.await {
        Ok(delivery) => tracing::info!(?delivery, "daily job done"),
        Err(fault) => {
            tracing::error!("the daily job failed and is tried again: {fault}");
            tokio::time::sleep(AFTER_FAILURE).await;
        }
    }
}

/// When the job that is due now was scheduled; `None` when none is.
async fn due(ctx: &Arc<Context>) -> Option<i64> {
    match due_or_fault(ctx).await {
        Ok(due) => due,
        Err(fault) => {
            tracing::error!("{fault}");
            None
        }
    }
}

async fn due_or_fault(ctx: &Arc<Context>) -> Result<Option<i64>, Fault> {
    let Ok(now) = Timestamp::from_millisecond(ctx.server_now_ms()) else {
        return Ok(None);
    };
    let last = state(ctx, LAST_RUN)
        .await?
        .and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let known = remember(last, now);
    if Some(known) != last {
        set_state(ctx, LAST_RUN, known.as_millisecond()).await?;
    }
    let schedule = &ctx.config.schedule;
    match next_run(schedule.digest_at, &schedule.time_zone, now, Some(known)) {
        Due::Now { scheduled } => Ok(Some(scheduled.as_millisecond())),
        Due::At(_) => Ok(None),
    }
}

/// The daily job, now: full comparison of every source, then (after `settled`)
/// the restore drill, then the digest.
///
/// # Errors
/// The index cannot be read, or the digest can neither be sent nor kept.
pub async fn daily(
    ctx: &Arc<Context>,
    post: &Post,
    scheduled_ms: i64,
    settled: impl Future<Output = ()>,
) -> Result<(Message, Delivery), Fault> {
    let scans = compare_in_full(ctx, false, settled).await;
    drill::run(ctx, post).await;
    let (report, told) = compose(ctx, scheduled_ms, Some(scans)).await?;
    let message = report.message();
    let delivery = post.send(ctx, message.clone()).await?;
    close_period(ctx, told, report.to_ms).await?;
    bandwidth::told(ctx, report.traffic).await?;
    Ok((message, delivery))
}

async fn state(ctx: &Arc<Context>, key: &'static str) -> Result<Option<i64>, Fault> {
    let ctx = Arc::clone(ctx);
    blocking(move || Ok(ctx.index.state_get(key)?.and_then(|v| v.as_i64()))).await
}

async fn set_state(ctx: &Arc<Context>, key: &'static str, ms: i64) -> Result<(), Fault> {
    let ctx = Arc::clone(ctx);
    blocking(move || ctx.index.state_set(key, &serde_json::Value::from(ms))).await
}

/// The digest as things stand now; changes nothing.
///
/// # Errors
/// The index cannot be read.
pub async fn report(ctx: &Arc<Context>, scheduled_ms: i64) -> Result<Report, Fault> {
    Ok(compose(ctx, scheduled_ms, None).await?.0)
}

/// The figures a digest was made from, per source.
type Told = Vec<(Activity, Failures)>;

/// `scans` are the comparisons that were made for this digest; without them the
/// newest scans stand for them.
async fn compose(
    ctx: &Arc<Context>,
    scheduled_ms: i64,
    scans: Option<Vec<Option<ScanDone>>>,
) -> Result<(Report, Told), Fault> {
    clock::look(ctx);
    let now_ms = ctx.server_now_ms();
    let from_ms = state(ctx, PERIOD_START).await?;
    let both = {
        let ctx = Arc::clone(ctx);
        blocking(move || {
            (0..ctx.sources.len())
                .map(|source| match &scans {
                    Some(scans) => source_report(&ctx, source, scans[source].clone()),
                    None => {
                        let newest = ctx.board.source(source).and_then(|b| b.last_scan);
                        source_report(&ctx, source, newest)
                    }
                })
                .collect::<Result<Vec<_>, _>>()
        })
        .await?
    };
    let (sources, told) = both.into_iter().unzip();
    let traffic = bandwidth::traffic(ctx).await?;
    let drill = {
        let ctx = Arc::clone(ctx);
        blocking(move || Ok(drill::last(&ctx).ok().flatten())).await?
    };
    let report = Report {
        traffic,
        drill: drill.filter(|_| ctx.config.drill.enabled),
        program: commands::program(ctx),
        is_billed: matches!(ctx.config.store, StoreConfig::S3(_)),
        computer: crate::os::computer_name(),
        scheduled_ms,
        from_ms: from_ms.unwrap_or(now_ms - 24 * 3600 * 1000),
        to_ms: now_ms,
        time_zone: ctx.config.schedule.time_zone.clone(),
        sources,
    };
    Ok((report, told))
}

fn source_report(
    ctx: &Context,
    number: usize,
    scan: Option<ScanDone>,
) -> Result<(SourceReport, (Activity, Failures)), Fault> {
    let source = &ctx.sources[number];
    let counts = ctx.index.counts(source.id);
    let activity = ctx.index.activity(source.id);
    let failures = ctx.index.failures(source.id)?;
    let failures_total = failures.list.len() as u64 + failures.overflow;
    let (unprotected, unprotected_total) = ctx.index.unprotected(source.id, LINES_MAX)?;
    let board = ctx.board.source(number);
    // Found by the scan and not in the bucket yet; fresh edits are always some.
    let waiting = ctx.queue.depth(number).backlog as u64;
    let mut warnings: Vec<String> = board
        .iter()
        .flat_map(|b| &b.warnings)
        // These stand among the troubles.
        .filter(|(topic, _)| !Kind::TOPICS.contains(&topic.as_str()))
        .map(|(_, warning)| warning.clone())
        .collect();
    if waiting > 0 {
        warnings.push(format!(
            "still on their way to the bucket: {}",
            amount(waiting, "file")
        ));
    }
    for reason in scan.iter().flat_map(|scan| &scan.incomplete) {
        if !warnings.contains(reason) {
            warnings.push(reason.clone());
        }
    }
    let report = SourceReport {
        name: source.config.name.clone(),
        path: source.config.path.display().to_string(),
        destination: destination::place_name(ctx, number),
        files_protected: counts.protected(),
        bytes_protected: counts.protected_bytes(),
        versions: activity.versions,
        raw_bytes: activity.raw_bytes,
        stored_bytes: activity.stored_bytes,
        saved_bytes: activity.saved_bytes,
        costly: costs::lines(ctx, number),
        deletions: activity.deletions,
        failures: failures
            .list
            .iter()
            .map(|(key, failure)| FailureLine {
                path: key.path().to_string(),
                reason: failure.fault.reason(),
                remedy: failure.fault.hint.clone(),
                count: u64::from(failure.count),
            })
            .collect(),
        failures_total,
        unprotected: unprotected
            .into_iter()
            .map(|(key, u)| {
                let folder = RelKey::of_folder(&key.path());
                Ok(UnprotectedLine {
                    path: key.path().to_string(),
                    reason: u.fault.reason(),
                    remedy: u.fault.hint,
                    since_ms: u.since_ms,
                    files_below: guard::known_below(&ctx.index, source.id, &folder)?,
                })
            })
            .collect::<Result<_, Fault>>()?,
        unprotected_total,
        warnings,
        notes: board
            .iter()
            .flat_map(|b| b.notes.values().cloned())
            .collect(),
        watch: board
            .as_ref()
            .map(|b| WatchLine {
                proven_ms: b.proof.proven_ms,
                rebuilt: b.proof.rebuilt,
            })
            .filter(|line| *line != WatchLine::default()),
        scan: scan.as_ref().map(|s| ScanLine {
            started_ms: s.started_ms,
            took_ms: u64::try_from(s.took_ms).unwrap_or(0),
            files: s.files,
            complete: s.complete() && waiting == 0,
        }),
        outage: ctx
            .gates
            .outage(number)
            .map(|(since_ms, fault)| OutageLine {
                since_ms,
                reason: fault.reason(),
                remedy: fault.hint,
            }),
        troubles: destination::troubles(ctx, number),
    };
    Ok((report, (activity, failures)))
}

/// What was told is not told again; what came meanwhile stays for the next one.
async fn close_period(ctx: &Arc<Context>, told: Told, to_ms: i64) -> Result<(), Fault> {
    {
        let ctx = Arc::clone(ctx);
        blocking(move || {
            for (source, (activity, failures)) in ctx.sources.iter().zip(&told) {
                ctx.index.close_period(source.id, activity, failures)?;
            }
            for number in 0..ctx.sources.len() {
                ctx.pacing.with_tally(number, Tally::clear);
            }
            costs::keep(&ctx)?;
            Ok(())
        })
        .await?;
    }
    set_state(ctx, PERIOD_START, to_ms).await
}
