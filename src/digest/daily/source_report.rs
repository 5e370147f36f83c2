//! What a digest says of one source.

use crate::destination;
use crate::destination::Kind;
use crate::digest::report::{OutageLine, ScanLine, SourceReport, UnprotectedLine, WatchLine};
use crate::guard;
use crate::index::{Activity, Failures, Index};
use crate::mail::FailureLine;
use crate::pacing::costly_files;
use crate::source::SourceRuntime;
use crate::status::ScanDone;
use crate::types::{Fault, RelKey, amount};

/// Failures and unprotected files named per source; more are counted.
const LINES_MAX: usize = 1000;

/// Blocks.
pub(crate) fn source_report(
    index: &Index,
    source: &SourceRuntime,
    scan: Option<ScanDone>,
) -> Result<(SourceReport, (Activity, Failures)), Fault> {
    let counts = index.counts(source.id);
    let activity = index.activity(source.id);
    let failures = index.failures(source.id)?;
    let failures_total = failures.list.len() as u64 + failures.overflow;
    let (unprotected, unprotected_total) = index.unprotected(source.id, LINES_MAX)?;
    let status = source.status.snapshot();
    // Found by the scan and not in the bucket yet; fresh edits are always some.
    let waiting = source.work.queue.depth().backlog as u64;
    let mut warnings: Vec<String> = status
        .warnings
        .iter()
        // These stand among the troubles.
        .filter(|(topic, _)| !Kind::TOPICS.contains(&topic.as_str()))
        .map(|(_, warning)| warning.clone())
        .collect();
    if waiting > 0 {
        warnings.push(format!(
            "still on their way to the bucket: {}",
            amount(waiting, "file")
        ));
    }
    for reason in scan.iter().flat_map(|scan| &scan.incomplete) {
        if !warnings.contains(reason) {
            warnings.push(reason.clone());
        }
    }
    let report = SourceReport {
        name: source.config.name.clone(),
        path: source.config.path.display().to_string(),
        destination: destination::place_name(&source.destination),
        files_protected: counts.protected(),
        bytes_protected: counts.protected_bytes(),
        versions: activity.versions,
        raw_bytes: activity.raw_bytes,
        stored_bytes: activity.stored_bytes,
        saved_bytes: activity.saved_bytes,
        costly: costly_files(&source.pacing),
        deletions: activity.deletions,
        failures: failures
            .list
            .iter()
            .map(|(key, failure)| FailureLine {
                path: key.path().to_string(),
                reason: failure.fault.reason(),
                remedy: failure.fault.hint.clone(),
                count: u64::from(failure.count),
            })
            .collect(),
        failures_total,
        unprotected: unprotected
            .into_iter()
            .map(|(key, u)| {
                let folder = RelKey::of_folder(&key.path());
                Ok(UnprotectedLine {
                    path: key.path().to_string(),
                    reason: u.fault.reason(),
                    remedy: u.fault.hint,
                    since_ms: u.since_ms,
                    files_below: guard::known_below(index, source.id, &folder)?,
                })
            })
            .collect::<Result<_, Fault>>()?,
        unprotected_total,
        warnings,
        notes: status.notes.values().cloned().collect(),
        watch: Some(WatchLine {
            proven_ms: status.proof.proven_ms,
            rebuilt: status.proof.rebuilt,
        })
        .filter(|line| *line != WatchLine::default()),
        scan: scan.as_ref().map(|s| ScanLine {
            started_ms: s.started_ms,
            took_ms: u64::try_from(s.took_ms).unwrap_or(0),
            files: s.files,
            complete: s.complete() && waiting == 0,
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
