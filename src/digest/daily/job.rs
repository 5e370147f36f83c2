//! When the daily job runs, and what it does.

use super::comparing::FullComparison;
use super::source_report::source_report;
use crate::bandwidth::TrafficMeter;
use crate::clock::{Clock, show_clock_difference};
use crate::config::{Config, StoreConfig};
use crate::digest::report::Report;
use crate::digest::schedule::{Due, next_run, remember};
use crate::drill;
use crate::drill::DrillRunner;
use crate::index::{Activity, Failures, Index};
use crate::mail::commands;
use crate::mail::{Delivery, Message, OutboxSender};
use crate::os::blocking::blocking;
use crate::pacing::{VersionCosts, keep_costs};
use crate::source::{RunSignals, SourceRuntime, Sources};
use crate::status::ScanDone;
use crate::types::Fault;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often the clock is looked at: computers sleep and clocks are set, so
/// never sleep until the hour in one go.
const LOOK: Duration = Duration::from_secs(5);

/// A daily job that failed is tried again after this.
const AFTER_FAILURE: Duration = Duration::from_secs(600);

const LAST_RUN: &str = "digest:last_run_ms";
const PERIOD_START: &str = "digest:period_start_ms";

/// The figures a digest was made from, per source.
type Told = Vec<(Activity, Failures)>;

/// The daily job and what it works with.
#[derive(Clone)]
pub struct DailyJob {
    /// The configuration: when it runs, and what a digest says of it.
    pub config: Arc<Config>,
    /// All sources.
    pub sources: Sources,
    /// The index.
    pub index: Index,
    /// The clocks.
    pub clock: Clock,
    /// Tells that the computer was asleep.
    pub signals: RunSignals,
    /// Where the digest goes.
    pub outbox: Arc<OutboxSender>,
    /// What went over the line.
    pub traffic: Arc<TrafficMeter>,
    /// The comparison that it begins with.
    pub comparison: FullComparison,
    /// The restore drill.
    pub drill: DrillRunner,
}

impl DailyJob {
    /// Run each day until told to stop.
    pub async fn keep(self, mut stop: watch::Receiver<bool>) {
        let mut woke = self.signals.woke();
        loop {
            tokio::select! {
                due = self.due() => {
                    if let Some(scheduled_ms) = due {
                        if woke.has_changed().unwrap_or(false) {
                            self.comparison.until_reachable().await;
                        }
                        Box::pin(self.run_scheduled(scheduled_ms)).await;
                    }
                    woke.mark_unchanged();
                }
                _ = stop.changed() => return,
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                _ = stop.changed() => return,
            }
        }
    }

