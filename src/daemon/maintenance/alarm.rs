//! What lasts too long is told: a bucket that takes nothing, an index that
//! cannot be used, a folder that does not answer, files that fail for long.
//!
//! Invariant: an alert is put into the outbox here and sent elsewhere, so that
//! an SNS that hangs holds up no other alert and no retry.

use super::Broken;
use crate::digest::{
    Outage, Recovery, Stuck, outage_alert, recovery, state_lost, stuck_alert, stuck_over,
};
use crate::index::Oldest;
use crate::mail::{Message, Post};
use crate::os::blocking::blocking;
use crate::retry::{AlertPolicy, AlertStep, Due, OutageAlert, Part, SharedAlerts, Standing};
use crate::source::{Context, no_answer};
use crate::types::{Class, Fault};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Beats between looks for files that fail for long: they are read one by one.
const STUCK_BEATS: u64 = 10;

/// A bucket that is asked whether it has the trouble of others has so long to answer:
/// the message waits for it.
const ASK_PATIENCE: Duration = Duration::from_secs(10);

/// Look, beat by beat; never ends.
pub(crate) async fn run(ctx: &Arc<Context>, post: &Post, broken: &Broken) {
    let policy = AlertPolicy::after(ctx.config.notify.alert_after_ms);
    let new = || OutageAlert::new(policy);
    let mut shared = SharedAlerts::new(policy);
    let mut silent: Vec<OutageAlert> = ctx.sources.iter().map(|_| new()).collect();
    let mut stuck: Vec<Option<Oldest>> = vec![None; ctx.sources.len()];
    let mut index = new();
    let mut beats: u64 = 0;
    loop {
        tokio::time::sleep(super::BEAT).await;
        beats += 1;
        let trouble = broken.get();
        of_index(ctx, post, trouble, &mut index).await;
        let is_look = beats.is_multiple_of(STUCK_BEATS);
        if is_look {
            for (source, oldest) in stuck.iter_mut().enumerate() {
                look_for_stuck(ctx, source, oldest).await;
            }
        }
        let now = standing(ctx, &stuck, is_look);
        for due in shared.due(&now, ctx.now_ms()) {
            of_parts(
                ctx,
                post,
                &mut shared,
                &Looked {
                    now: &now,
                    stuck: &stuck,
                },
                due,
            )
            .await;
        }
        for (source, alert) in silent.iter_mut().enumerate() {
            of_silence(ctx, post, source, alert).await;
        }
    }
}

/// What was found at this beat.
struct Looked<'a> {
    now: &'a [Standing],
    /// Files that fail for long, by source.
    stuck: &'a [Option<Oldest>],
}

/// How every bucket stands, and the files of every source.
fn standing(ctx: &Context, stuck: &[Option<Oldest>], is_look: bool) -> Vec<Standing> {
    let buckets = buckets(ctx).map(|source| Standing {
        part: Part::Bucket(source),
        failing: ctx.gates.outage(source),
        is_fresh: true,
    });
    let files = stuck
        .iter()
        .enumerate()
        // Where the whole bucket fails that is told, and what became of files shows later.
        .filter(|(source, _)| ctx.gates.outage(*source).is_none())
        .map(|(source, oldest)| Standing {
            part: Part::Files(source),
            failing: oldest.as_ref().map(|of| (of.since_ms, of.fault.clone())),
            is_fresh: is_look,
        });
    buckets.chain(files).collect()
}

/// Each bucket by the first source that goes to it.
fn buckets(ctx: &Context) -> impl Iterator<Item = usize> {
    let is_first = |source: &usize| ctx.gates.neighbours(*source).first() == Some(source);
    (0..ctx.sources.len()).filter(is_first)
}

/// What one cause stops, or stops no more.
async fn of_parts(
    ctx: &Arc<Context>,
    post: &Post,
    shared: &mut SharedAlerts,
    looked: &Looked<'_>,
    due: Due,
) {
    let is_alert = matches!(due.step, AlertStep::Alert { .. });
    let answers = match due.may_stop_others() {
        true => ask_others(ctx, looked, &due).await,
        false => Vec::new(),
    };
    let (mut named, mut foreseen) = (due.parts.clone(), Vec::new());
    for (part, answer) in answers {
        let has_it = answer.is_some_and(|fault| due.is_for(&fault));
        match is_alert {
            true if has_it => foreseen.push(part),
            false if !has_it && due.foreseen.contains(&part) => named.push(part),
            _ => {}
        }
    }
    named.extend(&foreseen);
    let message = message(ctx, looked, &due, &named);
    let now_ms = ctx.now_ms();
    match post.keep(ctx, message).await {
        Ok(_) => shared.sent(&due, foreseen, now_ms),
        Err(fault) => {
            tracing::error!("{fault}");
            shared.not_sent(&due, now_ms, fastrand::u64(..));
        }
    }
}

