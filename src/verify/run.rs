//! The run: does a few checks at once and writes down the results.
//!
//! Holds a page of each side, the checks under way, and what was drawn.

use super::context::VerifyContext;
use super::draw::{Draw, Drawn};
use super::findings::{Deep, Finding, Verified};
use super::judge::Wrong;
use super::outcome::{CheckOutcome, VersionCheck};
use super::request::{VerifyEvent, VerifyRequest};
use crate::history::word_for;
use crate::jobs::{Failure, JobRunner, Limits, Site, until_asked};
use crate::retry::Stop;
use crate::s3::Store;
use crate::types::{Fatal, Fault, id_text};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Versions checked at once: a HEAD waits for the round trip to the server and holds
/// nothing meanwhile.
const CHECKS_AT_ONCE: usize = 32;

/// Downloads at once, as many as a restore makes; each holds a thread.
const DOWNLOADS_AT_ONCE: usize = 8;

/// The pause before the second look at what seems to be somebody else's: a worker writes
/// a change down some milliseconds after the bucket has taken it, on a busy computer
/// perhaps a second. All wait side by side while the rest of the bucket is checked.
const SETTLING: Duration = Duration::from_secs(3);

/// How many wait for their second look, some 2 KB each. Beyond that the run waits for
/// the first of them.
const SUSPECTS_MAX: usize = 2_000;

/// Checks that the server fails in a row before it is asked whether it answers at all.
const FAILURES_IN_A_ROW_MAX: u32 = 2 * CHECKS_AT_ONCE as u32;

/// Verify one source.
///
/// # Errors
/// [`Fatal`] when nothing can be said: no listing, no credentials, no index, a
/// server that is gone; and when told to stop.
pub async fn verify(
    store: &Store,
    request: VerifyRequest,
    report: impl Fn(VerifyEvent<'_>) + Send + Sync,
    stop: &Stop,
) -> Result<Verified, Fatal> {
    let mut run = Run::new(store, &request, &report);
    let mut stop = stop.clone();
    let work = Box::pin(run.all());
    until_asked(&mut stop, "verify everything", work).await?;
    let mut result = run.result;
    result.unmatched = request.selector.unmatched();
    result.matched = request.selector.matched();
    result.near = request.selector.near().iter().map(word_for).collect();
    Ok(result)
}

/// One source being verified.
pub(crate) struct Run<'a> {
    pub(crate) ctx: Arc<VerifyContext>,
    pub(crate) request: &'a VerifyRequest,
    pub(crate) report: &'a (dyn Fn(VerifyEvent<'_>) + Send + Sync),
    jobs: JobRunner<(), CheckOutcome>,
    /// What waits for its second look, and since when.
    suspects: VecDeque<(Instant, Box<(VersionCheck, Wrong)>)>,
    draw: Draw<VersionCheck>,
    pub(crate) result: Verified,
}

