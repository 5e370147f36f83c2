//! Who is told of a finding, and when it is over.
//!
//! Invariant: a finding counts as told only once its message cannot be lost any
//! more; it is told once; its end is told to those who heard of it.

use super::book;
use super::budget::AGAIN_PART;
use super::candidate::Candidate;
use super::outcome::{Drill, Failure};
use super::rehearse::life_of;
use super::report::{Drilled, drill_alert, drill_over};
use super::try_one::{Ended, Trial, origin_of};
use super::why::Why;
use crate::config::Config;
use crate::index::Index;
use crate::mail::{OutboxSender, commands};
use crate::s3::ListedVersion;
use crate::types::Fault;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How the owner is told.
pub(crate) struct Told<'a> {
    pub(crate) config: &'a Config,
    pub(crate) outbox: &'a OutboxSender,
}

/// Old findings that are looked at again in one drill; the others have their
/// turn at the next.
const AGAIN_MAX: usize = 20;

/// See which of the findings before are over, and tell that. It keeps to its
/// part of the budget and to its time: the sample comes after it in any case.
///
/// In every other drill one that is larger than that part may take it all, or it
/// would never be over; that one counts among the drill's files, and is returned.
pub(crate) async fn look_again(
    trial: &mut Trial<'_>,
    owner: &Told<'_>,
    drill: &mut Drill,
) -> Result<Option<Candidate>, Why> {
    let mut open = book::findings(trial.index).await?;
    if open.is_empty() {
        return Ok(None);
    }
    // What can be mended first.
    open.sort_by_key(|finding| finding.is_older);
    let mut large = Large::begin(trial.index).await?;
    // What hangs must not cost the sample its time either.
    let time_max_ms = owner.config.drill.time_max_ms / AGAIN_PART;
    let deadline = Instant::now() + Duration::from_millis(time_max_ms);
    let (mut looked_at, mut waiting) = (Vec::new(), Vec::new());
    let (mut over, mut mended) = (Vec::new(), Vec::new());
    let mut first = None;
    for (number, finding) in open.into_iter().enumerate() {
        if number >= AGAIN_MAX || trial.budget.is_used_up() || Instant::now() >= deadline {
            waiting.push(finding);
            continue;
        }
        let now = match timeout_at(deadline, how_now(trial, &finding, &mut large, drill)).await {
            Ok(Ok(now)) => now,
            // Of the one file, or of everything: then the sample says so.
            Ok(Err(Why::NotRun(why))) => {
                tracing::info!(path = %finding.path, "not looked at again: {why}");
                Now::Still
            }
            Ok(Err(why)) => return Err(why),
            Err(_) => Now::Still,
        };
        trial.budget.allow_all(false);
        match now {
            Now::TooLarge if first.is_none() => first = Some(finding),
            Now::Over => over.push(finding),
            Now::Past { is_mended } => {
                let past = finding.now_past();
                looked_at.push(past.clone());
                mended.extend(is_mended.then_some(past));
            }
            Now::Dropped => {}
            Now::Still | Now::TooLarge => looked_at.push(finding),
        }
    }
    // Those that were looked at go to the end of the row; what did not fit has the
    // whole part to itself at the next.
    let mut still: Vec<Failure> = first.into_iter().chain(waiting).collect();
    still.append(&mut looked_at);
    let told = |list: Vec<Failure>| -> Vec<Failure> {
        list.into_iter().filter(|finding| finding.told).collect()
    };
    let (over, mended) = (told(over), told(mended));
    if !over.is_empty() || !mended.is_empty() {
        let drilled = Drilled {
            computer: &crate::os::computer_name(),
            failures: &over,
            program: &commands::program(owner.config),
            time_zone: &owner.config.schedule.time_zone,
        };
        owner.outbox.keep(drill_over(&drilled, &mended)).await?;
    }
    book::keep_findings(trial.index, &still).await?;
    Ok(large.taken)
}

/// The one second look of a drill that may take all of it.
struct Large {
    /// Not in this drill: it was so in the last one, and the sample comes first now.
    is_barred: bool,
    /// What was restored so.
    taken: Option<Candidate>,
}

impl Large {
    async fn begin(index: &Index) -> Result<Self, Fault> {
        let is_barred = book::large_came_last(index).await?;
        if is_barred {
            book::keep_large_came_last(index, false).await?;
        }
        Ok(Self {
            is_barred,
            taken: None,
        })
    }

    /// Restore it with all that the drill may take; where it was restored, it is
    /// one of the drill's files.
    async fn restore(
        &mut self,
        trial: &mut Trial<'_>,
        candidate: &Candidate,
        drill: &mut Drill,
    ) -> Result<Ended, Why> {
        // Also when this one hangs, or Keepwatch is stopped meanwhile.
        book::keep_large_came_last(trial.index, true).await?;
        trial.budget.allow_all(true);
        let ended = trial.restore(candidate).await;
        trial.budget.allow_all(false);
        let ended = ended?;
        match &ended {
            Ended::Identical(restored) => {
                drill.files += 1;
                drill.bytes += restored.bytes;
            }
            Ended::Wrong(failure) => {
                drill.files += 1;
                // That of the past is known, and stands on a line of its own.
                drill
                    .failures
                    .extend((!candidate.is_older).then(|| failure.clone()));
            }
            Ended::Cold | Ended::TooLarge | Ended::Denied(_) | Ended::Passed => {
                book::keep_large_came_last(trial.index, false).await?;
                return Ok(ended);
            }
        }
        self.taken = Some(candidate.clone());
        Ok(ended)
    }
}

