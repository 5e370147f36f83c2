//! The running daemon: its loops, and how they stop.

use super::answers::Answers;
use super::close::close;
use super::open::{Open, open};
use super::parts::{CLEARING_MAX, Options, Parts};
use crate::backup;
use crate::bandwidth;
use crate::bandwidth::Limits;
use crate::config::Config;
use crate::control::Server;
use crate::index::Opened;
use crate::mail::OutboxSender;
use crate::source::SourceRuntime;
use crate::types::{Fatal, chain};
use crate::watch::WatchParts;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long a start waits until all folders are watched, before it says that it
/// is ready: 100,000 folders take 3 s. No folder waits for another.
const READY_WAIT: Duration = Duration::from_secs(10);

/// Of the time that a stop may take, one part in so many is kept for throwing
/// away what uploads that were cut off had sent and nobody can go on with.
const CLEARING_SHARE: u32 = 4;

/// How long the index may take to be written when everything else has ended.
const CLOSING_MAX: Duration = Duration::from_secs(10);

/// How often a stop looks whether everything that waited is stored.
const LAST_LOOK: Duration = Duration::from_millis(20);

/// A change that was made just before a stop was asked for is heard of within this:
/// the kernel has told by then, and the thread that listens has run.
const LAST_NEWS_MS: i64 = 150;

/// A running Keepwatch.
pub struct Daemon {
    parts: Parts,
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
            parts,
            hints,
            opened,
            started_ms,
        } = open(config, &mut options).await?;
        let server = Server::bind(&parts.config.state_dir)?;
        let (stop, stopped) = watch::channel(false);
        let mut loops = JoinSet::new();
        let mut workers = JoinSet::new();
        for (source, hints) in parts.sources.iter().zip(hints) {
            loops.spawn(parts.collector(source).run(hints, stopped.clone()));
        }
        for _ in 0..parts.config.limits.workers {
            workers.spawn(parts.worker().run());
        }
        loops.spawn(parts.maintenance().run(stopped.clone()));
        loops.spawn(bandwidth::run(
            Limits::new(&parts.config, options.reload),
            Arc::clone(&parts.traffic),
            parts.clock.wall(),
            stopped.clone(),
        ));
        let answers = Arc::new(Answers::new(&parts, started_ms));
        loops.spawn(server.serve(Arc::clone(&answers), stopped.clone()));
        loops.spawn(Arc::clone(&answers).keep(stopped.clone()));
        loops.spawn(parts.daily_job().keep(stopped.clone()));
        let mut ready = JoinSet::new();
        for source in parts.sources.iter() {
            let (watched, wait) = oneshot::channel();
            ready.spawn(first_scan(Arc::clone(source), wait));
            let watch = WatchParts {
                source: Arc::clone(source),
                clock: parts.clock.clone(),
                signals: parts.signals.clone(),
                options: options.watch.clone(),
                period: Duration::from_millis(parts.config.limits.unwatched_scan_ms),
            };
            loops.spawn(crate::watch::run(watch, watched, stopped.clone()));
            loops.spawn(parts.scanner(source).run(stopped.clone()));
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
            parts,
            answers,
            loops,
            workers,
            stop,
            opened,
        })
    }

    /// What is open.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Where messages go.
    pub fn outbox(&self) -> &Arc<OutboxSender> {
        &self.parts.outbox
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
        let limit = Duration::from_millis(self.parts.config.limits.shutdown_timeout_ms);
        let end = Instant::now() + limit;
        let kept = (limit / CLEARING_SHARE).min(CLEARING_MAX);
        self.store_what_waits(end - kept).await;
        // Fails only when every loop has ended already.
        let _ = self.stop.send(true);
        self.parts.queue.close();
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
            // What they had sent waits for the next start, save for what nobody
            // can go on with: that is thrown away now, or then.
            let orphaned = self.parts.orphaned_uploads();
            let cleared = tokio::time::timeout_at(end, orphaned.sweep_at_stop()).await;
            if cleared != Ok(true) {
                tracing::warn!(
                    "what cannot be gone on with stays in the bucket until the next start"
                );
            }
        }
        self.keep_last_state().await;
        let closing = close(&self.parts, finished == Ok(true));
        match tokio::time::timeout(CLOSING_MAX, closing).await {
            Ok(closed) => closed?,
            Err(_) => return Err(index_does_not_close()),
        }
        tracing::info!("stopped");
        Ok(())
    }
}

impl Daemon {
    /// What was saved, renamed or deleted before the stop is stored before its
    /// computer is switched off, and so is the last state of a file that has had
    /// many versions. What does not end in time, and what waits behind a backlog,
    /// is found by the next start's scan.
    async fn store_what_waits(&self, end: Instant) {
        let parts = &self.parts;
        for source in parts.sources.iter() {
            // What cannot be stored now would only hold the stop up.
            let may_send = source.destination.may_send() && source.breaker.outage().is_none();
            for path in source.pacing.end() {
                if may_send {
                    source.work.edit(path, parts.clock.steady_ms(), false);
                }
            }
        }
        parts.signals.end();
        parts.queue.wake();
        let began_ms = parts.clock.steady_ms();
        while Instant::now() < end && has_news(parts, began_ms) {
            tokio::time::sleep(LAST_LOOK).await;
        }
    }
}

impl Daemon {
    /// Write down how things stand at the end, for who asks when nobody answers.
    async fn keep_last_state(&self) {
        let kept = self.answers.write_down();
        match tokio::time::timeout(CLOSING_MAX, kept).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => tracing::warn!("{fault}"),
            Err(_) => tracing::warn!("how things stand could not be written down in time"),
        }
    }
}

/// Something that a stop stores is on its way, and its bucket and folder answer.
fn has_news(parts: &Parts, began_ms: i64) -> bool {
    let now_ms = parts.clock.steady_ms();
    let heard_ms = parts.signals.heard_ms();
    let is_coming =
        now_ms - began_ms < LAST_NEWS_MS || (0..backup::NEWS_MS).contains(&(now_ms - heard_ms));
    parts.sources.iter().any(|source| {
        let work = &source.work;
        source.breaker.outage().is_none()
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
