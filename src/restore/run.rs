//! Runs a restore: the timeline feeds a few workers, files first, links and folders last.
//!
//! Links come last so that no link can block a file's path, and so that no file is
//! ever written through a link that leads elsewhere. The list of what is put off until
//! then is bounded; beyond the bound, the listing is read a second time.

use super::bring::bring;
use super::context::RestoreContext;
use super::disk_space;
use super::folders::Folders;
use super::large::LARGE_AT_ONCE;
use super::manifest_check;
use super::outcome::Outcome;
use super::preflight::scan::preflight;
use super::preflight::summary::Preflight;
use super::put_off::{PutOff, may_be_put_off};
use super::range_buffer::{MemoryBudget, RANGE_BYTES};
use super::report::{Event, Restored};
use super::request::{Pass, Request};
use super::stale_files::StaleFiles;
use super::stats::RestoreStats;
use super::thaw_queue::ThawQueue;
use crate::history::{Chosen, Timeline};
use crate::jobs::{Failure, JobRunner, Limits, Site, until_asked};
use crate::os::blocking::blocking_on;
use crate::retry::Stop;
use crate::s3::Store;
use crate::types::{Class, Fatal, Fault, WallMs, chain, command};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// More workers gain nothing on any line. Each takes a connection, and now and then
/// an open file and one of the process's blocking threads.
const WORKERS_MAX: usize = 128;

/// Links and folders that are put off. At 300 bytes each they take some 6 MB.
const PUT_OFF_MAX: usize = 20_000;

/// Objects that fail in a row because the server does, before it is asked
/// whether it is there at all: as many as one short outage meets at once. If it
/// answers, the run goes on.
const FAILURES_IN_A_ROW_MAX: u32 = 32;

