//! Verifies what this computer knows against the bucket, and mends what is damaged.
//!
//! Called by the daemon for `keepwatch verify`. Mending sends the file again as it is on
//! disk now. The record is marked unverified first, so that no worker believes the damaged
//! copy. It never deletes a version, and never touches what is not damaged.

use super::findings::{Ask, Damage, Deep, Finding, Progress, Repair, Verified};
use super::request::{VerifyEvent, VerifyRequest};
use super::run::verify;
use crate::clock::Clock;
use crate::files;
use crate::history::{Known, Place, Selector, Typed, selectors, settle};
use crate::index::{Elsewhere, Index};
use crate::os::blocking::blocking;
use crate::retry::Stop;
use crate::s3::Store;
use crate::source::{SourceRuntime, Sources};
use crate::types::{Fatal, Fault, Fingerprint, Origin, Record, RelKey, command};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a repair waits for its uploads. Over a slow line the rest goes on by itself
/// and is reported as not yet done.
const REPAIR_WAIT_MAX: Duration = Duration::from_secs(6 * 3600);

/// How long an outage may last before a repair stops waiting.
const OUTAGE_PATIENCE: Duration = Duration::from_secs(60);

/// How often that wait checks whether the bucket can be reached.
const WAIT_STEP: Duration = Duration::from_secs(2);

/// What a repair works with.
pub struct Repairer {
    /// All sources.
    pub sources: Sources,
    /// The server.
    pub store: Store,
    /// The index.
    pub index: Index,
    /// The clocks.
    pub clock: Clock,
}

/// What this computer knows of a source, for a comparison.
pub fn known(ctx: &Repairer, source: &Arc<SourceRuntime>) -> Known {
    let of = source;
    let shared = Arc::clone(source);
    Known {
        index: ctx.index.clone(),
        source: of.id,
        root: of.config.path.clone(),
        stat: Arc::new(move |path| {
            let of = &shared;
            let found = files::stat_unless_excluded(&of.config.path, path, &of.rules)?;
            if found.is_none() {
                // A root that is not there must not look like "all gone".
                files::root_state(&of.config.path)?;
            }
            Ok(found)
        }),
        is_compared: of.comparison.is_done(),
        // Whether the bucket keeps versions is known only after the first scan;
        // what the configuration wants is what counts here.
        marks_deletions: of.config.on_delete == crate::config::OnDelete::Mark,
    }
}

/// Verify what is asked, and mend it when that is asked, too.
///
/// # Errors
/// Nothing can be said: a source of that name is not there, or what
/// [`verify`] gives.
pub async fn run(
    ctx: &Arc<Repairer>,
    ask: &Ask,
    report: impl Fn(Progress) + Send + Sync,
    stop: &Stop,
) -> Result<Vec<Verified>, Fatal> {
    let mut results = Vec::new();
    let mut before = Progress::default();
    let wanted = wanted(ctx, ask)?;
    let mut places = Vec::new();
    for (source, what) in &wanted {
        places.push(Place {
            origin: origin(source),
            called: called(source),
            typed: Typed::all(what)?,
            folder: None,
            known: Some(known(ctx, source)),
        });
    }
    let settled = settle(&ctx.store, &places, &mut stop.clone()).await?;
    for ((source, _), selector) in wanted.into_iter().zip(selectors(&settled)) {
        let taken = selector.taken().to_vec();
        let request = request(ctx, &source, ask, selector);
        let tell = |event: VerifyEvent<'_>| {
            if let VerifyEvent::Progress(progress) = event {
                report(plus(before, progress));
            }
        };
        let mut result = verify(&ctx.store, request, tell, stop).await?;
        before = plus(before, result.progress);
        result.taken = taken;
        result.destination = crate::destination::place_name(&source.destination);
        if !source.comparison.is_done() {
            let why = "this computer's index is not yet compared with the bucket: what is in the bucket and not in the index is not judged";
            result.without_index_because = Some(why.to_owned());
        }
        if ask.repair && result.findings_total > 0 {
            mend(ctx, &source, ask, &mut result, stop).await?;
        }
        results.push(result);
    }
    Ok(results)
}

/// The names of a source, which people write in front of paths in it.
fn called(source: &SourceRuntime) -> Vec<String> {
    let config = &source.config;
    let folder = config.path.file_name();
    let folder = folder.map(|name| name.to_string_lossy().into_owned());
    let own = [config.name.clone(), config.bucket.clone()];
    own.into_iter().chain(folder).collect()
}

fn plus(a: Progress, b: Progress) -> Progress {
    Progress {
        manifests: a.manifests + b.manifests,
        seen: a.seen + b.seen,
        looked: a.looked + b.looked,
        hashed: a.hashed + b.hashed,
        hashed_bytes: a.hashed_bytes + b.hashed_bytes,
        found: a.found + b.found,
    }
}

/// A source, and what is asked about in it.
type Wanted = (Arc<SourceRuntime>, Vec<String>);

/// The sources that are asked about, with what in each.
fn wanted(ctx: &Repairer, ask: &Ask) -> Result<Vec<Wanted>, Fatal> {
    if ask.sources.is_empty() {
        let all = ctx.sources.iter();
        return Ok(all.map(|source| (Arc::clone(source), Vec::new())).collect());
    }
    let number = |(name, what): &(String, Vec<String>)| {
        let found = ctx.sources.iter().find(|s| s.config.name == *name);
        let found = found.ok_or_else(|| {
            Fatal::usage(
                format!("verify the source {name}"),
                "the running Keepwatch does not know it",
                "restart Keepwatch if the configuration was changed",
            )
        })?;
        Ok((Arc::clone(found), what.clone()))
    };
    ask.sources.iter().map(number).collect()
}

