//! The workers of one run, and how it ends.

use super::failures::{FailureStreak, Verdict};
use crate::retry::{Stop, advise_rerun};
use crate::s3::Store;
use crate::types::{Fatal, Fault, chain};
use std::pin::Pin;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The bucket that a run works on.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) store: Store,
    pub(crate) bucket: String,
}

/// The bounds of one run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Jobs under way at once.
    pub(crate) jobs_max: usize,
    /// Failures in a row that are the server's, before the run asks whether it is
    /// there at all. If it answers, the run goes on.
    pub(crate) failures_in_a_row_max: u32,
}

/// One job's failure, with its place among the jobs.
#[derive(Debug)]
pub(crate) struct Failure {
    number: u64,
    pub(crate) fault: Fault,
}

/// Runs jobs of the kind `J`, each of which ends in an outcome `D` or a fault.
/// Dropped, it asks its jobs to end and aborts them.
pub(crate) struct JobRunner<J, D> {
    /// What the run does, in one word, for a job that panics.
    name: &'static str,
    site: Site,
    limits: Limits,
    jobs: JoinSet<(u64, J, Result<D, Fault>)>,
    /// The next job's number.
    next: u64,
    failures: FailureStreak,
    end: watch::Sender<bool>,
}

impl<J: Send + 'static, D: Send + 'static> JobRunner<J, D> {
    pub(crate) fn new(name: &'static str, site: Site, limits: Limits) -> Self {
        Self {
            name,
            site,
            limits,
            jobs: JoinSet::new(),
            next: 0,
            failures: FailureStreak::new(limits.failures_in_a_row_max),
            end: watch::Sender::new(false),
        }
    }

    /// What the jobs look at: it is asked when the run ends, for whatever reason.
    pub(crate) fn stop(&self) -> Stop {
        Stop::new(self.end.subscribe())
    }

    /// One job must end before the next begins.
    pub(crate) fn is_full(&self) -> bool {
        self.jobs.len() >= self.limits.jobs_max
    }

    /// No job is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Begin a job. Whoever calls this has made room before.
    pub(crate) fn begin(
        &mut self,
        job: J,
        work: impl Future<Output = Result<D, Fault>> + Send + 'static,
    ) where
        J: Sync,
    {
        let number = self.number();
        self.jobs.spawn(async move { (number, job, work.await) });
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// Wait for one job to end; `None` when none is under way.
    ///
    /// # Errors
    /// The job panicked.
    pub(crate) async fn ended(&mut self) -> Result<Option<(J, Result<D, Failure>)>, Fatal> {
        let Some(joined) = self.jobs.join_next().await else {
            return Ok(None);
        };
        let (number, job, done) = joined.map_err(|e| Fatal::new(self.name, chain(&e), ""))?;
        if done.is_ok() {
            self.failures.succeeded(number);
        }
        Ok(Some((job, done.map_err(|fault| Failure { number, fault }))))
    }

    /// The failure of what was done without a job, at this point among the jobs.
    pub(crate) fn failure(&mut self, fault: Fault) -> Failure {
        let number = self.number();
        Failure { number, fault }
    }

    /// One job's failure: go on, or end the run. What is to be noted of it, and of others
    /// before it, is in [`JobRunner::take_noted`] afterwards, also when the run ends.
    ///
    /// # Errors
    /// Nothing more can be had: the failure itself, or a server that does not answer.
    pub(crate) async fn failed(&mut self, failure: Failure) -> Result<(), Fatal> {
        match self.failures.failed(failure.number, failure.fault) {
            Verdict::EndRun(fault) => Err((*fault).into()),
            Verdict::GoOn => Ok(()),
            Verdict::AskServer => {
                let Site { store, bucket } = &self.site;
                store.reach(bucket).await.map_err(advise_rerun)?;
                Ok(())
            }
        }
    }

    /// No more jobs come.
    ///
    /// # Errors
    /// Everything was denied: the keys may read nothing.
    pub(crate) fn over(&mut self) -> Result<(), Fatal> {
        Ok(self.failures.over()?)
    }

    /// The failures to note since this was asked last.
    pub(crate) fn take_noted(&mut self) -> Vec<Fault> {
        self.failures.take_noted()
    }

    /// Ask the jobs to end, and wait until they have. What failed until then is to be noted.
    pub(crate) async fn finish_early(&mut self) {
        self.failures.broken_off();
        self.end.send_replace(true);
        while self.jobs.join_next().await.is_some() {}
    }
}

impl<J, D> Drop for JobRunner<J, D> {
    /// Lets what still runs on other threads end, also when the run is dropped.
    fn drop(&mut self) {
        self.end.send_replace(true);
    }
}

/// Work until it is done or somebody asks to stop; `operation` says what then remains
/// undone. The work is boxed: a whole run is too large a future to be moved on a stack.
///
/// # Errors
/// As `work`; [`Fatal::interrupted`] when it was asked.
pub(crate) async fn until_asked<T>(
    stop: &mut Stop,
    operation: &str,
    work: Pin<Box<impl Future<Output = Result<T, Fatal>>>>,
) -> Result<T, Fatal> {
    tokio::select! {
        done = work => done,
        () = stop.asked() => Err(Fatal::interrupted(operation)),
    }
}
