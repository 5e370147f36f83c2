//! The sample of a drill: versions that chance draws, restored one by one.

use super::candidate::Candidate;
use super::outcome::{Drill, Failure};
use super::pick::Picks;
use super::try_one::{Ended, Trial};
use super::why::Why;
use super::{book, pick};
use crate::config::Config;
use crate::types::VersionId;
use std::collections::BTreeSet;

/// Draws per file of the budget: some fall on what is cold, too large or moving.
const DRAWS_PER_FILE: usize = 4;

/// Restore files until the budget is used or chance gives no more. `again` counts among
/// them already.
pub(crate) async fn restore_some(
    config: &Config,
    trial: &mut Trial<'_>,
    drill: &mut Drill,
    again: Option<Candidate>,
) -> Result<(), Why> {
    let files_max = config.drill.files;
    let draws_max = files_max.saturating_mul(DRAWS_PER_FILE);
    // A file for each draw: a few that are too large must not be all there is.
    let mut picks = Picks::draw(trial.sources, trial.index, draws_max, &trial.stop).await?;
    let mut sample = Sample::begin(config, trial, drill, again).await?;
    for _ in 0..draws_max {
        if sample.drill.files >= files_max as u64 || trial.budget.is_used_up() {
            break;
        }
        let Some(candidate) = pick::next(trial, &mut picks).await? else {
            continue;
        };
        if sample.is_new(trial.name(&candidate)) {
            let ended = trial.restore(&candidate).await?;
            sample.note(&candidate, ended);
        }
    }
    sample.end(picks.has_files(), trial.budget.is_used_up())
}

struct Sample<'a> {
    config: &'a Config,
    drill: &'a mut Drill,
    /// Days on which the restored versions were stored.
    dates: BTreeSet<jiff::civil::Date>,
    /// Versions that are not tried: drawn before, or known to be damaged.
    seen: BTreeSet<(String, String, Option<VersionId>)>,
    /// Chance has drawn one of them.
    is_known_drawn: bool,
    denied: Vec<Failure>,
}

impl<'a> Sample<'a> {
    async fn begin(
        config: &'a Config,
        trial: &Trial<'_>,
        drill: &'a mut Drill,
        again: Option<Candidate>,
    ) -> Result<Self, Why> {
        // Each has been told, and nobody can mend it: something else is tried.
        let known = book::findings(trial.index).await?;
        let lasting = known.into_iter().filter(|finding| finding.is_older);
        let seen = lasting.map(|finding| (finding.source, finding.key, finding.version_id));
        let mut sample = Self {
            config,
            drill,
            dates: BTreeSet::new(),
            seen: seen.collect(),
            is_known_drawn: false,
            denied: Vec::new(),
        };
        if let Some(again) = again {
            sample.note_date(&again);
            sample.seen.insert(trial.name(&again));
        }
        Ok(sample)
    }

    fn is_new(&mut self, name: (String, String, Option<VersionId>)) -> bool {
        let is_new = self.seen.insert(name);
        self.is_known_drawn |= !is_new;
        is_new
    }

    fn note(&mut self, candidate: &Candidate, ended: Ended) {
        match ended {
            Ended::Identical(restored) => {
                self.drill.files += 1;
                self.drill.bytes += restored.bytes;
            }
            Ended::Wrong(failure) => {
                self.drill.files += 1;
                self.drill.failures.push(failure);
            }
            Ended::Cold => {
                self.drill.cold += 1;
                return;
            }
            Ended::Denied(failure) => {
                self.denied.push(failure);
                return;
            }
            Ended::TooLarge => {
                self.drill.too_large += 1;
                return;
            }
            Ended::Passed => return,
        }
        self.drill.deleted_now += u64::from(candidate.is_deleted_now);
        self.note_date(candidate);
    }

    fn note_date(&mut self, candidate: &Candidate) {
        let at = jiff::Timestamp::from_millisecond(candidate.version.modified_ms).ok();
        let zone = &self.config.schedule.time_zone;
        self.dates.extend(at.map(|at| zone.to_datetime(at).date()));
        self.drill.dates = self.dates.len() as u64;
    }

    fn end(mut self, has_files: bool, is_used_up: bool) -> Result<(), Why> {
        // Where other versions come back, a denied one is damage of its own: its key is
        // lost, or a rule of the bucket denies it. Where none does, it says nothing of any
        // file.
        match self.denied.first() {
            Some(first) if self.drill.files == 0 => return Err(Why::NotRun(first.why.clone())),
            _ => {
                self.drill.files += self.denied.len() as u64;
                self.drill.failures.append(&mut self.denied);
            }
        }
        let has_files = has_files || !self.seen.is_empty();
        self.drill
            .conclude(has_files, is_used_up, self.is_known_drawn);
        Ok(())
    }
}
