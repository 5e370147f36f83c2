//! How things stand with the sources, for whoever asks. Functions block.

use crate::config::Config;
use crate::control::{Progress, Reconciled, SourceStatus, Status};
use crate::destination;
use crate::drill;
use crate::guard;
use crate::guard::HoldCause;
use crate::index::{Activity, Index};
use crate::s3::Store;
use crate::source::{SourceRuntime, Sources};
use crate::status::{ScanDone, not_stored};
use crate::types::{Fault, RelKey, WallMs, amount};
use std::sync::Arc;

/// Unprotected paths named in a status; more are counted.
pub(super) const NAMED_MAX: usize = 100;

/// Somebody asks how things stand.
pub(super) struct StatusQuestion {
    pub(super) config: Arc<Config>,
    pub(super) sources: Sources,
    pub(super) store: Store,
    pub(super) index: Index,
    pub(super) started_ms: WallMs,
    pub(super) mail_trouble: Option<(WallMs, Fault)>,
}

impl StatusQuestion {
    pub(super) fn answer(self) -> Status {
        let sources = self.sources.iter();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_ms: self.started_ms,
            place: self.store.place().to_owned(),
            rates: self.store.rates(),
            traffic: self.store.traffic(),
            outbox: self.index.outbox_len(),
            mail_trouble: self.mail_trouble,
            // A broken index is what somebody asks about.
            drill: drill::last(&self.index)
                .ok()
                .flatten()
                .filter(|_| self.config.drill.enabled),
            sources: sources
                .map(|source| source_status(&self.index, source))
                .collect(),
        }
    }
}

/// The status of one source. It never fails: when the index does, the status says so.
fn source_status(index: &Index, source: &SourceRuntime) -> SourceStatus {
    let counts = index.counts(source.id);
    let depth = source.work.queue.depth();
    let mut board = source.status.snapshot().told_once();
    let listed = index.unprotected(source.id, NAMED_MAX);
    let (unprotected, unprotected_total) = listed.unwrap_or_else(|fault| {
        let warning = board.warnings.entry("index".to_owned());
        warning.or_insert_with(|| fault.to_string());
        (Vec::new(), 0)
    });
    let (paced, paced_until_ms) = source.pacing.waiting();
    SourceStatus {
        name: source.config.name.clone(),
        path: source.config.path.display().to_string(),
        destination: destination::place_name(&source.destination),
        files_protected: counts.protected(),
        bytes_protected: counts.protected_bytes(),
        files_not_stored: not_stored(
            board.last_scan.as_ref(),
            counts.protected(),
            depth.total() + unprotected_total,
        ),
        unverified: counts.unverified,
        waiting: depth.total(),
        paced,
        paced_until_ms,
        unprotected: unprotected
            .into_iter()
            .map(|(key, u)| (u.fault.about(named(index, source, &key)), u.since_ms))
            .collect(),
        unprotected_total,
        board,
    }
}

/// An unprotected path, and how many files the backup knows below it: they are not
/// protected either. That the index cannot say so is told by itself.
fn named(index: &Index, source: &SourceRuntime, key: &RelKey) -> String {
    let path = key.path();
    let folder = RelKey::of_folder(&path);
    match guard::known_below(index, source.id, &folder) {
        Ok(0) | Err(_) => path.to_string(),
        Ok(files) => format!("{path} and the {} in it", amount(files, "file")),
    }
}

/// What a comparison of a source came to; `done` is what was done meanwhile.
///
/// # Errors
/// The index cannot be read.
pub(super) fn reconciled(
    index: &Index,
    source: &SourceRuntime,
    scan: Option<ScanDone>,
    done: &Activity,
) -> Result<Reconciled, Fault> {
    let (failed, failed_total) = index.unprotected(source.id, NAMED_MAX)?;
    Ok(Reconciled {
        name: source.config.name.clone(),
        destination: destination::place_name(&source.destination),
        files: scan.as_ref().map_or(0, |s| s.files),
        stored: done.versions - done.metadata_updates.min(done.versions),
        bytes: done.raw_bytes,
        stored_bytes: done.stored_bytes,
        deleted: done.deletions,
        metadata_updates: done.metadata_updates,
        failed: failed
            .into_iter()
            .map(|(key, u)| u.fault.about(named(index, source, &key)))
            .collect(),
        failed_total,
        incomplete: incomplete(index, source, scan),
        notes: source.status.snapshot().notes.into_values().collect(),
        outage: source.breaker.outage().map(|(_, fault)| fault),
        troubles: destination::troubles(&source.destination),
    })
}

/// Why not everything is in the bucket as it is on the disk: what the scan met, and
/// what is held back since.
fn incomplete(index: &Index, source: &SourceRuntime, scan: Option<ScanDone>) -> Vec<String> {
    let has_no_root = scan.as_ref().is_some_and(|scan| scan.has_no_root);
    let mut reasons = scan.map_or_else(
        || vec!["the scan did not come to its end".to_owned()],
        |scan| scan.incomplete,
    );
    let waiting = source.work.queue.depth().backlog;
    if waiting > 0 {
        reasons.push(format!("not sent yet: {}", amount(waiting as u64, "file")));
    }
    if let Some(fault) = index.broken() {
        reasons.push(fault.to_string());
    }
    for hold in source.guard.holds() {
        if has_no_root && hold.cause == HoldCause::Away {
            // The scan knows why.
            continue;
        }
        let reason = guard::line(&source.guard, &hold);
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons
}

/// What was done to each source's objects so far.
pub(super) fn activities(sources: &Sources, index: &Index) -> Vec<Activity> {
    let sources = sources.iter();
    sources.map(|source| index.activity(source.id)).collect()
}

/// How far a comparison is that began when `before` was done.
pub(super) fn how_far(sources: &Sources, index: &Index, before: &[Activity]) -> Progress {
    let mut far = Progress::default();
    for (source, before) in sources.iter().zip(before) {
        let done = index.activity(source.id).minus(before);
        let status = source.status.snapshot();
        far.seen += status
            .scanning
            .or(status.last_scan.map(|s| s.files))
            .unwrap_or(0);
        far.waiting += source.work.queue.depth().total();
        far.stored += done.versions;
        far.bytes += done.raw_bytes;
        let outage = status.outage.map(|(_, fault)| fault.cause);
        far.on_hold = far.on_hold.or(outage);
    }
    far
}