/// What has become of a finding.
enum Now {
    /// The path has a newer version that is whole, or this one is whole again.
    Over,
    /// The version is of the past by now and still wrong, which nobody can mend.
    Past {
        /// The file's current version is whole.
        is_mended: bool,
    },
    /// Nobody can ask for it any more: source or version are gone.
    Dropped,
    Still,
    /// It was not looked at, since it did not fit.
    TooLarge,
}

async fn how_now(
    trial: &mut Trial<'_>,
    finding: &Failure,
    large: &mut Large,
    drill: &mut Drill,
) -> Result<Now, Why> {
    let mut sources = trial.sources.iter();
    let Some(source) = sources.find(|source| source.config.name == finding.source) else {
        return Ok(Now::Dropped);
    };
    let (origin, mut stop) = (origin_of(source), trial.stop.clone());
    let life = life_of(trial.store, &origin, &finding.key, &mut stop).await;
    let (life, listed) = life.map_err(|fault| trial.ends(fault))?;
    trial.budget.listed(listed);
    let Some(version) = to_look_at(&life, finding) else {
        // Of an older version, a lifecycle rule may have had enough.
        let is_missed = !finding.is_older && trial.is_counted_on(source, &finding.key).await?;
        return Ok(if is_missed { Now::Still } else { Now::Dropped });
    };
    let is_the_one = version.version_id == finding.version_id;
    let is_there = life.iter().any(|v| v.version_id == finding.version_id);
    // Deleted since: its last version is of the past, too.
    let is_past = is_the_one && !finding.is_older && !version.is_latest;
    let over = match is_the_one || !is_there {
        true => Now::Over,
        false => Now::Past { is_mended: true },
    };
    let candidate = Candidate {
        source: Arc::clone(source),
        key: finding.key.clone(),
        version,
        is_older: finding.is_older,
        is_deleted_now: false,
    };
    let mut ended = trial.restore(&candidate).await?;
    let is_large = matches!(ended, Ended::TooLarge) && is_the_one && trial.budget.is_untouched();
    if is_large && !large.is_barred {
        ended = large.restore(trial, &candidate, drill).await?;
    }
    Ok(match ended {
        Ended::Identical(_) => over,
        // Too large for a second look: another version than the one that was
        // found wrong is one that the bucket took with its checksum since.
        Ended::TooLarge if !is_the_one => over,
        Ended::TooLarge => Now::TooLarge,
        Ended::Wrong(_) | Ended::Denied(_) if is_past => Now::Past { is_mended: false },
        Ended::Wrong(_) | Ended::Cold | Ended::Denied(_) | Ended::Passed => Now::Still,
    })
}

/// Of a file as it was current when it was found: the current version. Of the
/// past, and of a file that was deleted since: the very version.
fn to_look_at(life: &[ListedVersion], finding: &Failure) -> Option<ListedVersion> {
    let newest = life.first().filter(|newest| !newest.is_marker);
    let same = || life.iter().find(|v| v.version_id == finding.version_id);
    match finding.is_older {
        true => same().cloned(),
        false => newest.or_else(same).cloned(),
    }
}

/// Tell what has not been told, and keep it until it is over.
pub(crate) async fn new_ones(
    index: &Index,
    owner: &Told<'_>,
    found: &mut [Failure],
) -> Result<(), Fault> {
    if found.is_empty() {
        return Ok(());
    }
    let mut open = book::findings(index).await?;
    for failure in found.iter_mut() {
        match open.iter().find(|known| known.is_same(failure)) {
            Some(known) => {
                failure.since_ms = known.since_ms;
                failure.told = known.told;
            }
            None if book::has_room(&open, failure) => open.push(failure.clone()),
            None => {}
        }
    }
    let untold: Vec<Failure> = open.iter().filter(|f| !f.told).cloned().collect();
    if !untold.is_empty() {
        let drilled = Drilled {
            computer: &crate::os::computer_name(),
            failures: &untold,
            program: &commands::program(owner.config),
            time_zone: &owner.config.schedule.time_zone,
        };
        owner.outbox.keep(drill_alert(&drilled)).await?;
        for failure in open.iter_mut().chain(found.iter_mut()) {
            failure.told = true;
        }
    }
    book::keep_findings(index, &open).await
}

/// What is known of the past that nobody can mend: named in each digest.
pub(crate) async fn lasting(index: &Index, drill: &mut Drill) -> Result<(), Fault> {
    let known = book::findings(index).await?;
    let is_new = |known: &Failure| drill.failures.iter().any(|found| found.is_same(known));
    let lasting = known.into_iter().filter(|f| f.is_older && !is_new(f));
    drill.lasting = lasting.collect();
    drill.lasting_total = drill.lasting.len() as u64;
    Ok(())
}
