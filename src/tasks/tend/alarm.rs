//! What lasts too long is told: a bucket that takes nothing, an index that
//! cannot be used, a folder that does not answer, files that fail for long.
//!
//! Invariant: an alert is put into the outbox here and sent elsewhere, so that
//! an SNS that hangs holds up no other alert and no retry.

use super::Broken;
use crate::error::{Class, Fault};
use crate::index::Oldest;
use crate::model::report::{
    Message, Outage, Recovery, Stuck, outage_alert, recovery, state_lost, stuck_alert, stuck_over,
};
use crate::model::retry::{AlertPolicy, AlertStep, OutageAlert};
use crate::tasks::answering::no_answer;
use crate::tasks::context::{Context, blocking};
use crate::tasks::post::Post;
use std::sync::Arc;

/// Beats between looks for files that fail for long: they are read one by one.
const STUCK_BEATS: u64 = 10;

/// One source's own alerts.
struct OfSource {
    silent: OutageAlert,
    stuck: OutageAlert,
    /// What was found at the last look.
    oldest: Option<Oldest>,
}

/// Look, beat by beat; never ends.
pub(super) async fn run(ctx: &Arc<Context>, post: &Post, broken: &Broken) {
    let policy = AlertPolicy::after(ctx.config.notify.alert_after_ms);
    let new = || OutageAlert::new(policy);
    let mut buckets: Vec<OutageAlert> = ctx.sources.iter().map(|_| new()).collect();
    let mut sources: Vec<OfSource> = ctx
        .sources
        .iter()
        .map(|_| OfSource {
            silent: new(),
            stuck: new(),
            oldest: None,
        })
        .collect();
    let mut index = new();
    let mut beats: u64 = 0;
    loop {
        tokio::time::sleep(super::BEAT).await;
        beats += 1;
        let trouble = broken.get();
        of_index(ctx, post, trouble, &mut index).await;
        for (source, alert) in buckets.iter_mut().enumerate() {
            // One alert per bucket, not one per source.
            if ctx.gates.neighbours(source).first() == Some(&source) {
                of_bucket(ctx, post, source, alert).await;
            }
        }
        for (source, alerts) in sources.iter_mut().enumerate() {
            of_silence(ctx, post, source, &mut alerts.silent).await;
            if beats.is_multiple_of(STUCK_BEATS) {
                look_for_stuck(ctx, source, &mut alerts.oldest).await;
                of_stuck(ctx, post, source, alerts).await;
            }
        }
    }
}

async fn of_bucket(ctx: &Arc<Context>, post: &Post, source: usize, alert: &mut OutageAlert) {
    let now_ms = ctx.now_ms();
    let outage = ctx.gates.outage(source);
    if let Some((_, fault)) = &outage {
        alert.is_about(fault.class);
    }
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
async fn of_index(
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

/// The state folder was removed under the program, and is there again: nobody
/// can be told later, since what waits lies in it.
pub(super) async fn of_lost_state(ctx: &Arc<Context>, post: &Post) {
    let now_ms = ctx.now_ms();
    let names = ctx.sources.iter().map(|source| source.config.name.clone());
    let stuck = Stuck {
        computer: &crate::platform::computer_name(),
        sources: &names.collect::<Vec<_>>(),
        what: "",
        since_ms: now_ms,
        now_ms,
        reason: "",
        remedy: "",
        reminder: false,
        time_zone: &ctx.config.schedule.time_zone,
    };
    let folder = ctx.config.state_dir.display().to_string();
    for source in 0..ctx.sources.len() {
        let note = format!(
            "Keepwatch's own folder {folder} was removed while it was running, and was made again"
        );
        ctx.board.note(source, "state", Some(note));
    }
    if let Err(fault) = post.keep(ctx, state_lost(&stuck, &folder)).await {
        tracing::error!("{fault}");
    }
}

async fn of_silence(ctx: &Arc<Context>, post: &Post, source: usize, alert: &mut OutageAlert) {
    let step = alert.step(ctx.answering.silent_since(source), ctx.now_ms());
    let what = format!(
        "the folder {} does not answer and cannot be backed up",
        ctx.sources[source].config.path.display()
    );
    let message = stuck(ctx, source, &what, &no_answer(ctx, source), &step);
    send(ctx, post, alert, step, message).await;
}

/// Whether a failure is worth an alert when it lasts, though it is only one
/// file's. Files that somebody holds open are the digest's matter.
fn is_alarming(class: Class) -> bool {
    class.is_destination() || class == Class::Local
}

async fn look_for_stuck(ctx: &Arc<Context>, source: usize, found: &mut Option<Oldest>) {
    let oldest = {
        let ctx = Arc::clone(ctx);
        let id = ctx.sources[source].id;
        blocking(move || {
            ctx.index
                .oldest_unprotected(id, |entry| is_alarming(entry.fault.class))
        })
        .await
    };
    match oldest {
        Ok(oldest) => *found = oldest,
        // What was found stands; that the index fails is told by itself.
        Err(fault) => tracing::debug!("{fault}"),
    }
}

async fn of_stuck(ctx: &Arc<Context>, post: &Post, source: usize, alerts: &mut OfSource) {
    if ctx.gates.outage(source).is_some() {
        // The whole bucket fails, and that is told already.
        return;
    }
    let alert = &mut alerts.stuck;
    let (since_ms, count, fault) = match &alerts.oldest {
        Some(oldest) => (Some(oldest.since_ms), oldest.count, Some(&oldest.fault)),
        None => (None, 0, None),
    };
    if let Some(fault) = fault {
        alert.is_about(fault.class);
    }
    let step = alert.step(since_ms, ctx.now_ms());
    let name = &ctx.sources[source].config.name;
    let what = match (count, fault) {
        (0, _) => format!("some files of {name} could not be backed up"),
        (1, Some(fault)) => format!("{} in {name} cannot be backed up", fault.subject),
        _ => format!("{count} files of {name} cannot be backed up"),
    };
    let nothing = Fault::new(Class::Local, "", "", "");
    let message = stuck(ctx, source, &what, fault.unwrap_or(&nothing), &step);
    send(ctx, post, alert, step, message).await;
}

fn stuck(
    ctx: &Context,
    source: usize,
    what: &str,
    fault: &Fault,
    step: &AlertStep,
) -> Option<Message> {
    let (since_ms, now_ms, reminder) = match *step {
        AlertStep::None => return None,
        AlertStep::Alert { since_ms, reminder } => (since_ms, ctx.now_ms(), reminder),
        AlertStep::Recovered { since_ms, until_ms } => (since_ms, until_ms, false),
    };
    let stuck = Stuck {
        computer: &crate::platform::computer_name(),
        sources: &[ctx.sources[source].config.name.clone()],
        what,
        since_ms,
        now_ms,
        reason: &fault.reason(),
        remedy: &fault.hint,
        reminder,
        time_zone: &ctx.config.schedule.time_zone,
    };
    Some(match step {
        AlertStep::Recovered { .. } => stuck_over(&stuck),
        _ => stuck_alert(&stuck),
    })
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
    match post.keep(ctx, message).await {
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
