//! What the daemon answers on its control socket.

use super::components::Components;
use super::status::{StatusQuestion, activities, how_far, reconciled};
use crate::clock::Clock;
use crate::config::Config;
use crate::control::{Answer, Kept, Line, Reconciled, Request, Words};
use crate::destination;
use crate::digest::{DailyJob, FullComparison};
use crate::drill;
use crate::index::Index;
use crate::mail::{Delivery, OutboxSender};
use crate::os::blocking::blocking;
use crate::retry::Stop;
use crate::s3::Store;
use crate::source::Sources;
use crate::types::{Class, Fatal, Fault, chain};
use crate::verify::{Ask, Repairer, repair};
use crate::work::Queue;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};

pub(super) use super::status::NAMED_MAX;

/// How often the status is written to a file, for when no daemon answers.
const KEEP_EVERY: Duration = Duration::from_secs(60);

/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// The daemon's answers.
pub(super) struct Answers {
    config: Arc<Config>,
    sources: Sources,
    store: Store,
    index: Index,
    queue: Queue,
    clock: Clock,
    outbox: Arc<OutboxSender>,
    daily: DailyJob,
    comparison: FullComparison,
    repairer: Arc<Repairer>,
    started_ms: i64,
}

impl Answers {
    pub(super) fn new(components: &Components, started_ms: i64) -> Self {
        Self {
            config: Arc::clone(&components.config),
            sources: Arc::clone(&components.sources),
            store: components.store.clone(),
            index: components.index.clone(),
            queue: components.queue.clone(),
            clock: components.clock.clone(),
            outbox: Arc::clone(&components.outbox),
            daily: components.daily_job(),
            comparison: components.comparison(),
            repairer: components.repairer(),
            started_ms,
        }
    }

    /// How things stand now.
    async fn state(&self) -> Result<Kept, Fault> {
        let asked = StatusQuestion {
            config: Arc::clone(&self.config),
            sources: Arc::clone(&self.sources),
            store: self.store.clone(),
            index: self.index.clone(),
            started_ms: self.started_ms,
            mail_trouble: self.outbox.trouble(),
        };
        let at_ms = self.clock.now_ms();
        blocking(move || {
            Ok(Kept {
                at_ms,
                status: asked.answer(),
            })
        })
        .await
    }

    /// Write the status to a file, for when no daemon answers.
    pub(super) async fn write_down(&self) -> Result<(), Fault> {
        let (state, folder) = (self.state().await?, self.config.state_dir.clone());
        blocking(move || {
            state.write(&folder).map_err(|error| {
                Fault::new(
                    Class::Local,
                    "write down how things stand in",
                    folder.display().to_string(),
                    chain(&error),
                )
            })
        })
        .await
    }

    /// The same, now and again until told to stop.
    pub(super) async fn keep(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut is_failing = false;
        loop {
            let written = self.write_down().await;
            let was_failing = is_failing;
            is_failing = written.is_err();
            if let Err(fault) = written
                && !was_failing
            {
                tracing::warn!("{fault}");
            }
            tokio::select! {
                () = tokio::time::sleep(KEEP_EVERY) => {}
                _ = stop.changed() => return,
            }
        }
    }

    /// The digest as it stands, or (`send`) the whole daily job, which waits for `settled`
    /// before it takes the figures.
    pub(super) async fn digest(
        &self,
        send: bool,
        settled: impl Future<Output = ()>,
    ) -> Result<Line, Fault> {
        let now_ms = self.clock.server_now_ms();
        let (message, delivery) = if send {
            let (message, delivery) = Box::pin(self.daily.run(now_ms, settled)).await?;
            (message, Some(delivery))
        } else {
            (self.daily.report(now_ms).await?.message(), None)
        };
        let index = self.index.clone();
        let drill = blocking(move || Ok(drill::last(&index).ok().flatten())).await?;
        Ok(Line::Digest {
            subject: message.subject,
            body: message.body,
            is_undelivered: delivery.as_ref().is_some_and(|d| !d.is_delivered()),
            delivery: delivery.as_ref().map(told),
            drill,
        })
    }

