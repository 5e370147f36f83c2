//! Who is told of a finding, and when it is over.
//!
//! Invariant: a finding counts as told only once its message cannot be lost any
//! more; it is told once; its end is told to those who heard of it.

use super::Why;
use super::book::{self, FINDINGS_MAX};
use super::budget::AGAIN_PART;
use super::pick::Candidate;
use super::try_one::{Ended, Trial};
use crate::error::Fault;
use crate::model::drill::Failure;
use crate::model::report::{Drilled, drill_alert, drill_over};
use crate::recovery::life_of;
use crate::store::ListedVersion;
use crate::tasks::context::Context;
use crate::tasks::post::Post;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Old findings that are looked at again in one drill; the others have their
/// turn at the next.
const AGAIN_MAX: usize = 20;

/// See which of the findings before are over, and tell that. It keeps to its
/// part of the budget and to its time: the sample comes after it in any case.
pub(super) async fn look_again(trial: &mut Trial<'_>, post: &Post) -> Result<(), Why> {
    let open = book::findings(trial.ctx).await?;
    if open.is_empty() {
        return Ok(());
    }
    // What hangs must not cost the sample its time either.
    let time_max_ms = trial.ctx.config.drill.time_max_ms / AGAIN_PART;
    let deadline = Instant::now() + Duration::from_millis(time_max_ms);
    let (mut looked_at, mut waiting, mut over) = (Vec::new(), Vec::new(), Vec::new());
    for (number, finding) in open.into_iter().enumerate() {
        if number >= AGAIN_MAX || trial.budget.is_used_up() || Instant::now() >= deadline {
            waiting.push(finding);
            continue;
        }
        let now = match timeout_at(deadline, how_now(trial, &finding)).await {
            Ok(Ok(now)) => now,
            // Of the one file, or of everything: then the sample says so.
            Ok(Err(Why::NotRun(why))) => {
                tracing::info!(path = %finding.path, "not looked at again: {why}");
                Now::Still
            }
            Ok(Err(why)) => return Err(why),
            Err(_) => Now::Still,
        };
        match now {
            Now::Over => over.push(finding),
            Now::Dropped => {}
            Now::Still => looked_at.push(finding),
        }
    }
    // Those that were looked at go to the end of the row.
    let mut still = waiting;
    still.append(&mut looked_at);
    let told: Vec<Failure> = over.into_iter().filter(|finding| finding.told).collect();
    if !told.is_empty() {
        let drilled = Drilled {
            computer: &crate::platform::computer_name(),
            failures: &told,
            time_zone: &trial.ctx.config.schedule.time_zone,
        };
        post.keep(trial.ctx, drill_over(&drilled)).await?;
    }
    book::keep_findings(trial.ctx, &still).await?;
    Ok(())
}

/// What has become of a finding.
enum Now {
    /// The path has a newer version that is whole, or this one is whole again.
    Over,
    /// Nobody can ask for it any more: source or version are gone.
    Dropped,
    Still,
}

async fn how_now(trial: &mut Trial<'_>, finding: &Failure) -> Result<Now, Why> {
    let sources = &trial.ctx.sources;
    let Some(source) = sources.iter().position(|s| s.config.name == finding.source) else {
        return Ok(Now::Dropped);
    };
    let (origin, mut stop) = (trial.origin(source), trial.stop.clone());
    let life = life_of(&trial.ctx.store, &origin, &finding.key, &mut stop).await;
    let (life, listed) = life.map_err(|fault| trial.ends(fault))?;
    trial.budget.listed(listed);
    let Some(version) = to_look_at(&life, finding) else {
        // Of an older version, a lifecycle rule may have had enough.
        let is_missed = !finding.is_older && trial.is_counted_on(source, &finding.key).await?;
        return Ok(if is_missed { Now::Still } else { Now::Dropped });
    };
    let is_the_one = version.version_id == finding.version_id;
    let candidate = Candidate {
        source,
        key: finding.key.clone(),
        version,
        is_older: finding.is_older,
        is_deleted_now: false,
    };
    Ok(match trial.restore(&candidate).await? {
        Ended::Identical(_) => Now::Over,
        // Too large for a second look: another version than the one that was
        // found wrong is one that the bucket took with its checksum since.
        Ended::TooLarge if !is_the_one => Now::Over,
        Ended::Wrong(_) | Ended::Cold | Ended::TooLarge | Ended::Passed => Now::Still,
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
pub(super) async fn new_ones(
    ctx: &Arc<Context>,
    post: &Post,
    found: &mut [Failure],
) -> Result<(), Fault> {
    if found.is_empty() {
        return Ok(());
    }
    let mut open = book::findings(ctx).await?;
    for failure in found.iter_mut() {
        match open.iter().find(|known| known.is_same(failure)) {
            Some(known) => {
                failure.since_ms = known.since_ms;
                failure.told = known.told;
            }
            None if open.len() < FINDINGS_MAX => open.push(failure.clone()),
            None => {}
        }
    }
    let untold: Vec<Failure> = open.iter().filter(|f| !f.told).cloned().collect();
    if !untold.is_empty() {
        let drilled = Drilled {
            computer: &crate::platform::computer_name(),
            failures: &untold,
            time_zone: &ctx.config.schedule.time_zone,
        };
        post.keep(ctx, drill_alert(&drilled)).await?;
        for failure in open.iter_mut().chain(found.iter_mut()) {
            failure.told = true;
        }
    }
    book::keep_findings(ctx, &open).await
}
