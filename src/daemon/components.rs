//! The components of a daemon, and the loops that are built from them.

use super::maintenance::Maintenance;
use crate::backup::{
    BreakerReports, Commits, Executor, LateChecks, ManifestWriter, OrphanedUploads, SwapTracker,
    Worker,
};
use crate::bandwidth::{Reload, TrafficMeter};
use crate::clock::{Clock, WallClock};
use crate::config::Config;
use crate::digest::{DailyJob, FullComparison};
use crate::drill::DrillRunner;
use crate::index::Index;
use crate::mail::OutboxSender;
use crate::manifest::Computer;
use crate::os;
use crate::s3::Store;
use crate::scan::Scanner;
use crate::sns::Notifier;
use crate::source::{RunSignals, SourceRuntime, Sources};
use crate::status::Events;
use crate::transfer::{Budget, Uploads};
use crate::verify::Repairer;
use crate::watch::{Collector, WatchOptions};
use crate::watchdog::Loops;
use crate::work::Queue;
use std::sync::Arc;
use std::time::Duration;

/// How long a run clears away uploads at its end: an abort is one small request.
pub(crate) const CLEARING_MAX: Duration = Duration::from_secs(5);

/// What a caller may replace; the defaults are what the program uses.
#[derive(Default)]
pub struct Options {
    /// The server, instead of the one the configuration names.
    pub store: Option<Store>,
    /// The wall clock.
    pub clock: Option<WallClock>,
    /// The computer, as it owns destinations.
    pub computer: Option<Computer>,
    /// The topic's publisher, instead of the one the configuration names.
    pub notifier: Option<Notifier>,
    /// How long a disk may take to answer.
    pub answer_wait: Option<Duration>,
    /// The times of the watch.
    pub watch: WatchOptions,
    /// Reads the configuration again when its file has changed.
    pub reload: Option<Reload>,
}

/// This computer, as it owns destinations.
pub fn this_computer() -> Computer {
    let machine_id = os::machine_id();
    Computer::new(os::computer_name(), machine_id.as_deref())
}

/// Everything connected, nothing running yet: what the loops are built from.
#[derive(Clone)]
pub struct Components {
    /// The validated configuration.
    pub config: Arc<Config>,
    /// One per `[[source]]`, in the configuration's order.
    pub sources: Sources,
    /// The server.
    pub store: Store,
    /// The index.
    pub index: Index,
    /// The paths that wait for workers.
    pub queue: Queue,
    /// The clocks.
    pub clock: Clock,
    /// What every loop may want to hear.
    pub signals: RunSignals,
    /// What is told as it happens.
    pub events: Events,
    /// Where messages go.
    pub outbox: Arc<OutboxSender>,
    /// What went over the line.
    pub traffic: Arc<TrafficMeter>,
    /// What workers write into the index, many at a time.
    pub commits: Commits,
    /// Uploads in parts under way.
    pub uploads: Uploads,
    /// Files that changed places of late.
    pub swaps: SwapTracker,
    /// Memory for file contents.
    pub budget: Budget,
    /// Whether the loops turn.
    pub loops: Loops,
}

impl Components {
    /// The comparison of all sources with their buckets.
    pub fn comparison(&self) -> FullComparison {
        FullComparison {
            sources: Arc::clone(&self.sources),
            index: self.index.clone(),
            store: self.store.clone(),
            signals: self.signals.clone(),
            manifests: self.manifests(),
        }
    }

    /// The daily job.
    pub fn daily_job(&self) -> DailyJob {
        DailyJob {
            config: Arc::clone(&self.config),
            sources: Arc::clone(&self.sources),
            index: self.index.clone(),
            clock: self.clock.clone(),
            signals: self.signals.clone(),
            outbox: Arc::clone(&self.outbox),
            traffic: Arc::clone(&self.traffic),
            comparison: self.comparison(),
            drill: self.drill(),
        }
    }