    /// Compare everything and tell the progress; `settled` is waited for before the
    /// figures are taken.
    pub(super) async fn reconcile(
        &self,
        progress: &mpsc::Sender<Line>,
        words: Words,
        settled: impl Future<Output = ()>,
    ) -> Result<Vec<Reconciled>, Fault> {
        // Whoever asks wants everything in the bucket: no file is paced.
        let _free: Vec<_> = self
            .sources
            .iter()
            .map(|source| source.pacing.free())
            .collect();
        if words.take_over {
            for source in self.sources.iter() {
                destination::take_over(&source.destination).await?;
            }
        }
        let before = activities(&self.sources, &self.index);
        let work = Box::pin(self.comparison.run(words.confirm_deletions, settled));
        let far = || Line::Progress(how_far(&self.sources, &self.index, &before));
        // The terminal may be gone: the comparison goes on regardless.
        let scans = telling(work, progress, far, |_| {}).await;
        let after = activities(&self.sources, &self.index);
        let (sources, index) = (Arc::clone(&self.sources), self.index.clone());
        blocking(move || {
            let each = sources.iter().zip(scans).zip(before).zip(after);
            each.map(|(((source, scan), before), after)| {
                // A digest in between begins a new period: never below zero.
                reconciled(&index, source, scan, &after.minus(&before))
            })
            .collect()
        })
        .await
    }

    /// Verify and tell the progress. It ends when nobody listens any more, and at a stop.
    pub(super) async fn verify(
        &self,
        ask: &Ask,
        progress: &mpsc::Sender<Line>,
    ) -> Result<Line, Fault> {
        let (stop, asked) = watch::channel(false);
        let asked = Stop::new(asked);
        let far = Mutex::default();
        let lock = || far.lock();
        let work = Box::pin(repair::run(
            &self.repairer,
            ask,
            |now| *lock() = now,
            &asked,
        ));
        let done = telling(
            work,
            progress,
            || Line::Verifying(*lock()),
            |is_heard| {
                if !is_heard || self.queue.is_closed() {
                    stop.send_replace(true);
                }
            },
        )
        .await;
        done.map(|sources| Line::Verified { sources })
            .map_err(as_fault)
    }
}

/// What became of a message, in words.
pub(super) fn told(delivery: &Delivery) -> String {
    match delivery {
        Delivery::Published(id) if id.is_empty() => {
            "refused by SNS and written into a file instead (see the log)".to_owned()
        }
        Delivery::Published(id) => format!("sent to the topic (message {id})"),
        Delivery::Written(path) => {
            format!("written to {} (no topic is configured)", path.display())
        }
        Delivery::Waiting(fault) => {
            format!("kept in the outbox, it is sent as soon as that works: {fault}")
        }
    }
}

impl Answer for Answers {
    async fn answer(&self, request: Request, progress: mpsc::Sender<Line>) -> Line {
        let settled = std::future::ready(());
        let answer = match request {
            Request::Status => {
                let state = self.state().await;
                state.map(|state| Line::Status(Box::new(state.status)))
            }
            Request::Digest { send } => self.digest(send, settled).await,
            Request::Verify(ask) => self.verify(&ask, &progress).await,
            Request::Reconcile(words) => {
                let reconciled = self.reconcile(&progress, words, settled).await;
                reconciled.map(|sources| Line::Reconciled { sources })
            }
        };
        answer.unwrap_or_else(Line::Failed)
    }
}

/// Do `work` and send its progress now and then; `told` hears whether anybody listens. A
/// listener that takes nothing (a terminal that is held) misses lines, and holds nothing
/// up.
async fn telling<T>(
    work: impl Future<Output = T>,
    progress: &mpsc::Sender<Line>,
    far: impl Fn() -> Line,
    mut told: impl FnMut(bool),
) -> T {
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(PROGRESS_EVERY) => {
                let is_gone = matches!(progress.try_send(far()), Err(TrySendError::Closed(_)));
                told(!is_gone);
            }
        }
    }
}

/// A failure that ends a command does not end the daemon.
fn as_fault(fatal: Fatal) -> Fault {
    let subject = "the backup";
    Fault::new(Class::Local, fatal.operation, subject, fatal.cause).hint(fatal.hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Named after the bug: a reconciliation whose progress nobody took stood still after
    /// the second line.
    #[tokio::test(start_paused = true)]
    async fn whoever_takes_no_progress_holds_nothing_up() {
        for listens in [true, false] {
            let (progress, lines) = mpsc::channel(1);
            let lines = listens.then_some(lines);
            let work = tokio::time::sleep(PROGRESS_EVERY * 10);
            let mut heard = Vec::new();
            let done = telling(work, &progress, || Line::Alive, |told| heard.push(told));
            let done = tokio::time::timeout(PROGRESS_EVERY * 20, done).await;
            assert!(done.is_ok(), "{listens}");
            assert!(heard.len() > 5 && heard.iter().all(|told| *told == listens));
            drop(lines);
        }
    }
}
