//! The heartbeat: what failed is tried again, what waits is asked again, what
//! lasts too long is told.

use super::brake;
use super::context::{Context, blocking};
use super::post::Post;
use super::versioning::check_versioning;
use crate::error::Fault;
use crate::index::Opened;
use crate::model::report::{Message, Outage, Recovery, outage_alert, recovery};
use crate::model::retry::{AlertPolicy, AlertStep, OutageAlert};
use crate::model::wake::{self, Clocks, Jump};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// The heartbeat's period. A retry is due to the second at best.
const BEAT: Duration = Duration::from_secs(1);

/// Paths put back into the queue per beat and source.
const RETRIES_PER_BEAT: usize = 256;

/// Beats between looks at what is slow: ripening scans, the outbox.
const SLOW_BEATS: u64 = 30;

/// Beats between looks whether disks have come or gone: a few `stat` calls.
const DISK_BEATS: u64 = 10;

/// Beat until told to stop.
pub async fn run(ctx: Arc<Context>, post: Arc<Post>, mut stop: watch::Receiver<bool>) {
    let policy = AlertPolicy::after(ctx.config.notify.alert_after_ms);
    let mut alerts: Vec<OutageAlert> = ctx
        .sources
        .iter()
        .map(|_| OutageAlert::new(policy))
        .collect();
    let mut last = clocks(&ctx);
    let mut mending = Mending::default();
    let mut index_alert = OutageAlert::new(policy);
    let mut beats: u64 = 0;
    loop {
        let work_ms = ctx.steady_ms() - last.steady_ms;
        tokio::select! {
            () = tokio::time::sleep(BEAT) => {}
            _ = stop.changed() => return,
        }
        beats += 1;
        let now = clocks(&ctx);
        let now_ms = now.wall_ms;
        // The beat's own work may take long and is no sleep.
        let expected_ms = work_ms + i64::try_from(BEAT.as_millis()).unwrap_or(0);
        if let Some(jump) = wake::jump(last, now, expected_ms) {
            after(&ctx, jump);
        }
        last = now;
        mending.mend_index(&ctx).await;
        retry(&ctx, now_ms).await;
        brake::tell(&ctx, &post).await;
        // A closed gate opens for a probe when its time has come.
        ctx.queue.wake();
        if beats.is_multiple_of(DISK_BEATS) {
            revisit(&ctx, beats / DISK_BEATS).await;
        }
        if beats.is_multiple_of(SLOW_BEATS) {
            slow(&ctx, &post).await;
        }
        let broken = mending.broken.clone();
        alarm_of_index(&ctx, &post, broken, &mut index_alert).await;
        for (source, alert) in alerts.iter_mut().enumerate() {
            // One alert per bucket, not one per source.
            if ctx.gates.neighbours(source).first() == Some(&source) {
                alarm(&ctx, &post, source, alert).await;
            }
        }
    }
}

fn clocks(ctx: &Context) -> Clocks {
    Clocks {
        wall_ms: ctx.now_ms(),
        steady_ms: ctx.steady_ms(),
    }
}

/// Whatever happened meanwhile, nobody may have heard of it: look at everything
/// and have the watches proved.
fn after(ctx: &Context, jump: Jump) {
    match jump {
        Jump::Asleep(ms) => tracing::info!(
            slept_s = ms / 1000,
            "the computer was asleep or its clock was set forward: scanning all folders"
        ),
        Jump::SetBack(ms) => tracing::info!(
            back_s = ms / 1000,
            "the clock was set back: scanning all folders"
        ),
    }
    for source in 0..ctx.sources.len() {
        ctx.scans.ask_whole(source, false);
    }
    ctx.woke.send_modify(|times| *times += 1);
}

/// Beats between two tries to open a broken index, at the most: reading all of
/// it on a disk that is still full helps nobody.
const MENDING_BEATS_MAX: u32 = 15;

/// Waiting times between tries to open a broken index again.
#[derive(Default)]
struct Mending {
    wait_beats: u32,
    left_beats: u32,
    /// Since when it is broken, milliseconds since 1970, and why.
    broken: Option<(i64, Fault)>,
}

impl Mending {
    /// An index that failed (a full disk, a damaged file) stays failed until it
    /// is opened again: try, for ever, less and less often.
    async fn mend_index(&mut self, ctx: &Arc<Context>) {
        let index = ctx.index.clone();
        let broken = blocking(move || Ok(index.broken())).await;
        let Ok(Some(fault)) = broken else {
            *self = Self::default();
            return;
        };
        // The first failure says why; later ones only that it is still so.
        let now_ms = ctx.now_ms();
        self.broken.get_or_insert_with(|| (now_ms, fault.clone()));
        if self.left_beats > 0 {
            self.left_beats -= 1;
            return;
        }
        self.wait_beats = (self.wait_beats * 2).clamp(1, MENDING_BEATS_MAX);
        self.left_beats = self.wait_beats;
        reopen(ctx, &fault).await;
    }
}

