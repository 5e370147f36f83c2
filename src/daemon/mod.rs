//! Wiring alone: what is opened in which order, which loops run, how they stop.
//!
//! Called by `cli` and the integration tests. Order of start: index, store,
//! watches, then the first scan (a change between the two is seen by one of
//! them). Order of stop: loops, then workers within `shutdown_timeout`, then
//! the index is flushed. It decides nothing about files.

mod answers;
mod close;
mod maintenance;
mod once;
mod open;
mod parts;
mod places;

pub use once::{digest_once, reconcile_once, verify_once};
pub use open::notifier;
pub use parts::{Options, this_computer};
pub use places::{doubts, refuse_state};

use crate::backup;
use crate::backup::orphaned_uploads;
use crate::bandwidth;
use crate::digest::daily;
use crate::scan;
use crate::watch::collect;

use close::close;
use parts::{CLEARING_MAX, Parts};

use open::open;

use crate::config::Config;
use crate::control::Server;
use crate::index::Opened;
use crate::mail::Post;
use crate::source::{Context, system_clock};
use crate::types::{Fatal, chain};
use std::sync::Arc;
use std::sync::atomic::Ordering;
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
    ctx: Arc<Context>,
    post: Arc<Post>,
    loops: JoinSet<()>,
    workers: JoinSet<()>,
    stop: watch::Sender<bool>,
    opened: Opened,
    started_ms: i64,
}

impl Daemon {
    /// Start everything and return once the folders are watched.
    ///
    /// # Errors
    /// The index, the vault, the topic or the control socket cannot be opened.
    pub async fn start(config: Config, options: Options) -> Result<Self, Fatal> {
        let clock = options.clock.unwrap_or_else(system_clock);
        let started_ms = clock();
        let Parts {
            ctx,
            post,
            hints,
            opened,
        } = open(
            config,
            options.store,
            clock,
            options.computer.unwrap_or_else(this_computer),
        )
        .await?;
        let post = match options.notifier {
            Some(notifier) => Arc::new(post.with_notifier(notifier)),
            None => post,
        };
        if let Some(wait) = options.answer_wait {
            ctx.answering.set_wait(wait);
        }
        let server = Server::bind(&ctx.config.state_dir)?;
        let (stop, stopped) = watch::channel(false);
        let mut loops = JoinSet::new();
        let mut workers = JoinSet::new();
        for hints in hints {
            loops.spawn(collect::run(Arc::clone(&ctx), hints, stopped.clone()));
        }
        for _ in 0..ctx.config.limits.workers {
            workers.spawn(backup::run(Arc::clone(&ctx)));
        }
        loops.spawn(maintenance::run(
            Arc::clone(&ctx),
            Arc::clone(&post),
            stopped.clone(),
        ));
        loops.spawn(bandwidth::run(
            Arc::clone(&ctx),
            options.reload,
            stopped.clone(),
        ));
        let answers = answers::Answers::new(Arc::clone(&ctx), Arc::clone(&post), started_ms);
        let answers = Arc::new(answers);
        loops.spawn(server.serve(Arc::clone(&answers), stopped.clone()));
        loops.spawn(answers.keep(stopped.clone()));
        loops.spawn(daily::run(
            Arc::clone(&ctx),
            Arc::clone(&post),
            stopped.clone(),
        ));
        let mut ready = JoinSet::new();
        for source in 0..ctx.sources.len() {
            let (watched, wait) = oneshot::channel();
            ready.spawn(first_scan(Arc::clone(&ctx), source, wait));
            loops.spawn(crate::watch::run(
                Arc::clone(&ctx),
                source,
                options.watch.clone(),
                watched,
                stopped.clone(),
            ));
            loops.spawn(scan::run(Arc::clone(&ctx), source, stopped.clone()));
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
            ctx,
            post,
            loops,
            workers,
            stop,
            opened,
            started_ms,
        })
    }

    /// What all tasks share.
    pub fn context(&self) -> &Arc<Context> {
        &self.ctx
    }

    /// Where messages go.
    pub fn post(&self) -> &Arc<Post> {
        &self.post
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
        let limit = Duration::from_millis(self.ctx.config.limits.shutdown_timeout_ms);
        let end = Instant::now() + limit;
        let kept = (limit / CLEARING_SHARE).min(CLEARING_MAX);
        self.store_what_waits(end - kept).await;
        // Fails only when every loop has ended already.
        let _ = self.stop.send(true);
        self.ctx.queue.close();
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
            let cleared =
                tokio::time::timeout_at(end, orphaned_uploads::sweep_at_stop(&self.ctx)).await;
            if cleared != Ok(true) {
                tracing::warn!(
                    "what cannot be gone on with stays in the bucket until the next start"
                );
            }
        }
        self.keep_last_state().await;
        let closing = close(&self.ctx, finished == Ok(true));
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
        let ctx = &self.ctx;
        for (source, path) in ctx.pacing.end() {
            // What cannot be stored now would only hold the stop up.
            let may_send = ctx.sources[source].destination.may_send();
            if may_send && ctx.gates.outage(source).is_none() {
                ctx.edit(source, path, ctx.steady_ms(), false);
            }
        }
        ctx.ending.send_replace(true);
        ctx.queue.wake();
        let began_ms = ctx.steady_ms();
        while Instant::now() < end && has_news(ctx, began_ms) {
            tokio::time::sleep(LAST_LOOK).await;
        }
    }
}

