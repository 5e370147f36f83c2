//! The daily restore drill: a few files are really restored, from random moments
//! of their past, and compared with what was recorded when they were stored.
//!
//! Called by the daily job. Invariants: it writes into its scratch folder alone,
//! which is gone afterwards; it keeps to its budget of files, bytes and cost; a
//! drill that could not run is never told as one that went well; a finding is
//! told once, and its end to those who heard of it.

mod book;
mod budget;
mod candidate;
mod outcome;
mod pick;
mod rehearse;
pub(crate) mod report;
mod scratch;
mod tell;
mod try_one;
mod why;

pub use book::last;
pub use outcome::Drill;

use why::Why;

use crate::config::StoreConfig;
use crate::mail::Post;
use crate::os::blocking::blocking;
use crate::retry::Stop;
use crate::source::Context;
use crate::types::Fault;
use budget::Budget;
use candidate::Candidate;
use pick::Picks;
use scratch::Scratch;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use try_one::{Ended, Trial};

/// Draws per file of the budget: some fall on what is cold, too large or moving.
const DRAWS_PER_FILE: usize = 4;

/// How often it is seen whether the program stops.
const LOOK: Duration = Duration::from_millis(100);

/// Do the drill and tell what it finds; `None` when it is switched off.
///
/// Whatever fails or hangs, the digest that comes after it is due, by
/// `drill.time_max` at the latest: it says so.
pub async fn run(ctx: &Arc<Context>, post: &Post) -> Option<Drill> {
    if !ctx.config.drill.enabled {
        return None;
    }
    // Whatever ends this, what still runs on other threads ends as well.
    let end = EndOnDrop(watch::channel(false).0);
    let stop = Stop::new(end.0.subscribe());
    let began = Instant::now();
    let mut drill = Drill {
        at_ms: ctx.now_ms(),
        ..Drill::default()
    };
    let mut budget = Budget::new(
        &ctx.config.drill,
        matches!(ctx.config.store, StoreConfig::S3(_)),
    );
    let time_max = Duration::from_millis(ctx.config.drill.time_max_ms);
    let done = tokio::select! {
        done = all(ctx, post, &mut drill, &mut budget, &stop) => done,
        () = until_closed(ctx) => Err(Why::NotRun("Keepwatch was stopped".to_owned())),
        () = tokio::time::sleep(time_max) => Err(Why::NotRun(format!(
            "it was not done within the {} minutes that it may take (`time_max` in [drill])",
            time_max.as_secs() / 60
        ))),
    };
    drill.took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    drill.traffic = budget.traffic();
    drill.micro_usd = budget.micro_usd();
    match done {
        Ok(()) => {}
        Err(Why::NotRun(why)) => drill.not_run = Some(why),
        Err(Why::Index(fault)) => drill.not_run = Some(fault.to_string()),
    }
    match drill.is_well() {
        true => tracing::info!("restore drill: {}", drill.line()),
        false => tracing::warn!("restore drill: {}", drill.line()),
    }
    if let Err(fault) = book::keep(ctx, &drill).await {
        tracing::warn!("what the restore drill found is not kept: {fault}");
    }
    Some(drill)
}

struct EndOnDrop(watch::Sender<bool>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

async fn until_closed(ctx: &Context) {
    while !ctx.queue.is_closed() {
        tokio::time::sleep(LOOK).await;
    }
}

async fn all(
    ctx: &Arc<Context>,
    post: &Post,
    drill: &mut Drill,
    budget: &mut Budget,
    stop: &Stop,
) -> Result<(), Why> {
    let scratch = {
        let state_dir = ctx.config.state_dir.clone();
        blocking(move || Scratch::new(&state_dir)).await
    };
    let scratch = scratch.map_err(|fault| Why::NotRun(fault.to_string()))?;
    let mut trial = Trial {
        ctx,
        budget,
        scratch,
        stop: stop.clone(),
    };
    // What was found before is looked at first: it may be over.
    let again = tell::look_again(&mut trial, post, drill).await?;
    trial.budget.begin_sample();
    let result = restore_some(&mut trial, drill, again).await;
    tell::new_ones(ctx, post, &mut drill.failures).await?;
    tell::lasting(ctx, drill).await?;
    result
}

/// Restore files until the budget is used or chance gives no more. `again` counts
/// among them already.
async fn restore_some(
    trial: &mut Trial<'_>,
    drill: &mut Drill,
    again: Option<Candidate>,
) -> Result<(), Why> {
    let files_max = trial.ctx.config.drill.files;
    let draws_max = files_max.saturating_mul(DRAWS_PER_FILE);
    // A file for each draw: a few that are too large must not be all there is.
    let mut picks = Picks::draw(trial.ctx, draws_max, &trial.stop).await?;
    let mut dates = BTreeSet::new();
    let mut seen = BTreeSet::new();
    // Each has been told, and nobody can mend it: something else is tried.
    let known = book::findings(trial.ctx).await?;
    let lasting = known.into_iter().filter(|finding| finding.is_older);
    seen.extend(lasting.map(|finding| (finding.source, finding.key, finding.version_id)));
    let (mut known_drawn, mut denied) = (false, Vec::new());
    if let Some(again) = again {
        dates.extend(date_of(trial.ctx, again.version.modified_ms));
        drill.dates = dates.len() as u64;
        seen.insert(trial.name(&again));
    }
    for _ in 0..draws_max {
        if drill.files >= files_max as u64 || trial.budget.is_used_up() {
            break;
        }
        let Some(candidate) = pick::next(trial, &mut picks).await? else {
            continue;
        };
        let name = trial.name(&candidate);
        if !seen.insert(name) {
            known_drawn = true;
            continue;
        }
        match trial.restore(&candidate).await? {
            Ended::Identical(restored) => {
                drill.files += 1;
                drill.bytes += restored.bytes;
            }
            Ended::Wrong(failure) => {
                drill.files += 1;
                drill.failures.push(failure);
            }
            Ended::Cold => {
                drill.cold += 1;
                continue;
            }
            Ended::Denied(failure) => {
                denied.push(failure);
                continue;
            }
            Ended::TooLarge => {
                drill.too_large += 1;
                continue;
            }
            Ended::Passed => continue,
        }
        drill.deleted_now += u64::from(candidate.is_deleted_now);
        dates.extend(date_of(trial.ctx, candidate.version.modified_ms));
        drill.dates = dates.len() as u64;
    }
    // Where others come back it is the one version's: its key is lost, or a rule
    // of the bucket denies it. Where none does it says nothing of any file.
    match denied.first() {
        Some(first) if drill.files == 0 => return Err(Why::NotRun(first.why.clone())),
        _ => {
            drill.files += denied.len() as u64;
            drill.failures.append(&mut denied);
        }
    }
    drill.conclude(
        picks.has_files() || !seen.is_empty(),
        trial.budget.is_used_up(),
        known_drawn,
    );
    Ok(())
}

fn date_of(ctx: &Context, at_ms: i64) -> Option<jiff::civil::Date> {
    let at = jiff::Timestamp::from_millisecond(at_ms).ok()?;
    Some(ctx.config.schedule.time_zone.to_datetime(at).date())
}

/// Take away what a killed drill left in the state folder. Blocks.
///
/// # Errors
/// It cannot be removed.
pub fn clear_leftovers(state_dir: &std::path::Path) -> Result<(), Fault> {
    scratch::clear(state_dir)
}
