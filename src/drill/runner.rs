//! One drill from its beginning to its end.

use super::again::look_again;
use super::budget::Budget;
use super::outcome::Drill;
use super::sample::restore_some;
use super::scratch::Scratch;
use super::tell::OwnerMail;
use super::try_one::Trial;
use super::why::Why;
use super::{book, tell};
use crate::clock::Clock;
use crate::config::{Config, StoreConfig};
use crate::index::Index;
use crate::mail::OutboxSender;
use crate::os::blocking::blocking;
use crate::retry::Stop;
use crate::s3::Store;
use crate::source::Sources;
use crate::work::Queue;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often it is seen whether the program stops.
const LOOK: Duration = Duration::from_millis(100);

/// Does the drill.
#[derive(Clone)]
pub struct DrillRunner {
    /// The configuration: what a drill may take, and where its scratch folder is.
    pub config: Arc<Config>,
    /// The sources that it draws from.
    pub sources: Sources,
    /// The server.
    pub store: Store,
    /// The index.
    pub index: Index,
    /// The clocks.
    pub clock: Clock,
    /// Closed when the program stops.
    pub queue: Queue,
    /// Where findings are told.
    pub outbox: Arc<OutboxSender>,
}

impl DrillRunner {
    /// Do the drill and tell what it finds; `None` when it is switched off.
    ///
    /// Whatever fails or hangs, the digest that comes after it is due, by
    /// `drill.time_max` at the latest: it says so.
    pub async fn run(&self) -> Option<Drill> {
        let config = &self.config;
        if !config.drill.enabled {
            return None;
        }
        // Whatever ends this, what still runs on other threads ends as well.
        let end = EndOnDrop(watch::channel(false).0);
        let stop = Stop::new(end.0.subscribe());
        let began = Instant::now();
        let mut drill = Drill {
            at_ms: self.clock.now_ms(),
            ..Drill::default()
        };
        let mut budget = Budget::new(&config.drill, matches!(config.store, StoreConfig::S3(_)));
        let time_max = Duration::from_millis(config.drill.time_max_ms);
        let done = tokio::select! {
            done = self.all(&mut drill, &mut budget, &stop) => done,
            () = self.until_closed() => Err(Why::NotRun("Keepwatch was stopped".to_owned())),
            () = tokio::time::sleep(time_max) => Err(Why::NotRun(format!(
                "it was not done within the {} minutes that it may take (`time_max` in [drill])",
                time_max.as_secs() / 60
            ))),
        };
        drill.took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        drill.traffic = budget.traffic();
        drill.micro_usd = budget.micro_usd();
        match done {
            Ok(()) => {}
            Err(Why::NotRun(why)) => drill.not_run = Some(why),
            Err(Why::Index(fault)) => drill.not_run = Some(fault.to_string()),
        }
        match drill.is_well() {
            true => tracing::info!("restore drill: {}", drill.line()),
            false => tracing::warn!("restore drill: {}", drill.line()),
        }
        if let Err(fault) = book::keep(&self.index, &drill).await {
            tracing::warn!("what the restore drill found is not kept: {fault}");
        }
        Some(drill)
    }

    async fn until_closed(&self) {
        while !self.queue.is_closed() {
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn all(&self, drill: &mut Drill, budget: &mut Budget, stop: &Stop) -> Result<(), Why> {
        let scratch = {
            let state_dir = self.config.state_dir.clone();
            blocking(move || Scratch::new(&state_dir)).await
        };
        let scratch = scratch.map_err(|fault| Why::NotRun(fault.to_string()))?;
        let mut trial = Trial {
            sources: &self.sources,
            store: &self.store,
            index: &self.index,
            clock: &self.clock,
            budget,
            scratch,
            stop: stop.clone(),
        };
        let mail = OwnerMail {
            config: &self.config,
            outbox: &self.outbox,
        };
        // What was found before is looked at first: it may be over.
        let again = look_again(&mut trial, &mail, drill).await?;
        trial.budget.begin_sample();
        let result = restore_some(&self.config, &mut trial, drill, again).await;
        tell::new_ones(&self.index, &mail, &mut drill.failures).await?;
        tell::lasting(&self.index, drill).await?;
        result
    }
}

struct EndOnDrop(watch::Sender<bool>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}