/// Bring what was current at the moment into the target. Files that are there
/// already and the same are not downloaded again, so a run that was cut short
/// is simply repeated.
///
/// # Errors
/// [`Fatal`] when nothing more can be had: credentials, bucket, listing, or a
/// server that is gone; and when told to stop. What fails for single files is
/// in [`Restored`].
pub async fn restore(
    store: &Store,
    request: Request,
    report: impl Fn(Event<'_>) + Send + Sync + 'static,
    stop: &Stop,
) -> Result<Restored, Fatal> {
    let mut request = request;
    let seen = match request.preflight.take() {
        Some(seen) => seen,
        None => preflight(store, &request, &report, stop).await?,
    };
    if !request.options.ignore_space {
        Preflight::fits(std::slice::from_ref(&seen), request.target.path())?;
    }
    let mut run = Run::new(store, request, Box::new(report), &seen);
    let (ctx, mut stop) = (run.ctx.clone(), stop.clone());
    let work = Box::pin(run.all(seen));
    let done = until_asked(&mut stop, "restore everything", work).await;
    // However the run ended, nothing writes any more, and no half file is left, when
    // this function returns.
    run.jobs.finish_early().await;
    run.note();
    let first_ms = done?;
    Box::pin(manifest_check::finish(&ctx, ctx.at_ms, &mut stop)).await?;
    close(&ctx).await?;
    Ok(Restored {
        unmatched: ctx.selector.unmatched(),
        matched: ctx.selector.matched(),
        first_ms,
        ..ctx.stats.result()
    })
}

/// Everything is there: give the folders their own modes, and make it last.
async fn close(ctx: &Arc<RestoreContext>) -> Result<(), Fatal> {
    let shared = ctx.clone();
    let close = move || {
        shared.folders.close();
        Ok(())
    };
    if let Err(fault) = blocking_on("finish", "the folders", close).await {
        ctx.stats.left_out(fault);
    }
    let target = ctx.target.clone();
    let synced = tokio::task::spawn_blocking(move || target.sync())
        .await
        .map_err(|e| Fatal::new("finish the restore", chain(&e), ""))?;
    if let Err(fault) = synced {
        ctx.stats.failed(fault);
    }
    Ok(())
}

/// One restore under way.
pub(crate) struct Run {
    pub(crate) ctx: Arc<RestoreContext>,
    jobs: JobRunner<(Chosen, Pass), Outcome>,
    put_off: PutOff,
    pub(crate) waiting: ThawQueue,
    /// Files that the disk refused, one after the other.
    refused_in_a_row: u32,
}

impl Run {
    fn new(
        store: &Store,
        request: Request,
        report: Box<dyn Fn(Event<'_>) + Send + Sync>,
        seen: &Preflight,
    ) -> Self {
        let site = Site {
            store: store.clone(),
            bucket: request.origin.bucket.clone(),
        };
        let limits = Limits {
            jobs_max: request.options.workers.clamp(1, WORKERS_MAX),
            failures_in_a_row_max: FAILURES_IN_A_ROW_MAX,
        };
        let jobs = JobRunner::new("restore", site, limits);
        let stats = Arc::new(RestoreStats::new(report));
        stats.expect(seen.objects, seen.stored_bytes);
        let (target, options) = (request.target, request.options);
        let ctx = RestoreContext {
            store: store.clone(),
            origin: request.origin,
            selector: request.selector,
            folders: Folders::new(target.clone(), stats.clone(), &options),
            target,
            options,
            stats,
            stop: jobs.stop(),
            memory: MemoryBudget::default(),
            large_files: Semaphore::new(LARGE_AT_ONCE),
            is_fresh: seen.is_fresh,
            at_ms: request.at_ms,
            stale: StaleFiles::default(),
        };
        Self {
            ctx: Arc::new(ctx),
            jobs,
            put_off: PutOff::default(),
            waiting: ThawQueue::default(),
            refused_in_a_row: 0,
        }
    }

    /// Both passes; gives when the earliest version was stored.
    async fn all(&mut self, seen: Preflight) -> Result<Option<WallMs>, Fatal> {
        let first_ms = match seen.kept {
            Some(kept) => {
                self.remark(seen.remarks);
                for chosen in kept {
                    self.hand_out(chosen, Pass::Files).await?;
                }
                self.finish().await?;
                seen.first_ms
            }
            None => self.files().await?,
        };
        self.wait_for_thawing(Pass::Files).await?;
        self.links_and_folders().await?;
        self.wait_for_thawing(Pass::LinksAndFolders).await?;
        self.jobs.over()?;
        Ok(first_ms)
    }

    async fn files(&mut self) -> Result<Option<WallMs>, Fatal> {
        let ctx = self.ctx.clone();
        let mut timeline = Timeline::new(&ctx.store, &ctx.origin, &ctx.selector, ctx.at_ms);
        let mut stop = ctx.stop.clone();
        let mut page = 0;
        while let Some(chosen) = timeline.next(&mut stop).await? {
            if !timeline.is_in_order() {
                if self.ctx.options.overwrite {
                    return Err(self.out_of_order().into());
                }
                // Of two versions of one name, the one that was listed first has the better
                // claim to it: let it be written before the next page.
                if timeline.pages() != page {
                    page = timeline.pages();
                    self.finish().await?;
                }
            }
            self.hand_out(chosen, Pass::Files).await?;
            self.unsure(timeline.take_unsure()).await?;
        }
        self.unsure(timeline.take_unsure()).await?;
        self.remark(timeline.take_remarks());
        self.finish().await?;
        if !timeline.is_in_order() {
            self.ctx.stats.failed(self.out_of_order());
        }
        Ok(timeline.first_ms())
    }

    fn remark(&self, remarks: Vec<Fault>) {
        let stats = &self.ctx.stats;
        remarks
            .into_iter()
            .for_each(|remark| stats.remarked(remark));
    }

    /// Names files whose version at the moment could not be determined, like failures.
    async fn unsure(&mut self, faults: Vec<Fault>) -> Result<(), Fatal> {
        for fault in faults {
            let failure = self.jobs.failure(fault);
            self.failed(failure).await?;
        }
        Ok(())
    }

    async fn links_and_folders(&mut self) -> Result<(), Fatal> {
        let PutOff {
            mut known,
            beyond,
            any_size,
        } = std::mem::take(&mut self.put_off);
        // In reverse order, so that a folder comes after what is in it.
        known.sort_by(|a, b| b.key.cmp(&a.key));
        for chosen in known {
            self.hand_out(chosen, Pass::LinksAndFolders).await?;
        }
        self.finish().await?;
        match beyond {
            Some(beyond) => self.list_again(&beyond, any_size).await,
            None => Ok(()),
        }
    }

    /// What was too much to be put off is found by reading the list a second time.
    async fn list_again(&mut self, beyond: &str, any_size: bool) -> Result<(), Fatal> {
        let ctx = self.ctx.clone();
        let mut timeline = Timeline::new(&ctx.store, &ctx.origin, &ctx.selector, ctx.at_ms);
        let mut stop = ctx.stop.clone();
        while let Some(chosen) = timeline.next(&mut stop).await? {
            if chosen.key.as_str() >= beyond && (any_size || may_be_put_off(&chosen)) {
                self.hand_out(chosen, Pass::LinksAndFolders).await?;
            }
            self.unsure(timeline.take_unsure()).await?;
        }
        self.unsure(timeline.take_unsure()).await?;
        self.finish().await?;
        if !timeline.is_in_order() {
            self.ctx.stats.failed(self.out_of_order());
        }
        Ok(())
    }

    /// The list may give an older version of a key after its newest. Files that do not
    /// exist here yet are written all the same, since a doubtful copy is better than
    /// none; no existing file is replaced by one.
    fn out_of_order(&self) -> Fault {
        Fault::new(
            Class::Refused,
            "be sure to restore the newest version of every file in",
            &self.ctx.origin.bucket,
            "the server does not list its keys in order",
        )
        .hint(format!(
            "compare what came back with `{}`, and tell your technician",
            command::on_copies("versions FILE")
        ))
    }

    /// Give an object to a worker as soon as one is free.
    pub(crate) async fn hand_out(&mut self, chosen: Chosen, pass: Pass) -> Result<(), Fatal> {
        while self.jobs.is_full() {
            self.take_in().await?;
        }
        let (ctx, one) = (self.ctx.clone(), chosen.clone());
        let work = async move { bring(&ctx, &one, pass).await };
        self.jobs.begin((chosen, pass), work);
        Ok(())
    }

    pub(crate) async fn finish(&mut self) -> Result<(), Fatal> {
        while !self.jobs.is_idle() {
            self.take_in().await?;
        }
        Ok(())
    }

    /// Wait for one worker and write down what it did.
    async fn take_in(&mut self) -> Result<(), Fatal> {
        let Some(((chosen, pass), done)) = self.jobs.ended().await? else {
            return Ok(());
        };
        self.note();
        if let Some((bytes, was_found)) = work_done(&chosen, pass, &done) {
            self.ctx.stats.object_done(bytes, was_found);
        }
        match done {
            Ok(outcome) => {
                self.refused_in_a_row = 0;
                self.write_down(chosen, outcome);
                Ok(())
            }
            Err(failure) => self.failed(failure).await,
        }
    }

    /// Write down the failures that are certain by now.
    fn note(&mut self) {
        for fault in self.jobs.take_noted() {
            self.ctx.stats.failed(fault);
        }
    }

    fn write_down(&mut self, mut chosen: Chosen, outcome: Outcome) {
        let stats = &self.ctx.stats;
        match outcome {
            Outcome::Written {
                kind,
                bytes,
                left_out,
                torn,
            } => {
                stats.wrote(kind, bytes, chosen.modified_ms, torn);
                if let Some(fault) = left_out {
                    stats.left_out(fault);
                }
            }
            Outcome::Identical => stats.identical(chosen.modified_ms),
            Outcome::Kept(fault) => stats.already_there(fault),
            Outcome::Thawing(fault) => self.wait_or_name(chosen, fault),
            Outcome::Shadowed(outcome, covered) => {
                chosen.modified_ms = covered.stored_at_ms;
                stats.covered(covered);
                self.write_down(chosen, *outcome);
            }
            Outcome::Foreign => stats.note(|all| all.skipped_foreign += 1),
            Outcome::PutOff => self.put_off.put_off(chosen, PUT_OFF_MAX),
            Outcome::FolderMade | Outcome::Skipped => {}
        }
    }

    /// One file's failure, or the end of the run?
    async fn failed(&mut self, failure: Failure) -> Result<(), Fatal> {
        if failure.fault.is_of_the_disk() {
            self.refused_in_a_row += 1;
            let (target, refused) = (self.ctx.target.clone(), self.refused_in_a_row);
            let asked = failure.fault.clone();
            let check = move || disk_space::end_if_full(&target, refused, &asked);
            let end = tokio::task::spawn_blocking(check).await;
            if let Some(end) = end.map_err(|e| Fatal::new("restore", chain(&e), ""))? {
                return Err(end);
            }
        }
        let ended = self.jobs.failed(failure).await;
        self.note();
        ended
    }
}

/// What an object counts for the time that is left: bytes of it that have not been
/// counted yet, and whether an earlier run had brought it. `None` for what has another
/// turn.
fn work_done(chosen: &Chosen, pass: Pass, done: &Result<Outcome, Failure>) -> Option<(u64, bool)> {
    match done {
        Ok(Outcome::PutOff | Outcome::Thawing(_)) => return None,
        // It was counted the first time.
        Ok(Outcome::Skipped) if pass == Pass::LinksAndFolders => return None,
        _ => {}
    }
    // Ranges are counted as they come.
    let came_by_ranges =
        chosen.stored_bytes > RANGE_BYTES && matches!(done, Ok(Outcome::Written { .. }) | Err(_));
    let bytes = if came_by_ranges {
        0
    } else {
        chosen.stored_bytes
    };
    let was_found = matches!(done, Ok(Outcome::Identical | Outcome::Kept(_)));
    Some((bytes, was_found))
}
