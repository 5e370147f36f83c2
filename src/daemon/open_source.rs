//! Opens the sources, each with all that belongs to it.

use crate::clock::Clock;
use crate::config::{Config, SourceConfig, StoreConfig};
use crate::destination::{Comparison, Destination, DestinationMemory};
use crate::files::{Compress, Rules};
use crate::guard::{DeletionGuard, GuardMemory};
use crate::index::{Index, SourceId};
use crate::manifest::Computer;
use crate::pacing::{Pacing, Policy};
use crate::s3::Store;
use crate::source::{CopyHealth, HardLinks, LateRequests, SourceBreaker, SourceRuntime, Sources};
use crate::status::{Events, LiveStatus};
use crate::types::Fatal;
use crate::watchdog::IoWatchdog;
use crate::work::{Hint, Queue, SourceQueue, SourceWork};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// What sources are opened with.
pub(super) struct SourceOpener {
    pub(super) config: Arc<Config>,
    pub(super) computer: Computer,
    pub(super) store: Store,
    pub(super) index: Index,
    pub(super) clock: Clock,
    pub(super) events: Events,
    /// How long a disk may take to answer.
    pub(super) answer_wait: Duration,
}

impl SourceOpener {
    /// All sources, the receiving ends of their hints, and their queue. Blocks.
    ///
    /// # Errors
    /// The index cannot be used, or a rule is none.
    pub(super) fn open_all(&self) -> Result<(Sources, Vec<mpsc::Receiver<Hint>>, Queue), Fatal> {
        let (configs, limits) = (&self.config.sources, &self.config.limits);
        let (queue, queues) = Queue::new(configs.len(), limits.queue_items_max, limits.workers);
        let buckets = configs.iter().map(|source| source.bucket.as_str());
        let breakers = SourceBreaker::for_sources(buckets, limits.workers);
        let links = Arc::new(HardLinks::default());
        let (mut sources, mut hints) = (Vec::new(), Vec::new());
        for ((config, queue), breaker) in configs.iter().zip(queues).zip(breakers) {
            let (source, receiver) = self.open(config, queue, breaker, &links)?;
            sources.push(Arc::new(source));
            hints.push(receiver);
        }
        Ok((sources.into(), hints, queue))
    }

    fn open(
        &self,
        config: &SourceConfig,
        queue: SourceQueue,
        breaker: SourceBreaker,
        links: &Arc<HardLinks>,
    ) -> Result<(SourceRuntime, mpsc::Receiver<Hint>), Fatal> {
        let config = Arc::new(config.clone());
        let server = server_name(&self.config);
        let (name, bucket, prefix) = (&config.name, &config.bucket, &config.prefix);
        let id = self.index.source_id(name, bucket, prefix, &server)?;
        let (work, hints) = SourceWork::new(queue);
        let status = LiveStatus::new(name, self.events.clone());
        let rules = Arc::new(Rules::new(&config.path, &config.exclude)?);
        let watchdog = IoWatchdog::new(
            config.path.clone(),
            self.answer_wait,
            status.clone(),
            work.clone(),
            self.clock.clone(),
        );
        let shared = Shared {
            config: &config,
            id,
            status: &status,
            work: &work,
        };
        let guard = self.guard(&shared, &rules, &watchdog)?;
        let destination = self.destination(&shared, &watchdog)?;
        let source = SourceRuntime {
            id,
            rules,
            compress: Compress::new(&config.compress)?,
            breaker,
            watchdog,
            guard: Arc::new(guard),
            comparison: Arc::clone(&destination.comparison),
            destination: Arc::new(destination),
            copies: CopyHealth::default(),
            pacing: Pacing::new(Policy {
                min_interval_ms: config.min_version_interval_ms,
                per_hour_max: config.versions_per_hour_max,
            }),
            links: Arc::clone(links),
            late: LateRequests::default(),
            work,
            status,
            config,
        };
        Ok((source, hints))
    }

    fn guard(
        &self,
        of: &Shared<'_>,
        rules: &Arc<Rules>,
        watchdog: &IoWatchdog,
    ) -> Result<DeletionGuard, Fatal> {
        Ok(DeletionGuard {
            config: Arc::clone(&self.config),
            source: Arc::clone(of.config),
            id: of.id,
            rules: Arc::clone(rules),
            index: self.index.clone(),
            store: self.store.clone(),
            clock: self.clock.clone(),
            status: of.status.clone(),
            work: of.work.clone(),
            watchdog: watchdog.clone(),
            memory: GuardMemory::load(&self.index, of.id, self.clock.now_ms())?,
        })
    }

    fn destination(&self, of: &Shared<'_>, watchdog: &IoWatchdog) -> Result<Destination, Fatal> {
        Ok(Destination {
            config: Arc::clone(&self.config),
            source: Arc::clone(of.config),
            id: of.id,
            computer: self.computer.clone(),
            store: self.store.clone(),
            index: self.index.clone(),
            clock: self.clock.clone(),
            status: of.status.clone(),
            work: of.work.clone(),
            comparison: Arc::new(Comparison::new(self.index.clone(), of.id)),
            watchdog: watchdog.clone(),
            memory: DestinationMemory::load(&self.index, of.id)?,
        })
    }
}

/// What a source shares with its guard and its destination.
struct Shared<'a> {
    config: &'a Arc<SourceConfig>,
    id: SourceId,
    status: &'a LiveStatus,
    work: &'a SourceWork,
}

/// The name by which the index tells one server from another.
fn server_name(config: &Config) -> String {
    match &config.store {
        StoreConfig::S3(s3) => s3.endpoint_url.clone().unwrap_or_else(|| "aws".into()),
        StoreConfig::Vault { path } => format!("vault:{}", path.display()),
    }
}