/// Ask the buckets that nothing was sent to since, all at once: what they answer, as a
/// fault; `None` when they are well, or do not answer in time.
async fn ask_others(
    ctx: &Arc<Context>,
    looked: &Looked<'_>,
    due: &Due,
) -> Vec<(Part, Option<Fault>)> {
    let is_failing = |part: Part| {
        let of = looked.now.iter().find(|standing| standing.part == part);
        of.is_some_and(|standing| standing.failing.is_some())
    };
    let others = buckets(ctx)
        .filter(|source| !due.parts.contains(&Part::Bucket(*source)))
        .filter(|source| !is_failing(Part::Bucket(*source)));
    let asked = others.map(|source| async move {
        let reach = ctx.store.reach(&ctx.sources[source].config.bucket);
        let answer = tokio::time::timeout(ASK_PATIENCE, reach).await;
        (Part::Bucket(source), answer.ok().and_then(Result::err))
    });
    futures::future::join_all(asked).await
}

/// The message about these parts.
fn message(ctx: &Context, looked: &Looked<'_>, due: &Due, parts: &[Part]) -> Message {
    let buckets = names_of_buckets(ctx, parts);
    let files = files_in_words(ctx, looked, parts);
    let faults = faults(looked, &due.parts);
    if buckets.is_empty() {
        let sources = sources_of(ctx, parts);
        let verb = match due.step {
            AlertStep::Recovered { .. } => "could not",
            _ => "cannot",
        };
        let what = format!("{files} {verb} be backed up");
        return of_files(ctx, &sources, &what, &faults, &due.step);
    }
    let (since_ms, end_ms, reminder) = span(ctx, &due.step);
    let computer = crate::os::computer_name();
    let numbers = sources_of(ctx, parts);
    let sources = names_of_sources(ctx, &numbers);
    let destination = format!("{} on {}", buckets.join(", "), ctx.store.place());
    let waiting = waiting(ctx, &numbers);
    let time_zone = &ctx.config.schedule.time_zone;
    match due.step {
        AlertStep::Recovered { .. } => recovery(&Recovery {
            computer: &computer,
            sources: &sources,
            destination: &destination,
            since_ms,
            until_ms: end_ms,
            still: &still_in_words(ctx, looked, &due.still),
            waiting,
            time_zone,
        }),
        _ => outage_alert(&Outage {
            computer: &computer,
            sources: &sources,
            destination: &destination,
            besides: &match files.is_empty() {
                true => files,
                false => format!("{files} cannot be backed up"),
            },
            since_ms,
            now_ms: end_ms,
            faults: &faults,
            waiting,
            reminder,
            time_zone,
        }),
    }
}

/// What they fail for, each wording once.
fn faults(looked: &Looked<'_>, parts: &[Part]) -> Vec<Fault> {
    let mut faults: Vec<Fault> = Vec::new();
    for part in parts {
        let standing = looked.now.iter().find(|standing| standing.part == *part);
        if let Some((_, fault)) = standing.and_then(|of| of.failing.as_ref())
            && !faults.iter().any(|other| other.cause == fault.cause)
        {
            faults.push(fault.clone());
        }
    }
    faults
}

fn names_of_buckets(ctx: &Context, parts: &[Part]) -> Vec<String> {
    let name = |part: &Part| match part {
        Part::Bucket(source) => Some(ctx.sources[*source].config.bucket.clone()),
        Part::Files(_) => None,
    };
    parts.iter().filter_map(name).collect()
}

/// All sources that they stop.
fn sources_of(ctx: &Context, parts: &[Part]) -> Vec<usize> {
    let of = |part: &Part| match part {
        Part::Bucket(source) => ctx.gates.neighbours(*source),
        Part::Files(source) => vec![*source],
    };
    let all: BTreeSet<usize> = parts.iter().flat_map(of).collect();
    all.into_iter().collect()
}

fn names_of_sources(ctx: &Context, sources: &[usize]) -> Vec<String> {
    let name = |source: &usize| ctx.sources[*source].config.name.clone();
    sources.iter().map(name).collect()
}

fn waiting(ctx: &Context, sources: &[usize]) -> u64 {
    let of = |source: &usize| ctx.queue.depth(*source).total();
    sources.iter().map(of).sum()
}

