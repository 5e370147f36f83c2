//! Second looks at what earlier drills have found: is it over?

use super::book;
use super::budget::AGAIN_PART;
use super::candidate::Candidate;
use super::outcome::{Drill, Failure};
use super::rehearse::life_of;
use super::tell::OwnerMail;
use super::try_one::{Ended, Trial, origin_of};
use super::why::Why;
use crate::index::Index;
use crate::s3::ListedVersion;
use crate::types::Fault;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Old findings that are looked at again in one drill; the others have their turn at the
/// next.
const AGAIN_MAX: usize = 20;

/// See which of the findings before are over, and tell that. It keeps to its part of the
/// budget and to its time: the sample comes after it in any case.
///
/// In every other drill one finding that is larger than that part may take it all, or it
/// would never be over. That one counts among the drill's files, and is returned.
pub(crate) async fn look_again(
    trial: &mut Trial<'_>,
    mail: &OwnerMail<'_>,
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
    let time_max_ms = mail.config.drill.time_max_ms / AGAIN_PART;
    let deadline = Instant::now() + Duration::from_millis(time_max_ms);
    let mut looks = SecondLooks::default();
    for (number, finding) in open.into_iter().enumerate() {
        if number >= AGAIN_MAX || trial.budget.is_used_up() || Instant::now() >= deadline {
            looks.waiting.push(finding);
            continue;
        }
        let now = match timeout_at(deadline, how_now(trial, &finding, &mut large, drill)).await {
            Ok(Ok(now)) => now,
            // The one file fails, or everything: then the sample says so.
            Ok(Err(Why::NotRun(why))) => {
                tracing::info!(path = %finding.path, "not looked at again: {why}");
                Now::Still
            }
            Ok(Err(why)) => return Err(why),
            Err(_) => Now::Still,
        };
        trial.budget.allow_all(false);
        looks.note(finding, now);
    }
    let (over, mended) = (
        std::mem::take(&mut looks.over),
        std::mem::take(&mut looks.mended),
    );
    mail.tell_over(over, mended).await?;
    book::keep_findings(trial.index, &looks.still()).await?;
    Ok(large.taken)
}

/// What has become of the findings.
#[derive(Default)]
struct SecondLooks {
    over: Vec<Failure>,
    /// Of the past by now, with a current version that is whole.
    mended: Vec<Failure>,
    /// The first that did not fit.
    too_large: Option<Failure>,
    waiting: Vec<Failure>,
    looked_at: Vec<Failure>,
}

impl SecondLooks {
    fn note(&mut self, finding: Failure, now: Now) {
        match now {
            Now::TooLarge if self.too_large.is_none() => self.too_large = Some(finding),
            Now::Over => self.over.push(finding),
            Now::Past { is_mended } => {
                let past = finding.now_past();
                self.looked_at.push(past.clone());
                self.mended.extend(is_mended.then_some(past));
            }
            Now::Dropped => {}
            Now::Still | Now::TooLarge => self.looked_at.push(finding),
        }
    }

    /// The findings that stay, in the order of the next drill's looks. Those that were
    /// looked at come last; what did not fit comes first and has the whole part.
    fn still(self) -> Vec<Failure> {
        let first = self.too_large.into_iter();
        first.chain(self.waiting).chain(self.looked_at).collect()
    }
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
