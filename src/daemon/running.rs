//! The running daemon: its loops, and how they stop.

use super::alive::Alive;
use super::answers::Answers;
use super::close::close;
use super::components::{CLEARING_MAX, Components, Options};
use super::open::{Open, open};
use crate::backup;
use crate::bandwidth;
use crate::bandwidth::Limits;
use crate::config::Config;
use crate::control::Server;
use crate::index::Opened;
use crate::mail::OutboxSender;
use crate::source::SourceRuntime;
use crate::types::{Fatal, MonotonicMs, chain};
use crate::watch::WatchParts;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long a start waits for all folders to be watched: 100,000 folders take 3 s. No
/// folder waits for another.
const READY_WAIT: Duration = Duration::from_secs(10);

/// One part in this many of the time that a stop may take is kept for aborting uploads
/// that were cut off and that nobody can resume.
const CLEARING_SHARE: u32 = 4;

/// How long the index may take to be written when everything else has ended.
const CLOSING_MAX: Duration = Duration::from_secs(10);

/// How often a stop checks whether everything that waited is stored.
const LAST_LOOK: Duration = Duration::from_millis(20);

/// Within this time after a stop was asked for, the watch has heard of every change that
/// was made before: the kernel has told it, and the listening thread has run.
const LAST_NEWS_MS: i64 = 150;

/// How long a stop waits to hear whether a bucket that failed takes files again. Most
/// failures answer within milliseconds; without a network there is nothing to wait for.
const LAST_PROBE_MS: i64 = 3_000;

/// A running Keepwatch.
pub struct Daemon {
    components: Components,
    answers: Arc<Answers>,
    loops: JoinSet<()>,
    workers: JoinSet<()>,
    stop: watch::Sender<bool>,
    opened: Opened,
}

impl Daemon {
    /// Start everything and return once the folders are watched.
    ///
    /// # Errors
    /// The index, the vault, the topic or the control socket cannot be opened.
    pub async fn start(config: Config, mut options: Options) -> Result<Self, Fatal> {
        let Open {
            components,
            hints,
            opened,
            started_ms,
        } = open(config, &mut options).await?;
        let server = Server::bind(&components.config.state_dir)?;
        let (stop, stopped) = watch::channel(false);
        let mut loops = JoinSet::new();
        let mut workers = JoinSet::new();
        for (source, hints) in components.sources.iter().zip(hints) {
            loops.spawn(components.collector(source).run(hints, stopped.clone()));
        }
        for _ in 0..components.config.limits.workers {
            workers.spawn(components.worker().run());
        }
        loops.spawn(components.maintenance().run(stopped.clone()));
        loops.spawn(bandwidth::run(
            Limits::new(&components.config, options.reload),
            Arc::clone(&components.traffic),
            components.clock.wall(),
            stopped.clone(),
        ));
        let answers = Arc::new(Answers::new(&components, started_ms));
        let pulse = components.loops.begin("control socket");
        loops.spawn(server.serve(Arc::clone(&answers), pulse, stopped.clone()));
        loops.spawn(Arc::clone(&answers).keep(stopped.clone()));
        loops.spawn(components.daily_job().keep(stopped.clone()));
        let mut ready = JoinSet::new();
        for source in components.sources.iter() {
            let (watched, wait) = oneshot::channel();
            ready.spawn(first_scan(Arc::clone(source), wait));
            let watch = WatchParts {
                source: Arc::clone(source),
                clock: components.clock.clone(),
                signals: components.signals.clone(),
                options: options.watch.clone(),
                period: Duration::from_millis(components.config.limits.unwatched_scan_ms),
            };
            loops.spawn(crate::watch::run(watch, watched, stopped.clone()));
            loops.spawn(components.scanner(source).run(stopped.clone()));
        }
        let all = async { while ready.join_next().await.is_some() {} };
        if tokio::time::timeout(READY_WAIT, all).await.is_err() {
            // Each begins when its own folder is watched.
            tracing::warn!(
                "some folders are not watched yet; they are scanned as soon as they are"
            );
            ready.detach_all();
        }
        Ok(Self {
            components,
            answers,
            loops,
            workers,
            stop,
            opened,
        })
    }

    /// What is open.
    pub fn components(&self) -> &Components {
        &self.components
    }

    /// Whether its loops turn.
    pub fn alive(&self) -> Alive {
        let state_dir = self.components.config.state_dir.clone();
        Alive::new(self.components.loops.clone(), state_dir)
    }

    /// Where messages go.
    pub fn outbox(&self) -> &Arc<OutboxSender> {
        &self.components.outbox
    }