fn still_in_words(ctx: &Context, looked: &Looked<'_>, parts: &[Part]) -> String {
    let buckets = names_of_buckets(ctx, parts).join(", ");
    let files = files_in_words(ctx, looked, parts);
    let all = [buckets, files]
        .into_iter()
        .filter(|words| !words.is_empty());
    all.collect::<Vec<_>>().join(" and ")
}

/// `2 files of letters and a.txt in photos`; empty when no files are among them.
fn files_in_words(ctx: &Context, looked: &Looked<'_>, parts: &[Part]) -> String {
    let words = parts.iter().filter_map(|part| {
        let Part::Files(source) = part else {
            return None;
        };
        let name = &ctx.sources[*source].config.name;
        Some(match &looked.stuck[*source] {
            None => format!("some files of {name}"),
            Some(oldest) if oldest.count == 1 => format!("{} in {name}", oldest.fault.subject),
            Some(oldest) => format!("{} files of {name}", oldest.count),
        })
    });
    words.collect::<Vec<_>>().join(" and ")
}

/// Since when, until when, and whether it was told before.
fn span(ctx: &Context, step: &AlertStep) -> (i64, i64, bool) {
    match *step {
        AlertStep::Recovered { since_ms, until_ms } => (since_ms, until_ms, false),
        AlertStep::Alert { since_ms, reminder } => (since_ms, ctx.now_ms(), reminder),
        AlertStep::None => (ctx.now_ms(), ctx.now_ms(), false),
    }
}

/// A broken index stops the backup as surely as a bucket that is not there.
async fn of_index(
    ctx: &Arc<Context>,
    post: &Post,
    broken: Option<(i64, Fault)>,
    alert: &mut OutageAlert,
) {
    let step = alert.step(broken.as_ref().map(|(since, _)| *since), ctx.now_ms());
    let all: Vec<usize> = (0..ctx.sources.len()).collect();
    let fault = broken.as_ref().map(|(_, f)| f);
    let place = format!(
        "its bucket while the index of this computer, in {}, cannot be used,",
        ctx.config.state_dir.display()
    );
    let names = names_of_sources(ctx, &all);
    let computer = crate::os::computer_name();
    let (since_ms, end_ms, reminder) = span(ctx, &step);
    let waiting = waiting(ctx, &all);
    let time_zone = &ctx.config.schedule.time_zone;
    let message = match (step, fault) {
        (AlertStep::Alert { .. }, Some(fault)) => Some(outage_alert(&Outage {
            computer: &computer,
            sources: &names,
            destination: &place,
            besides: "",
            since_ms,
            now_ms: end_ms,
            faults: std::slice::from_ref(fault),
            waiting,
            reminder,
            time_zone,
        })),
        (AlertStep::Recovered { .. }, _) => Some(recovery(&Recovery {
            computer: &computer,
            sources: &names,
            destination: &place,
            since_ms,
            until_ms: end_ms,
            still: "",
            waiting,
            time_zone,
        })),
        _ => None,
    };
    send(ctx, post, alert, step, message).await;
}

/// The state folder was removed under the program, and is there again: nobody
/// can be told later, since what waits lies in it.
pub(crate) async fn of_lost_state(ctx: &Arc<Context>, post: &Post) {
    let now_ms = ctx.now_ms();
    let names = ctx.sources.iter().map(|source| source.config.name.clone());
    let stuck = Stuck {
        computer: &crate::os::computer_name(),
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
    let message = (step != AlertStep::None)
        .then(|| of_files(ctx, &[source], &what, &[no_answer(ctx, source)], &step));
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

/// A part of the backup does not go on, or does again.
fn of_files(
    ctx: &Context,
    sources: &[usize],
    what: &str,
    faults: &[Fault],
    step: &AlertStep,
) -> Message {
    let (since_ms, now_ms, reminder) = span(ctx, step);
    let reasons: Vec<String> = faults.iter().map(Fault::reason).collect();
    let stuck = Stuck {
        computer: &crate::os::computer_name(),
        sources: &names_of_sources(ctx, sources),
        what,
        since_ms,
        now_ms,
        reason: &reasons.join("; "),
        remedy: faults.first().map_or("", |fault| &fault.hint),
        reminder,
        time_zone: &ctx.config.schedule.time_zone,
    };
    match step {
        AlertStep::Recovered { .. } => stuck_over(&stuck),
        _ => stuck_alert(&stuck),
    }
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
