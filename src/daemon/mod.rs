//! Wiring alone: what is opened in which order, which loops run, how they stop.
//!
//! Called by `cli` and the integration tests. Order of start: index, store,
//! watches, then the first scan (a change between the two is seen by one of
//! them). Order of stop: loops, then workers within `shutdown_timeout`, then
//! the index is flushed. It decides nothing about files.

mod answers;
mod once;
mod open;

pub use once::{Progressing, digest_once, reconcile_once};
pub use open::{notifier, open};

use crate::config::Config;
use crate::control::Server;
use crate::error::{Fatal, chain};
use crate::index::{Multipart, Opened};
use crate::store::Store;
use crate::tasks::context::{Clock, Hint, blocking, system_clock};
use crate::tasks::post::Post;
use crate::tasks::watch::WatchOptions;
use crate::tasks::{Context, collect, digest, scan, tend, upload, watch as watching};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long a start waits for watches: 100,000 folders take 3 s; a network drive
/// that does not answer must not keep the others waiting.
const READY_WAIT: Duration = Duration::from_secs(60);

/// What a caller may replace; the defaults are what the program uses.
#[derive(Default)]
pub struct Options {
    /// The server, instead of the one the configuration names.
    pub store: Option<Store>,
    /// The wall clock.
    pub clock: Option<Clock>,
    /// The times of the watch.
    pub watch: WatchOptions,
}

/// A running Keepwatch.
pub struct Daemon {
    ctx: Arc<Context>,
    post: Arc<Post>,
    loops: JoinSet<()>,
    workers: JoinSet<()>,
    stop: watch::Sender<bool>,
    opened: Opened,
}

/// What [`open`] hands over: everything connected, nothing running yet.
pub struct Parts {
    /// What all tasks share.
    pub ctx: Arc<Context>,
    /// Where messages go.
    pub post: Arc<Post>,
    /// The receiving end of the hints.
    pub hints: mpsc::Receiver<Hint>,
    /// How the index was found.
    pub opened: Opened,
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
        } = open(config, options.store, clock).await?;
        let server = Server::bind(&ctx.config.state_dir)?;
        let (stop, stopped) = watch::channel(false);
        let mut loops = JoinSet::new();
        let mut workers = JoinSet::new();
        loops.spawn(collect::run(Arc::clone(&ctx), hints, stopped.clone()));
        for _ in 0..ctx.config.limits.workers {
            workers.spawn(upload::run(Arc::clone(&ctx)));
        }
        loops.spawn(tend::run(
            Arc::clone(&ctx),
            Arc::clone(&post),
            stopped.clone(),
        ));
        let answers = answers::Answers::new(Arc::clone(&ctx), Arc::clone(&post), started_ms);
        loops.spawn(server.serve(Arc::new(answers), stopped.clone()));
        let mut ready = Vec::new();
        for source in 0..ctx.sources.len() {
            let (watched, wait) = oneshot::channel();
            ready.push(wait);
            loops.spawn(watching::run(
                Arc::clone(&ctx),
                source,
                options.watch.clone(),
                watched,
                stopped.clone(),
            ));
            loops.spawn(scan::run(Arc::clone(&ctx), source, stopped.clone()));
        }
        let deadline = Instant::now() + READY_WAIT;
        for (source, wait) in ready.into_iter().enumerate() {
            // Fails when the loop has ended early: it has said why on the board.
            if tokio::time::timeout_at(deadline, wait).await.is_err() {
                let name = &ctx.sources[source].config.name;
                tracing::error!(source = %name, "the folder does not answer (is it on a network drive?); going on without it until it does");
            }
        }
        ask_first_scans(&ctx);
        loops.spawn(digest::run(Arc::clone(&ctx), Arc::clone(&post), stopped));
        Ok(Self {
            ctx,
            post,
            loops,
            workers,
            stop,
            opened,
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
        // Fails only when every loop has ended already.
        let _ = self.stop.send(true);
        self.ctx.queue.close();
        let limit = Duration::from_millis(self.ctx.config.limits.shutdown_timeout_ms);
        let finished = tokio::time::timeout(limit, async {
            let mut all_well = true;
            while let Some(worker) = self.workers.join_next().await {
                all_well &= worker.is_ok();
            }
            all_well
        })
        .await;
        if finished.is_err() {
            tracing::warn!("uploads under way are abandoned; the next start takes them up again");
        }
        self.workers.shutdown().await;
        self.loops.shutdown().await;
        close(&self.ctx, finished == Ok(true)).await?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Bring the index to disk. `clean` when no upload was cut off.
async fn close(ctx: &Arc<Context>, clean: bool) -> Result<(), Fatal> {
    if clean {
        return open::note_clean_stop(ctx).await;
    }
    let index = ctx.index.clone();
    Ok(blocking(move || index.flush()).await?)
}

/// A source that was never compared with its bucket (first start, index lost
/// or cut off) is compared now; the others are only scanned.
fn ask_first_scans(ctx: &Context) {
    for (number, source) in ctx.sources.iter().enumerate() {
        let compared = source.compared.load(std::sync::atomic::Ordering::Relaxed);
        ctx.scans.ask_whole(number, !compared);
    }
}

/// Abort uploads in parts that an earlier run left behind.
async fn abort_leftovers(ctx: Arc<Context>, left: Vec<Multipart>) {
    for upload in left {
        let at = crate::store::At {
            bucket: &upload.bucket,
            key: &upload.bucket_key,
        };
        if let Err(fault) = ctx.store.abort_multipart(at, &upload.upload_id).await {
            // Stays noted: the next start tries again.
            tracing::warn!("an unfinished upload stays in the bucket for now: {fault}");
            continue;
        }
        let ctx = Arc::clone(&ctx);
        let end = move || {
            ctx.index
                .multipart_end(upload.source, &upload.key, &upload.upload_id)
        };
        if let Err(fault) = blocking(end).await {
            tracing::error!("{fault}");
        }
    }
}

/// A task that panicked, as a fatal error.
fn panicked(error: &(dyn std::error::Error + 'static)) -> Fatal {
    Fatal::new(
        "go on",
        chain(error),
        "this is a fault in Keepwatch: please report it with the log",
    )
}