fn origin(source: &SourceRuntime) -> Origin {
    let config = &source.config;
    Origin {
        bucket: config.bucket.clone(),
        prefix: config.prefix.clone(),
    }
}

fn request(
    ctx: &Repairer,
    source: &Arc<SourceRuntime>,
    ask: &Ask,
    selector: Selector,
) -> VerifyRequest {
    let config = &source.config;
    VerifyRequest {
        name: config.name.clone(),
        origin: origin(source),
        selector,
        only: None,
        known: Some(known(ctx, source)),
        deep: ask.deep,
        seed: ask.seed,
        all_versions: ask.all_versions,
    }
}

/// Send again what is damaged and on disk, mark again what is deleted, and
/// verify both once more.
async fn mend(
    ctx: &Repairer,
    source: &Arc<SourceRuntime>,
    ask: &Ask,
    result: &mut Verified,
    stop: &Stop,
) -> Result<(), Fatal> {
    let mut keys = Vec::new();
    let mut asked = stop.clone();
    for finding in &mut result.findings {
        let key = finding.key.as_deref().map(RelKey::parse_full);
        let Some(key) = key
            .and_then(Result::ok)
            .filter(|_| finding.can_be_repaired())
        else {
            finding.repair = Some(Repair::Impossible);
            continue;
        };
        match distrust(ctx, source, &key, finding.damage).await {
            Ok(()) => {
                let since_ms = ctx.clock.monotonic_ms();
                // The lane may be full for as long as the bucket is away.
                tokio::select! {
                    _ = source.work.queue.push_backlog(key.path(), since_ms) => {}
                    () = asked.asked() => return Err(Fatal::interrupted("repair")),
                }
                keys.push(key);
            }
            Err(fault) => finding.repair = Some(Repair::Failed(fault.to_string())),
        }
    }
    tokio::select! {
        () = drained(source) => {}
        () = asked.asked() => return Err(Fatal::interrupted("wait for the repair")),
    }
    let again = VerifyRequest {
        only: Some(keys),
        deep: match ask.deep {
            Deep::No => Deep::No,
            _ => Deep::All,
        },
        all_versions: false,
        ..request(ctx, source, ask, Selector::everything())
    };
    let after = verify(&ctx.store, again, |_| (), stop).await?;
    for finding in result.findings.iter_mut().filter(|f| f.repair.is_none()) {
        finding.repair = Some(repaired(ctx, source, finding, &after).await?);
    }
    Ok(())
}

/// Mark what the bucket has at this key as unverified.
async fn distrust(
    ctx: &Repairer,
    source: &Arc<SourceRuntime>,
    key: &RelKey,
    damage: Damage,
) -> Result<(), Fault> {
    let (index, id, key) = (ctx.index.clone(), source.id, key.clone());
    blocking(move || {
        let known = index.get(id, &key)?;
        let record = known
            .clone()
            .unwrap_or(Record::unverified(Fingerprint::UNSEEN));
        if damage == Damage::Returned {
            // Its copy is right; a worker sees that the file is gone, and marks it.
            return index.update(id, &key, record);
        }
        index.update(id, &key, record.distrusted())?;
        // Nobody may copy the damaged version to another path either.
        if let Some(known) = known
            && let Some(content) = known.content
        {
            let damaged = Elsewhere {
                key,
                version_id: known.version_id,
                etag: known.etag,
                stored_bytes: known.stored_bytes,
                is_live: false,
            };
            index.forget_elsewhere(id, &content, &damaged)?;
        }
        Ok(())
    })
    .await
}

/// Wait until the workers have done what was queued, but not through an outage.
async fn drained(source: &SourceRuntime) {
    let began = Instant::now();
    let mut outage_since: Option<Instant> = None;
    while began.elapsed() < REPAIR_WAIT_MAX {
        let drained = source.work.queue.backlog_drained();
        if tokio::time::timeout(WAIT_STEP, drained).await.is_ok() {
            return;
        }
        match source.breaker.outage() {
            None => outage_since = None,
            Some((_, fault)) => {
                let since = *outage_since.get_or_insert_with(Instant::now);
                if !fault.class.is_transient() || since.elapsed() >= OUTAGE_PATIENCE {
                    return;
                }
            }
        }
    }
}

/// What became of a finding that was worked on.
async fn repaired(
    ctx: &Repairer,
    source: &Arc<SourceRuntime>,
    finding: &Finding,
    after: &Verified,
) -> Result<Repair, Fault> {
    let still = after.findings.iter().find(|f| f.key == finding.key);
    if let Some(still) = still {
        return Ok(Repair::Failed(still.why.clone()));
    }
    let not_looked = after.not_looked.iter().find(|f| f.subject == finding.path);
    if let Some(fault) = not_looked {
        return Ok(Repair::Failed(fault.reason()));
    }
    let Some(key) = finding
        .key
        .as_deref()
        .and_then(|k| RelKey::parse_full(k).ok())
    else {
        return Ok(Repair::Impossible);
    };
    let (index, id, wanted) = (ctx.index.clone(), source.id, key.clone());
    let record = blocking(move || index.get(id, &wanted)).await?;
    let is_done = match finding.damage {
        Damage::Returned => record.is_none(),
        _ => record.is_some_and(|record| record.content.is_some()),
    };
    if is_done {
        return Ok(Repair::Done);
    }
    Ok(Repair::Failed(match source.breaker.outage() {
        Some((_, fault)) => fault.reason(),
        None => format!(
            "it is not done yet, and goes on by itself while Keepwatch runs: the file is being changed, cannot be read or waits (see `{}`)",
            command::status()
        ),
    }))
}
