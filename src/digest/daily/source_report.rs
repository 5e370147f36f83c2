//! What a digest says of one source.

use crate::destination;
use crate::destination::Kind;
use crate::digest::report::{OutageLine, ScanLine, SourceReport, UnprotectedLine, WatchLine};
use crate::guard;
use crate::index::{Activity, Failures, Index, SourceId, Unprotected};
use crate::mail::FailureLine;
use crate::pacing::costly_files;
use crate::source::SourceRuntime;
use crate::status::{FOLDER, ScanDone, StatusSnapshot, not_stored};
use crate::types::{Fault, RelKey, amount};

/// Failures and unprotected files named per source; more are counted.
const LINES_MAX: usize = 1000;

/// What a digest says of a source, and what it closes then. `scan` is the comparison that
/// was made for it. Blocks.
pub(crate) fn source_report(
    index: &Index,
    source: &SourceRuntime,
    scan: Option<ScanDone>,
) -> Result<(SourceReport, (Activity, Failures)), Fault> {
    let counts = index.counts(source.id);
    let activity = index.activity(source.id);
    let failures = index.failures(source.id)?;
    let (unprotected, unprotected_total) = index.unprotected(source.id, LINES_MAX)?;
    let unprotected = unprotected.into_iter();
    let status = source.status.snapshot().told_once();
    // Found by the scan and not in the bucket yet; fresh edits are always some.
    let waiting = source.work.queue.depth().backlog as u64;
    let watch = WatchLine {
        proven_ms: status.proof.proven_ms,
        rebuilt: status.proof.rebuilt,
    };
    let report = SourceReport {
        name: source.config.name.clone(),
        path: source.config.path.display().to_string(),
        destination: destination::place_name(&source.destination),
        files_protected: counts.protected(),
        bytes_protected: counts.protected_bytes(),
        files_not_stored: files_not_stored(
            source,
            scan.as_ref(),
            counts.protected(),
            unprotected_total,
        ),
        versions: activity.versions,
        raw_bytes: activity.raw_bytes,
        stored_bytes: activity.stored_bytes,
        saved_bytes: activity.saved_bytes,
        costly: costly_files(&source.pacing),
        deletions: activity.deletions,
        failures: failure_lines(&failures),
        failures_total: failures.list.len() as u64 + failures.overflow,
        unprotected: unprotected
            .map(|(key, found)| unprotected_line(index, source.id, &key, found))
            .collect::<Result<_, Fault>>()?,
        unprotected_total,
        warnings: warnings(&status, scan.as_ref(), waiting),
        notes: status.notes.values().cloned().collect(),
        watch: (watch != WatchLine::default()).then_some(watch),
        scan: scan.as_ref().map(|scan| ScanLine {
            started_ms: scan.started_ms,
            took_ms: u64::try_from(scan.took_ms).unwrap_or(0),
            files: scan.files,
            complete: scan.complete() && waiting == 0,
        }),
        outage: source.breaker.outage().map(|(since_ms, fault)| OutageLine {
            since_ms,
            reason: fault.reason(),
            remedy: fault.hint,
        }),
        troubles: destination::troubles(&source.destination),
    };
    Ok((report, (activity, failures)))
}

/// Files that are in no bucket yet. While nothing can be sent, fresh edits are held up too.
fn files_not_stored(
    source: &SourceRuntime,
    scan: Option<&ScanDone>,
    protected: u64,
    unprotected: u64,
) -> u64 {
    let depth = source.work.queue.depth();
    let is_held_up = source.breaker.outage().is_some() || !source.destination.may_send();
    let waiting = match is_held_up {
        true => depth.total(),
        false => depth.backlog as u64,
    };
    let last_scan = source.status.snapshot().last_scan;
    not_stored(
        scan.or(last_scan.as_ref()),
        protected,
        waiting + unprotected,
    )
}

fn failure_lines(failures: &Failures) -> Vec<FailureLine> {
    let lines = failures.list.iter().map(|(key, failure)| FailureLine {
        path: key.path().to_string(),
        reason: failure.fault.reason(),
        remedy: failure.fault.hint.clone(),
        count: u64::from(failure.count),
    });
    lines.collect()
}

fn unprotected_line(
    index: &Index,
    id: SourceId,
    key: &RelKey,
    found: Unprotected,
) -> Result<UnprotectedLine, Fault> {
    let path = key.path();
    let folder = RelKey::of_folder(&path);
    Ok(UnprotectedLine {
        path: path.to_string(),
        reason: found.fault.reason(),
        remedy: found.fault.hint,
        since_ms: found.since_ms,
        files_below: guard::known_below(index, id, &folder)?,
    })
}

/// What is amiss with the source besides its destination, whose troubles have lines of
/// their own.
fn warnings(status: &StatusSnapshot, scan: Option<&ScanDone>, waiting: u64) -> Vec<String> {
    let besides = |topic: &str| !Kind::TOPICS.contains(&topic);
    let standing = status.warnings.iter().filter(|(topic, _)| besides(topic));
    let mut warnings: Vec<String> = standing.map(|(_, warning)| warning.clone()).collect();
    if waiting > 0 {
        warnings.push(format!("not sent yet: {}", amount(waiting, "file")));
    }
    let is_told = status.warnings.contains_key(FOLDER);
    let scan = scan.filter(|scan| !(scan.has_no_root && is_told));
    for reason in scan.into_iter().flat_map(|scan| &scan.incomplete) {
        if !warnings.contains(reason) {
            warnings.push(reason.clone());
        }
    }
    warnings
}