    /// It counts as run only once its digest is handed over.
    async fn run_scheduled(&self, scheduled_ms: i64) {
        tracing::info!("daily job begins");
        // Not when it ends: by then the next day's may be due, which is its own.
        let began_ms = self.clock.server_now_ms();
        let done = async {
            let settled = std::future::ready(());
            let (_, delivery) = Box::pin(self.run(scheduled_ms, settled)).await?;
            self.set_state(LAST_RUN, began_ms).await?;
            Ok::<_, Fault>(delivery)
        };
        match done.await {
            Ok(delivery) => tracing::info!(?delivery, "daily job done"),
            Err(fault) => {
                tracing::error!("the daily job failed and is tried again: {fault}");
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }

    /// When the job that is due now was scheduled; `None` when none is.
    async fn due(&self) -> Option<i64> {
        match self.due_or_fault().await {
            Ok(due) => due,
            Err(fault) => {
                tracing::error!("{fault}");
                None
            }
        }
    }

    async fn due_or_fault(&self) -> Result<Option<i64>, Fault> {
        let Ok(now) = Timestamp::from_millisecond(self.clock.server_now_ms()) else {
            return Ok(None);
        };
        let last = self
            .state(LAST_RUN)
            .await?
            .and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let known = remember(last, now);
        if Some(known) != last {
            self.set_state(LAST_RUN, known.as_millisecond()).await?;
        }
        let schedule = &self.config.schedule;
        match next_run(schedule.digest_at, &schedule.time_zone, now, Some(known)) {
            Due::Now { scheduled } => Ok(Some(scheduled.as_millisecond())),
            Due::At(_) => Ok(None),
        }
    }

    /// The daily job, now: full comparison of every source, then (after `settled`)
    /// the restore drill, then the digest.
    ///
    /// # Errors
    /// The index cannot be read, or the digest can neither be sent nor kept.
    pub async fn run(
        &self,
        scheduled_ms: i64,
        settled: impl Future<Output = ()>,
    ) -> Result<(Message, Delivery), Fault> {
        // Boxed: each is a state machine of many kilobytes.
        let scans = Box::pin(self.comparison.run(false, settled)).await;
        Box::pin(self.drill.run()).await;
        let (report, told) = self.compose(scheduled_ms, Some(scans)).await?;
        let message = report.message();
        let delivery = self.outbox.send(message.clone()).await?;
        self.close_period(told, report.to_ms).await?;
        self.traffic.forget(report.traffic).await?;
        Ok((message, delivery))
    }

    async fn state(&self, key: &'static str) -> Result<Option<i64>, Fault> {
        let index = self.index.clone();
        blocking(move || Ok(index.state_get(key)?.and_then(|v| v.as_i64()))).await
    }

    async fn set_state(&self, key: &'static str, ms: i64) -> Result<(), Fault> {
        let index = self.index.clone();
        blocking(move || index.state_set(key, &serde_json::Value::from(ms))).await
    }

    /// The digest as things stand now; changes nothing.
    ///
    /// # Errors
    /// The index cannot be read.
    pub async fn report(&self, scheduled_ms: i64) -> Result<Report, Fault> {
        Ok(self.compose(scheduled_ms, None).await?.0)
    }

    /// `scans` are the comparisons that were made for this digest; without them the
    /// newest scans stand for them.
    async fn compose(
        &self,
        scheduled_ms: i64,
        scans: Option<Vec<Option<ScanDone>>>,
    ) -> Result<(Report, Told), Fault> {
        if let Some(first) = self.sources.first() {
            show_clock_difference(&self.clock, &first.status);
        }
        let now_ms = self.clock.server_now_ms();
        let from_ms = self.state(PERIOD_START).await?;
        let both = {
            let (sources, index) = (Arc::clone(&self.sources), self.index.clone());
            blocking(move || {
                let newest = |source: &Arc<SourceRuntime>| source.status.snapshot().last_scan;
                let scans = scans.unwrap_or_else(|| sources.iter().map(newest).collect());
                sources
                    .iter()
                    .zip(scans)
                    .map(|(source, scan)| source_report(&index, source, scan))
                    .collect::<Result<Vec<_>, _>>()
            })
            .await?
        };
        let (sources, told) = both.into_iter().unzip();
        let traffic = self.traffic.traffic().await?;
        let drill = {
            let index = self.index.clone();
            blocking(move || Ok(drill::last(&index).ok().flatten())).await?
        };
        let report = Report {
            traffic,
            drill: drill.filter(|_| self.config.drill.enabled),
            program: commands::program(&self.config),
            is_billed: matches!(self.config.store, StoreConfig::S3(_)),
            computer: crate::os::computer_name(),
            scheduled_ms,
            from_ms: from_ms.unwrap_or(now_ms - 24 * 3600 * 1000),
            to_ms: now_ms,
            time_zone: self.config.schedule.time_zone.clone(),
            sources,
        };
        Ok((report, told))
    }

    /// What was told is not told again; what came meanwhile stays for the next one.
    async fn close_period(&self, told: Told, to_ms: i64) -> Result<(), Fault> {
        {
            let (sources, index) = (Arc::clone(&self.sources), self.index.clone());
            blocking(move || {
                for (source, (activity, failures)) in sources.iter().zip(&told) {
                    index.close_period(source.id, activity, failures)?;
                }
                for source in sources.iter() {
                    source.pacing.with_costs(VersionCosts::clear);
                    keep_costs(&index, source.id, &source.pacing)?;
                }
                Ok(())
            })
            .await?;
        }
        self.set_state(PERIOD_START, to_ms).await
    }
}