async fn reopen(ctx: &Arc<Context>, fault: &Fault) {
    let index = ctx.index.clone();
    let reopened = tokio::task::spawn_blocking(move || index.reopen()).await;
    match reopened {
        Ok(Ok(opened)) => {
            tracing::warn!("the index works again after: {fault}");
            let rebuilt = !matches!(opened, Opened::Existing);
            for (number, source) in ctx.sources.iter().enumerate() {
                if rebuilt {
                    source.compared.store(false, Ordering::Relaxed);
                }
                ctx.board.warn(number, "index", None);
                ctx.scans.ask_whole(number, rebuilt);
            }
        }
        Ok(Err(fatal)) => {
            for number in 0..ctx.sources.len() {
                if ctx.board.warn(number, "index", Some(fatal.one_line())) {
                    tracing::error!("{fatal}");
                }
            }
        }
        Err(error) => tracing::error!("{error}"),
    }
}

/// Put what is due for another try into the queue.
async fn retry(ctx: &Arc<Context>, now_ms: i64) {
    for source in 0..ctx.sources.len() {
        let due = {
            let ctx = Arc::clone(ctx);
            blocking(move || {
                ctx.index
                    .due(ctx.sources[source].id, now_ms, RETRIES_PER_BEAT)
            })
            .await
        };
        match due {
            Ok(due) => {
                for key in due {
                    // A full lane is no loss: it is still due at the next beat.
                    let _ = ctx.queue.push_retry(source, key.path(), ctx.steady_ms());
                }
            }
            Err(fault) => tracing::error!("{fault}"),
        }
    }
}

async fn slow(ctx: &Arc<Context>, post: &Post) {
    ctx.scans.ripen();
    for (number, source) in ctx.sources.iter().enumerate() {
        if !source.versioned.load(Ordering::Relaxed) && ctx.gates.outage(number).is_none() {
            check_versioning(ctx, number).await;
            if source.versioned.load(Ordering::Relaxed) {
                // What was deleted meanwhile can be marked now.
                ctx.scans.ask_whole(number, false);
            }
        }
    }
    if let Err(fault) = post.flush(ctx).await {
        tracing::debug!("the outbox waits: {fault}");
    }
}

/// A disk that comes or goes makes no event.
async fn revisit(ctx: &Arc<Context>, look: u64) {
    for source in 0..ctx.sources.len() {
        let ctx = Arc::clone(ctx);
        if let Err(fault) = blocking(move || brake::revisit(&ctx, source, look)).await {
            tracing::error!("{fault}");
        }
    }
}

async fn alarm(ctx: &Arc<Context>, post: &Post, source: usize, alert: &mut OutageAlert) {
    let now_ms = ctx.now_ms();
    let outage = ctx.gates.outage(source);
    let step = alert.step(outage.as_ref().map(|(since, _)| *since), now_ms);
    let neighbours = ctx.gates.neighbours(source);
    let destination = format!(
        "{} on {}",
        ctx.sources[source].config.bucket,
        ctx.store.place()
    );
    let fault = outage.as_ref().map(|(_, f)| f);
    let message = compose(ctx, &neighbours, &destination, &step, fault, now_ms);
    send(ctx, post, alert, step, message).await;
}

/// A broken index stops the backup as surely as a bucket that is not there.
async fn alarm_of_index(
    ctx: &Arc<Context>,
    post: &Post,
    broken: Option<(i64, Fault)>,
    alert: &mut OutageAlert,
) {
    let now_ms = ctx.now_ms();
    let step = alert.step(broken.as_ref().map(|(since, _)| *since), now_ms);
    let all: Vec<usize> = (0..ctx.sources.len()).collect();
    let fault = broken.as_ref().map(|(_, f)| f);
    let place = format!(
        "its bucket while the index of this computer, in {}, cannot be used,",
        ctx.config.state_dir.display()
    );
    let message = compose(ctx, &all, &place, &step, fault, now_ms);
    send(ctx, post, alert, step, message).await;
}

async fn send(
    ctx: &Arc<Context>,
    post: &Post,
    alert: &mut OutageAlert,
    step: AlertStep,
    message: Option<Message>,
) {
    let Some(message) = message else { return };
    let now_ms = ctx.now_ms();
    match post.send(ctx, message).await {
        Ok(_) => alert.sent(step, now_ms),
        Err(fault) => {
            tracing::error!("{fault}");
            alert.not_sent(now_ms, fastrand::u64(..));
        }
    }
}

fn compose(
    ctx: &Context,
    sources: &[usize],
    destination: &str,
    step: &AlertStep,
    fault: Option<&Fault>,
    now_ms: i64,
) -> Option<Message> {
    let computer = crate::platform::computer_name();
    let names: Vec<String> = sources
        .iter()
        .map(|s| ctx.sources[*s].config.name.clone())
        .collect();
    let waiting = sources
        .iter()
        .map(|s| {
            let depth = ctx.queue.depth(*s);
            depth.total()
        })
        .sum();
    let time_zone = &ctx.config.schedule.time_zone;
    match step {
        AlertStep::None => None,
        AlertStep::Alert { since_ms, reminder } => Some(outage_alert(&Outage {
            computer: &computer,
            sources: &names,
            destination,
            since_ms: *since_ms,
            now_ms,
            fault: fault?,
            waiting,
            reminder: *reminder,
            time_zone,
        })),
        AlertStep::Recovered { since_ms, until_ms } => Some(recovery(&Recovery {
            computer: &computer,
            sources: &names,
            destination,
            since_ms: *since_ms,
            until_ms: *until_ms,
            waiting,
            time_zone,
        })),
    }
}