impl<'a> Run<'a> {
    fn new(
        store: &Store,
        request: &'a VerifyRequest,
        report: &'a (dyn Fn(VerifyEvent<'_>) + Send + Sync),
    ) -> Self {
        let site = Site {
            store: store.clone(),
            bucket: request.origin.bucket.clone(),
        };
        let limits = Limits {
            jobs_max: CHECKS_AT_ONCE,
            failures_in_a_row_max: FAILURES_IN_A_ROW_MAX,
        };
        let jobs = JobRunner::new("verify", site, limits);
        Self {
            ctx: Arc::new(VerifyContext {
                store: store.clone(),
                name: request.name.clone(),
                origin: request.origin.clone(),
                known: request.known.clone(),
                deep: request.deep != Deep::No,
                stop: jobs.stop(),
                downloads: Semaphore::new(DOWNLOADS_AT_ONCE),
            }),
            jobs,
            draw: Draw::new(request.deep, request.seed),
            suspects: VecDeque::new(),
            result: Verified {
                name: request.name.clone(),
                with_index: request.known.is_some(),
                all_versions: request.all_versions,
                ..Verified::default()
            },
            report,
            request,
        }
    }

    async fn all(&mut self) -> Result<(), Fatal> {
        let request = self.request;
        for key in request.only.iter().flatten() {
            let record = match &request.known {
                Some(known) => known.record(key).await?,
                None => None,
            };
            self.one_key(key.clone(), record).await?;
        }
        let prefixes = match request.only {
            Some(_) => Vec::new(),
            None => request.selector.prefixes(&request.origin.prefix),
        };
        for prefix in prefixes {
            self.below(prefix).await?;
        }
        let empty = Draw::new(Deep::No, 0);
        for mut check in std::mem::replace(&mut self.draw, empty).into_items() {
            check.deep = true;
            self.start(check).await?;
        }
        while !self.jobs.is_idle() || !self.suspects.is_empty() {
            self.take_in().await?;
            if self.jobs.is_idle() {
                self.look_again(0).await?;
            }
        }
        self.jobs.over()?;
        self.note();
        if request.only.is_none() && request.selector.is_everything() {
            Box::pin(self.manifests()).await?;
        }
        Ok(())
    }

    /// Check a version; the sample may want its content, too.
    pub(crate) async fn offer(&mut self, mut check: VersionCheck) -> Result<(), Fatal> {
        let drawn = {
            let listed = &check.listed;
            let keep = || check.clone();
            self.draw.offer(
                &listed.key,
                id_text(&listed.version_id),
                listed.stored_bytes,
                keep,
            )
        };
        match drawn {
            Drawn::Now => check.deep = true,
            Drawn::No => {}
            Drawn::TooLarge => self.result.too_large += 1,
        }
        self.start(check).await
    }

    pub(crate) async fn start(&mut self, check: VersionCheck) -> Result<(), Fatal> {
        self.look_again(SUSPECTS_MAX).await?;
        self.make_room().await?;
        self.result.progress.looked += 1;
        let ctx = self.ctx.clone();
        self.jobs.begin((), async move { ctx.check(&check).await });
        Ok(())
    }

    async fn make_room(&mut self) -> Result<(), Fatal> {
        while self.jobs.is_full() {
            self.take_in().await?;
        }
        Ok(())
    }

    /// Second looks: those that have waited long enough, and as many more as are
    /// beyond `waiting_max`.
    async fn look_again(&mut self, waiting_max: usize) -> Result<(), Fatal> {
        while let Some((since, _)) = self.suspects.front() {
            let due = *since + SETTLING;
            if due > Instant::now() && self.suspects.len() <= waiting_max {
                return Ok(());
            }
            tokio::time::sleep_until(due).await;
            self.make_room().await?;
            if let Some((_, suspect)) = self.suspects.pop_front() {
                let ctx = self.ctx.clone();
                self.jobs.begin((), async move {
                    let (check, wrong) = *suspect;
                    ctx.confirm(&check, wrong).await
                });
            }
        }
        Ok(())
    }

    async fn take_in(&mut self) -> Result<(), Fatal> {
        let Some(((), done)) = self.jobs.ended().await? else {
            return Ok(());
        };
        self.note();
        match done {
            Ok(outcome) => self.write_down(outcome),
            Err(failure) => self.failed_job(failure).await?,
        }
        Ok(())
    }

    fn write_down(&mut self, outcome: CheckOutcome) {
        match outcome {
            CheckOutcome::Fine(None) => {}
            CheckOutcome::Fine(Some(bytes)) => {
                self.result.progress.hashed += 1;
                self.result.progress.hashed_bytes += bytes;
            }
            CheckOutcome::Cold => self.result.cold += 1,
            CheckOutcome::Foreign => self.result.foreign += 1,
            CheckOutcome::ByRecord => self.result.progress.looked -= 1,
            CheckOutcome::Moving => self.result.moving += 1,
            CheckOutcome::Unconfirmed(suspect) => {
                self.suspects.push_back((Instant::now(), suspect));
            }
            CheckOutcome::Wrong(finding) => {
                // A version that was drawn is checked twice.
                let is_known = |known: &Finding| {
                    known.path == finding.path && known.version_id == finding.version_id
                };
                if !self.result.findings.iter().any(is_known) {
                    self.found(*finding);
                }
            }
        }
        (self.report)(VerifyEvent::Progress(self.result.progress));
    }

    /// Report it and write it down.
    pub(crate) fn found(&mut self, finding: Finding) {
        (self.report)(VerifyEvent::Found(&finding));
        self.result.found(finding);
    }

    /// The failure of what was done without a job.
    pub(crate) async fn failed(&mut self, fault: Fault) -> Result<(), Fatal> {
        let failure = self.jobs.failure(fault);
        self.failed_job(failure).await
    }

    /// Whether it is one object's trouble or ends the run.
    async fn failed_job(&mut self, failure: Failure) -> Result<(), Fatal> {
        let ended = self.jobs.failed(failure).await;
        self.note();
        ended
    }

    /// Write down the failures that are certain by now.
    fn note(&mut self) {
        for fault in self.jobs.take_noted() {
            self.result.not_looked(fault);
        }
    }
}