    /// How the index was found.
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// Returns when a part of the daemon has ended that never should: the rest
    /// would look alive and protect nothing.
    pub async fn broken(&mut self) -> Fatal {
        let cause = tokio::select! {
            Some(ended) = self.loops.join_next() => ended.err(),
            Some(ended) = self.workers.join_next() => ended.err(),
        };
        Fatal::new(
            "go on",
            cause.map_or_else(|| "a part of it ended".to_owned(), |e| chain(&e)),
            "start Keepwatch again (a service does that by itself), and report this with the log",
        )
    }

    /// Stop: no new work, what is under way may end within `shutdown_timeout`,
    /// then it is abandoned (nothing half done ever becomes a version).
    ///
    /// # Errors
    /// The index could not be flushed; the next start does that work again.
    pub async fn stop(mut self) -> Result<(), Fatal> {
        tracing::info!("stopping");
        let limit = Duration::from_millis(self.components.config.limits.shutdown_timeout_ms);
        let end = Instant::now() + limit;
        let kept = (limit / CLEARING_SHARE).min(CLEARING_MAX);
        self.store_what_waits(end - kept).await;
        // Fails only when every loop has ended already.
        let _ = self.stop.send(true);
        self.components.queue.close();
        let finished = tokio::time::timeout_at(end - kept, async {
            let mut all_well = true;
            while let Some(worker) = self.workers.join_next().await {
                all_well &= worker.is_ok();
            }
            all_well
        })
        .await;
        self.workers.shutdown().await;
        self.loops.shutdown().await;
        if finished.is_err() {
            tracing::warn!("uploads under way are abandoned; the next start takes them up again");
            // Their parts wait for the next start. What nobody can resume is aborted
            // now, or then.
            let orphaned = self.components.orphaned_uploads();
            let cleared = tokio::time::timeout_at(end, orphaned.sweep_at_stop()).await;
            if cleared != Ok(true) {
                tracing::warn!(
                    "what cannot be gone on with stays in the bucket until the next start"
                );
            }
        }
        self.keep_last_state().await;
        let closing = close(&self.components, finished == Ok(true));
        match tokio::time::timeout(CLOSING_MAX, closing).await {
            Ok(closed) => closed?,
            Err(_) => return Err(index_does_not_close()),
        }
        tracing::info!("stopped");
        Ok(())
    }
}

impl Daemon {
    /// Store what was saved, renamed or deleted before the stop, and the last state of
    /// paced files: the computer may be switched off next. The next start's scan finds
    /// what is not done in time, and what waits behind a backlog.
    async fn store_what_waits(&self, end: Instant) {
        let components = &self.components;
        for source in components.sources.iter() {
            // What was out a minute ago may take files again.
            source.breaker.probe_now(components.clock.now_ms());
            for path in source.pacing.end() {
                if source.destination.may_send() {
                    source
                        .work
                        .edit(path, components.clock.monotonic_ms(), false);
                }
            }
        }
        components.signals.end();
        components.queue.wake();
        let began_ms = components.clock.monotonic_ms();
        while Instant::now() < end && has_news(components, began_ms) {
            tokio::time::sleep(LAST_LOOK).await;
        }
    }
}

impl Daemon {
    /// Write the last status to a file, for when no daemon answers.
    async fn keep_last_state(&self) {
        let kept = self.answers.write_down();
        match tokio::time::timeout(CLOSING_MAX, kept).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => tracing::warn!("{fault}"),
            Err(_) => tracing::warn!("how things stand could not be written down in time"),
        }
    }
}

/// Whether a change that a stop stores is on its way, and its bucket and folder answer.
fn has_news(components: &Components, began_ms: MonotonicMs) -> bool {
    let now_ms = components.clock.monotonic_ms();
    let heard_ms = components.signals.heard_ms();
    let is_coming =
        now_ms - began_ms < LAST_NEWS_MS || (0..backup::NEWS_MS).contains(&(now_ms - heard_ms));
    components.sources.iter().any(|source| {
        let work = &source.work;
        let is_tried = now_ms - began_ms < LAST_PROBE_MS
            && source.breaker.is_passing(components.clock.now_ms());
        (is_tried || source.breaker.outage().is_none())
            && source.destination.may_send()
            && source.watchdog.may_work()
            && (is_coming
                || work.in_flight.count() > 0
                || work.scans.is_looking_at_part()
                || work.queue.has_recent())
    })
}

fn index_does_not_close() -> Fatal {
    Fatal::new(
        "write the index",
        "its disk does not answer",
        "see whether the disk that the state folder is on works; the next start compares with the bucket",
    )
}

/// Ask for a source's first scan once it is watched. One that was never compared
/// with its bucket (first start, index lost or cut off) is compared as well.
async fn first_scan(source: Arc<SourceRuntime>, watched: oneshot::Receiver<()>) {
    // Fails when the loop has ended early: it has said why in the status.
    let _ = watched.await;
    source.work.scans.ask_whole(!source.comparison.is_done());
}
