//! The comparison that the daily job begins with, and everybody who asks for one.
//!
//! Invariant: a sleep in the middle is no outage and no waiting; what it cuts off
//! is begun again.

use super::patience::{Found, Patience};
use crate::backup::ManifestWriter;
use crate::index::Index;
use crate::s3::Store;
use crate::source::{RunSignals, SourceRuntime, Sources};
use crate::status::ScanDone;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The longest the digest waits, awake, for its scan and the uploads it leads to.
/// Over a slow line the rest is told as not yet protected.
const WAIT_MAX: Duration = Duration::from_secs(6 * 3600);

/// How long a computer that woke up may take to get its network back.
const WAKE_PATIENCE: Duration = Duration::from_secs(300);

/// How often one job begins a comparison again that a sleep has cut off.
const WAKES_MAX: u32 = 5;

/// How often a wait looks whether the bucket can still be reached.
const WAIT_STEP: Duration = Duration::from_secs(2);

/// What one request may take that asks whether a bucket answers: the SDK's tries.
const REQUEST_MAX: Duration = Duration::from_secs(100);

/// Compares all sources with their buckets.
#[derive(Clone)]
pub struct FullComparison {
    /// All sources.
    pub sources: Sources,
    /// The index.
    pub index: Index,
    /// The server.
    pub store: Store,
    /// Tells that the computer was asleep.
    pub signals: RunSignals,
    /// Writes the manifests.
    pub manifests: ManifestWriter,
}

impl FullComparison {
    /// Compare, let the workers store what came of it (`settled` is what to wait for
    /// beyond that), and write down what the bucket has then as a manifest. `None` for a
    /// source whose comparison did not come to its end: in time, or because the bucket
    /// cannot be used. In the order of the sources.
    pub async fn run(
        &self,
        confirmed: bool,
        settled: impl Future<Output = ()>,
    ) -> Vec<Option<ScanDone>> {
        let scans = self.compare_all(confirmed).await;
        settled.await;
        Box::pin(self.manifests.write_all(&scans)).await;
        scans
    }

    /// What a sleep has cut off is begun again.
    async fn compare_all(&self, confirmed: bool) -> Vec<Option<ScanDone>> {
        let mut woke = self.signals.woke();
        let mut waiting = Waiting::new(WAIT_MAX);
        let mut results: Vec<Compared<'_>> = self.sources.iter().map(Compared::new).collect();
        self.compare(&mut results, confirmed, &mut waiting).await;
        for _ in 0..WAKES_MAX {
            if results.iter().all(Compared::is_whole) {
                break;
            }
            // The heartbeat notices within a second or two.
            tokio::time::sleep(WAIT_STEP).await;
            if !woke.has_changed().unwrap_or(false) {
                break;
            }
            woke.mark_unchanged();
            tracing::info!(
                "the computer was asleep meanwhile: what was not compared is compared again"
            );
            self.until_reachable().await;
            self.compare(&mut results, confirmed, &mut waiting).await;
        }
        results.into_iter().map(|compared| compared.scan).collect()
    }