impl Daemon {
    /// Write down how things stand at the end, for who asks when nobody answers.
    async fn keep_last_state(&self) {
        let state = answers::state(&self.ctx, &self.post, self.started_ms);
        let kept = async { answers::write_down(&self.ctx, state.await).await };
        match tokio::time::timeout(CLOSING_MAX, kept).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => tracing::warn!("{fault}"),
            Err(_) => tracing::warn!("how things stand could not be written down in time"),
        }
    }
}

/// Something that a stop stores is on its way, and its bucket and folder answer.
fn has_news(ctx: &Context, began_ms: i64) -> bool {
    let now_ms = ctx.steady_ms();
    let heard_ms = ctx.heard_ms.load(Ordering::Relaxed);
    let is_coming =
        now_ms - began_ms < LAST_NEWS_MS || (0..backup::NEWS_MS).contains(&(now_ms - heard_ms));
    (0..ctx.sources.len()).any(|source| {
        ctx.gates.outage(source).is_none()
            && ctx.sources[source].destination.may_send()
            && ctx.answering.may_work(source)
            && (is_coming
                || ctx.unsettled.count_of(source) > 0
                || ctx.scans.is_looking_at_part(source)
                || ctx.queue.has_recent(source))
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
async fn first_scan(ctx: Arc<Context>, source: usize, watched: oneshot::Receiver<()>) {
    // Fails when the loop has ended early: it has said why on the board.
    let _ = watched.await;
    let compared = &ctx.sources[source].compared;
    let is_compared = compared.load(Ordering::Relaxed);
    ctx.scans.ask_whole(source, !is_compared);
}

#[cfg(test)]
mod tests {
    use super::close::end_with;
    use crate::types::{Class, Fault};

    /// Named after the bug: the note could not be written, and the index was not
    /// brought to disk.
    #[tokio::test]
    async fn a_note_that_cannot_be_kept_stops_no_index_from_getting_to_disk() {
        let broken = || Err(Fault::new(Class::Local, "remember", "a note", "no room"));
        for (clean, kept, want) in [
            (true, Ok(()), "noted"),
            (false, Ok(()), "flushed"),
            (true, broken(), "flushed"),
            (false, broken(), "flushed"),
        ] {
            let done = std::cell::RefCell::new(Vec::new());
            let tell = async |what: &'static str| {
                done.borrow_mut().push(what);
                Ok(())
            };
            let (note, flush) = (async || tell("noted").await, async || tell("flushed").await);
            end_with(clean, kept, note, flush).await.unwrap();
            assert_eq!(done.into_inner(), [want], "{clean}");
        }
    }
}
