//! One drill from its beginning to its end.

use super::budget::Budget;
use super::candidate::Candidate;
use super::outcome::Drill;
use super::pick::Picks;
use super::scratch::Scratch;
use super::tell::Told;
use super::try_one::{Ended, Trial};
use super::why::Why;
use super::{book, pick, tell};
use crate::clock::Clock;
use crate::config::{Config, StoreConfig};
use crate::index::Index;
use crate::mail::OutboxSender;
use crate::os::blocking::blocking;
use crate::retry::Stop;
use crate::s3::Store;
use crate::source::Sources;
use crate::types::WallMs;
use crate::work::Queue;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Draws per file of the budget: some fall on what is cold, too large or moving.
const DRAWS_PER_FILE: usize = 4;

/// How often it is seen whether the program stops.
const LOOK: Duration = Duration::from_millis(100);

/// Does the drill.
#[derive(Clone)]
pub struct DrillRunner {
    /// The configuration: what a drill may take, and where its scratch folder is.
    pub config: Arc<Config>,
    /// The sources that it draws from.
    pub sources: Sources,
    /// The server.
    pub store: Store,
    /// The index.
    pub index: Index,
    /// The clocks.
    pub clock: Clock,
    /// Closed when the program stops.
    pub queue: Queue,
    /// Where findings are told.
    pub outbox: Arc<OutboxSender>,
}

impl DrillRunner {
    /// Do the drill and tell what it finds; `None` when it is switched off.
    ///
    /// Whatever fails or hangs, the digest that comes after it is due, by
    /// `drill.time_max` at the latest: it says so.
    pub async fn run(&self) -> Option<Drill> {
        let config = &self.config;
        if !config.drill.enabled {
            return None;
        }
        // Whatever ends this, what still runs on other threads ends as well.
        let end = EndOnDrop(watch::channel(false).0);
        let stop = Stop::new(end.0.subscribe());
        let began = Instant::now();
        let mut drill = Drill {
            at_ms: self.clock.now_ms(),
            ..Drill::default()
        };
        let mut budget = Budget::new(&config.drill, matches!(config.store, StoreConfig::S3(_)));
        let time_max = Duration::from_millis(config.drill.time_max_ms);
        let done = tokio::select! {
            done = self.all(&mut drill, &mut budget, &stop) => done,
            () = self.until_closed() => Err(Why::NotRun("Keepwatch was stopped".to_owned())),
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
        if let Err(fault) = book::keep(&self.index, &drill).await {
            tracing::warn!("what the restore drill found is not kept: {fault}");
        }
        Some(drill)
    }

    async fn until_closed(&self) {
        while !self.queue.is_closed() {
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn all(&self, drill: &mut Drill, budget: &mut Budget, stop: &Stop) -> Result<(), Why> {
        let scratch = {
            let state_dir = self.config.state_dir.clone();
            blocking(move || Scratch::new(&state_dir)).await
        };
        let scratch = scratch.map_err(|fault| Why::NotRun(fault.to_string()))?;
        let mut trial = Trial {
            sources: &self.sources,
            store: &self.store,
            index: &self.index,
            clock: &self.clock,
            budget,
            scratch,
            stop: stop.clone(),
        };
        let owner = Told {
            config: &self.config,
            outbox: &self.outbox,
        };
        // What was found before is looked at first: it may be over.
        let again = tell::look_again(&mut trial, &owner, drill).await?;
        trial.budget.begin_sample();
        let result = restore_some(&self.config, &mut trial, drill, again).await;
        tell::new_ones(&self.index, &owner, &mut drill.failures).await?;
        tell::lasting(&self.index, drill).await?;
        result
    }
}

struct EndOnDrop(watch::Sender<bool>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

/// Restore files until the budget is used or chance gives no more. `again` counts
/// among them already.
async fn restore_some(
    config: &Config,
    trial: &mut Trial<'_>,
    drill: &mut Drill,
    again: Option<Candidate>,
) -> Result<(), Why> {
    let files_max = config.drill.files;
    let draws_max = files_max.saturating_mul(DRAWS_PER_FILE);
    // A file for each draw: a few that are too large must not be all there is.
    let mut picks = Picks::draw(trial.sources, trial.index, draws_max, &trial.stop).await?;
    let mut dates = BTreeSet::new();
    let mut seen = BTreeSet::new();
    // Each has been told, and nobody can mend it: something else is tried.
    let known = book::findings(trial.index).await?;
    let lasting = known.into_iter().filter(|finding| finding.is_older);
    seen.extend(lasting.map(|finding| (finding.source, finding.key, finding.version_id)));
    let (mut known_drawn, mut denied) = (false, Vec::new());
    if let Some(again) = again {
        dates.extend(date_of(config, again.version.modified_ms));
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
        dates.extend(date_of(config, candidate.version.modified_ms));
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

fn date_of(config: &Config, at_ms: WallMs) -> Option<jiff::civil::Date> {
    let at = at_ms.timestamp().ok()?;
    Some(config.schedule.time_zone.to_datetime(at).date())
}