    /// The restore drill.
    pub fn drill(&self) -> DrillRunner {
        DrillRunner {
            config: Arc::clone(&self.config),
            sources: Arc::clone(&self.sources),
            store: self.store.clone(),
            index: self.index.clone(),
            clock: self.clock.clone(),
            queue: self.queue.clone(),
            outbox: Arc::clone(&self.outbox),
        }
    }

    /// What compares the sources with their buckets for `verify`, and mends them.
    pub fn repairer(&self) -> Arc<Repairer> {
        Arc::new(Repairer {
            sources: Arc::clone(&self.sources),
            store: self.store.clone(),
            index: self.index.clone(),
            clock: self.clock.clone(),
        })
    }

    /// What writes the manifests.
    pub fn manifests(&self) -> ManifestWriter {
        ManifestWriter {
            config: Arc::clone(&self.config),
            sources: Arc::clone(&self.sources),
            store: self.store.clone(),
            index: self.index.clone(),
            clock: self.clock.clone(),
            budget: self.budget.clone(),
            uploads: self.uploads.clone(),
        }
    }

    /// What clears orphaned uploads away.
    pub fn orphaned_uploads(&self) -> OrphanedUploads {
        OrphanedUploads {
            sources: Arc::clone(&self.sources),
            store: self.store.clone(),
            index: self.index.clone(),
            uploads: self.uploads.clone(),
        }
    }

    pub(super) fn late_checks(&self) -> LateChecks {
        let limit_ms = self.config.limits.late_request_ms;
        LateChecks {
            sources: Arc::clone(&self.sources),
            store: self.store.clone(),
            index: self.index.clone(),
            clock: self.clock.clone(),
            limit_ms: i64::try_from(limit_ms).unwrap_or(i64::MAX),
        }
    }

    pub(super) fn worker(&self) -> Worker {
        Worker {
            sources: Arc::clone(&self.sources),
            queue: self.queue.clone(),
            index: self.index.clone(),
            clock: self.clock.clone(),
            signals: self.signals.clone(),
            limits: self.config.limits.clone(),
            executor: self.executor(),
        }
    }

    fn executor(&self) -> Executor {
        Executor {
            store: self.store.clone(),
            index: self.index.clone(),
            commits: self.commits.clone(),
            uploads: self.uploads.clone(),
            swaps: self.swaps.clone(),
            budget: self.budget.clone(),
            clock: self.clock.clone(),
            breakers: BreakerReports {
                sources: Arc::clone(&self.sources),
                queue: self.queue.clone(),
                clock: self.clock.clone(),
                workers_max: self.config.limits.workers,
            },
        }
    }

    pub(super) fn collector(&self, source: &Arc<SourceRuntime>) -> Collector {
        Collector {
            source: Arc::clone(source),
            sources: Arc::clone(&self.sources),
            index: self.index.clone(),
            clock: self.clock.clone(),
            signals: self.signals.clone(),
            limits: self.config.limits.clone(),
            pulse: self.loops.begin(format!("collector of {}", source.name())),
        }
    }

    pub(super) fn scanner(&self, source: &Arc<SourceRuntime>) -> Scanner {
        Scanner {
            source: Arc::clone(source),
            index: self.index.clone(),
            store: self.store.clone(),
            clock: self.clock.clone(),
            debounce_ms: i64::try_from(self.config.limits.debounce_ms).unwrap_or(0),
        }
    }

    pub(super) fn maintenance(&self) -> Maintenance {
        Maintenance {
            config: Arc::clone(&self.config),
            sources: Arc::clone(&self.sources),
            store: self.store.clone(),
            index: self.index.clone(),
            queue: self.queue.clone(),
            clock: self.clock.clone(),
            signals: self.signals.clone(),
            outbox: Arc::clone(&self.outbox),
            late: self.late_checks(),
            orphaned: self.orphaned_uploads(),
            pulse: self.loops.begin("heartbeat"),
        }
    }
}