    /// Compare once what is not compared yet.
    async fn compare(&self, results: &mut [Compared<'_>], confirmed: bool, waiting: &mut Waiting) {
        let cut = results.iter_mut().filter(|compared| !compared.is_whole());
        let asked: Vec<_> = cut
            .map(|compared| {
                let asked = compared.source.work.scans.ask_and_wait(confirmed);
                (compared, asked)
            })
            .collect();
        for (compared, asked) in asked {
            let source = compared.source;
            let mut patience = Patience::default();
            let scan = self.unless_hopeless(source, waiting, &mut patience, asked);
            compared.scan = scan.await.and_then(Result::ok);
            // What is still on its way then is told as such.
            let drained = source.work.queue.backlog_drained();
            self.unless_hopeless(source, waiting, &mut patience, drained)
                .await;
        }
    }

    /// Wait until every bucket answers, or [`WAKE_PATIENCE`] is over: a network that is
    /// not back yet says nothing of the backup.
    pub(crate) async fn until_reachable(&self) {
        let mut waiting = Waiting::new(WAKE_PATIENCE);
        for source in self.sources.iter() {
            while let Err(fault) = self.store.reach(&source.config.bucket).await
                && fault.class.is_transient()
                && !waiting.left.is_zero()
            {
                tokio::time::sleep(WAIT_STEP).await;
                waiting.passed(REQUEST_MAX);
            }
        }
    }

    /// Wait for `work`, but neither too long nor through an outage (of the bucket, the
    /// folder or the index) that lasts or that only a person can end.
    async fn unless_hopeless<T>(
        &self,
        source: &SourceRuntime,
        waiting: &mut Waiting,
        patience: &mut Patience,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::pin!(work);
        let mut woke = self.signals.woke();
        loop {
            if let Some(done) = waiting.step(&mut work).await {
                return Some(done);
            }
            if waiting.left.is_zero() {
                return None;
            }
            let passed = waiting.passed(WAIT_STEP * 2);
            if woke.has_changed().unwrap_or(false) {
                // It takes its network a while to come back.
                woke.mark_unchanged();
                *patience = Patience::default();
            }
            if !source.destination.may_send() {
                return None;
            }
            let done = self.index.activity(source.id);
            let deeds = done.versions + done.deletions;
            if patience.is_over(self.in_the_way(source), deeds, passed) {
                return None;
            }
        }
    }

    /// What holds up a comparison of that source now.
    fn in_the_way(&self, source: &SourceRuntime) -> Found {
        match source.breaker.outage() {
            Some((_, fault)) if !fault.class.is_transient() => Found::NeedsPerson,
            // What cannot be written down is worked on again and again.
            _ if self.index.broken().is_some() => Found::Index,
            Some(_) => Found::MayPass,
            None if !source.watchdog.may_work() => Found::MayPass,
            None => Found::Well,
        }
    }
}

/// One source's comparison.
struct Compared<'a> {
    source: &'a SourceRuntime,
    scan: Option<ScanDone>,
}

impl<'a> Compared<'a> {
    fn new(source: &'a Arc<SourceRuntime>) -> Self {
        Self { source, scan: None }
    }

    fn is_whole(&self) -> bool {
        self.scan.as_ref().is_some_and(ScanDone::complete)
    }
}

/// How long somebody may wait, and has waited, with the computer awake. Some
/// systems' clocks go on while it sleeps.
struct Waiting {
    left: Duration,
    looked: Instant,
}

impl Waiting {
    fn new(limit: Duration) -> Self {
        Self {
            left: limit,
            looked: Instant::now(),
        }
    }

    /// Wait for `work` until it is time for a look. What is done counts, also when the
    /// time has gone for something else.
    async fn step<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let limit = WAIT_STEP.min(self.left);
        tokio::time::timeout(limit, work).await.ok()
    }

    /// What has passed since the last look, of which no more than `awake_max` can
    /// have been spent awake.
    fn passed(&mut self, awake_max: Duration) -> Duration {
        let now = Instant::now();
        let passed = now.duration_since(self.looked).min(awake_max);
        self.looked = now;
        self.left = self.left.saturating_sub(passed);
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Named after the bug: with one source on its way for six hours, the scans of the
    /// others, over after minutes, had not come to their end.
    #[tokio::test(start_paused = true)]
    async fn what_is_done_counts_also_when_the_time_is_over() {
        let waiting = Waiting::new(Duration::ZERO);
        assert_eq!(waiting.step(std::future::ready(7)).await, Some(7));
        assert_eq!(waiting.step(std::future::pending::<()>()).await, None);
    }

    /// Named after the bug: on systems whose clocks go on in sleep, six hours of it
    /// were six hours of waiting, and a minute of it an outage that lasts.
    #[tokio::test(start_paused = true)]
    async fn time_asleep_is_no_waiting() {
        let mut waiting = Waiting::new(WAIT_MAX);
        tokio::time::advance(WAIT_STEP).await;
        assert_eq!(waiting.passed(WAIT_STEP * 2), WAIT_STEP);
        tokio::time::advance(WAIT_MAX * 2).await;
        assert_eq!(waiting.passed(WAIT_STEP * 2), WAIT_STEP * 2);
        assert_eq!(waiting.left, WAIT_MAX - WAIT_STEP * 3);
        // Awake it ends.
        let mut steps = 0;
        while !waiting.left.is_zero() {
            tokio::time::advance(WAIT_STEP).await;
            waiting.passed(WAIT_STEP * 2);
            steps += 1;
        }
        assert_eq!(WAIT_STEP * (steps + 3), WAIT_MAX);
    }
}
