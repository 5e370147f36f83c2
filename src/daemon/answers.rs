//! What the daemon answers on its control socket.

use crate::control::{
    Answer, Kept, Line, Progress, Reconciled, Request, SourceStatus, Status, Words,
};
use crate::destination;
use crate::digest;
use crate::digest::daily;
use crate::drill;
use crate::guard;
use crate::index::Activity;
use crate::mail::{Delivery, Post};
use crate::os::blocking::blocking;
use crate::retry::Stop;
use crate::source::Context;
use crate::status::ScanDone;
use crate::types::{Class, Fatal, Fault, RelKey, amount, chain};
use crate::verify::{Ask, repair};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};

/// Unprotected paths named in a status; more are counted.
pub(super) const NAMED_MAX: usize = 100;

/// How often the state is written down, for when nobody answers any more.
const KEEP_EVERY: Duration = Duration::from_secs(60);

/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// The daemon's answers.
pub(super) struct Answers {
    ctx: Arc<Context>,
    post: Arc<Post>,
    started_ms: i64,
}

impl Answers {
    pub(super) fn new(ctx: Arc<Context>, post: Arc<Post>, started_ms: i64) -> Self {
        Self {
            ctx,
            post,
            started_ms,
        }
    }

    /// How things stand now.
    async fn state(&self) -> Result<Kept, Fault> {
        state(&self.ctx, &self.post, self.started_ms).await
    }

    /// Write down how things stand, now and again until told to stop.
    pub(super) async fn keep(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut is_failing = false;
        loop {
            let written = write_down(&self.ctx, self.state().await).await;
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
}

/// How things stand.
pub(super) async fn state(ctx: &Arc<Context>, post: &Post, started_ms: i64) -> Result<Kept, Fault> {
    let (ctx, mail_trouble) = (Arc::clone(ctx), post.trouble());
    blocking(move || {
        Ok(Kept {
            at_ms: ctx.now_ms(),
            status: status_of(&ctx, started_ms, mail_trouble),
        })
    })
    .await
}

/// Keep that for when nobody answers.
pub(super) async fn write_down(
    ctx: &Arc<Context>,
    state: Result<Kept, Fault>,
) -> Result<(), Fault> {
    let (state, ctx) = (state?, Arc::clone(ctx));
    blocking(move || {
        state.write(&ctx.config.state_dir).map_err(|error| {
            let folder = ctx.config.state_dir.display().to_string();
            Fault::new(
                Class::Local,
                "write down how things stand in",
                folder,
                chain(&error),
            )
        })
    })
    .await
}

/// Blocks.
fn status_of(ctx: &Context, started_ms: i64, mail_trouble: Option<(i64, Fault)>) -> Status {
    let sources = (0..ctx.sources.len()).map(|number| source_status(ctx, number));
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        started_ms,
        place: ctx.store.place().to_owned(),
        rates: ctx.store.rates(),
        traffic: ctx.store.traffic(),
        outbox: ctx.index.outbox_len(),
        mail_trouble,
        // A broken index is what somebody asks about.
        drill: drill::last(ctx)
            .ok()
            .flatten()
            .filter(|_| ctx.config.drill.enabled),
        sources: sources.collect(),
    }
}

/// The digest as it stands, or (`send`) the whole daily job; `settled` is what
/// that waits for before the figures are taken.
pub(super) async fn digest_line(
    ctx: &Arc<Context>,
    post: &Post,
    send: bool,
    settled: impl Future<Output = ()>,
) -> Result<Line, Fault> {
    let now_ms = ctx.server_now_ms();
    let read = Arc::clone(ctx);
    let (message, delivery) = if send {
        let (message, delivery) = daily::daily(ctx, post, now_ms, settled).await?;
        (message, Some(delivery))
    } else {
        (daily::report(ctx, now_ms).await?.message(), None)
    };
    let drill = blocking(move || Ok(drill::last(&read).ok().flatten())).await?;
    Ok(Line::Digest {
        subject: message.subject,
        body: message.body,
        is_undelivered: delivery.as_ref().is_some_and(|d| !d.is_delivered()),
        delivery: delivery.as_ref().map(told),
        drill,
    })
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
        let answer = match request {
            Request::Status => {
                let state = self.state().await;
                state.map(|state| Line::Status(Box::new(state.status)))
            }
            Request::Digest { send } => {
                digest_line(&self.ctx, &self.post, send, std::future::ready(())).await
            }
            Request::Verify(ask) => verify_line(&self.ctx, &ask, &progress).await,
            Request::Reconcile(words) => {
                let settled = std::future::ready(());
                reconcile(&self.ctx, &progress, words, settled)
                    .await
                    .map(|sources| Line::Reconciled { sources })
            }
        };
        answer.unwrap_or_else(Line::Failed)
    }
}

/// A status never fails: when the index does, that is what there is to say.
fn source_status(ctx: &Context, number: usize) -> SourceStatus {
    let source = &ctx.sources[number];
    let counts = ctx.index.counts(source.id);
    let depth = ctx.queue.depth(number);
    let mut board = ctx.board.source(number).unwrap_or_default();
    let listed = ctx.index.unprotected(source.id, NAMED_MAX);
    let (unprotected, unprotected_total) = listed.unwrap_or_else(|fault| {
        let warning = board.warnings.entry("index".to_owned());
        warning.or_insert_with(|| fault.to_string());
        (Vec::new(), 0)
    });
    let (paced, paced_until_ms) = ctx.pacing.waiting(number);
    SourceStatus {
        name: source.config.name.clone(),
        path: source.config.path.display().to_string(),
        destination: destination::place_name(ctx, number),
        files_protected: counts.protected(),
        bytes_protected: counts.protected_bytes(),
        unverified: counts.unverified,
        waiting: depth.total(),
        paced,
        paced_until_ms,
        unprotected: unprotected
            .into_iter()
            .map(|(key, u)| (u.fault.about(named(ctx, number, &key)), u.since_ms))
            .collect(),
        unprotected_total,
        board,
    }
}

/// An unprotected path, and how many files the backup knows below it: they are not
/// protected either. That the index cannot say so is told by itself.
fn named(ctx: &Context, source: usize, key: &RelKey) -> String {
    let path = key.path();
    let folder = RelKey::of_folder(&path);
    match guard::known_below(&ctx.index, ctx.sources[source].id, &folder) {
        Ok(0) | Err(_) => path.to_string(),
        Ok(files) => format!("{path} and the {} in it", amount(files, "file")),
    }
}

/// Compare everything, telling how far it is; `settled` is what to wait for
/// before the figures are taken.
pub(super) async fn reconcile(
    ctx: &Arc<Context>,
    progress: &mpsc::Sender<Line>,
    words: Words,
    settled: impl Future<Output = ()>,
) -> Result<Vec<Reconciled>, Fault> {
    // Whoever asks for it wants everything in the bucket.
    let _free = ctx.pacing.free();
    if words.take_over {
        for source in 0..ctx.sources.len() {
            destination::take_over(ctx, source).await?;
        }
    }
    let before = activities(ctx);
    let work = digest::compare_in_full(ctx, words.confirm_deletions, settled);
    let far = || Line::Progress(how_far(ctx, &before));
    // The terminal may be gone: the comparison goes on regardless.
    let scans = telling(work, progress, far, |_| {}).await;
    let after = activities(ctx);
    let ctx = Arc::clone(ctx);
    blocking(move || {
        let mut results = Vec::new();
        for (number, source) in ctx.sources.iter().enumerate() {
            let (failed, failed_total) = ctx.index.unprotected(source.id, NAMED_MAX)?;
            // A digest in between begins a new period: never below zero.
            let done = after[number].minus(&before[number]);
            let scan = scans.get(number).cloned().flatten();
            results.push(Reconciled {
                name: source.config.name.clone(),
                destination: destination::place_name(&ctx, number),
                files: scan.as_ref().map_or(0, |s| s.files),
                stored: done.versions - done.metadata_updates.min(done.versions),
                bytes: done.raw_bytes,
                stored_bytes: done.stored_bytes,
                deleted: done.deletions,
                metadata_updates: done.metadata_updates,
                failed: failed
                    .into_iter()
                    .map(|(key, u)| u.fault.about(named(&ctx, number, &key)))
                    .collect(),
                failed_total,
                incomplete: incomplete(&ctx, number, scan),
                notes: notes(&ctx, number),
                outage: ctx.gates.outage(number).map(|(_, fault)| fault),
                troubles: destination::troubles(&ctx, number),
            });
        }
        Ok(results)
    })
    .await
}

/// Verify, telling how far it is. It ends when nobody listens any more, and at
/// once at a stop.
pub(super) async fn verify_line(
    ctx: &Arc<Context>,
    ask: &Ask,
    progress: &mpsc::Sender<Line>,
) -> Result<Line, Fault> {
    let (stop, asked) = watch::channel(false);
    let asked = Stop::new(asked);
    let far = Mutex::default();
    let lock = || far.lock();
    let work = repair::run(ctx, ask, |now| *lock() = now, &asked);
    let done = telling(
        work,
        progress,
        || Line::Verifying(*lock()),
        |is_heard| {
            if !is_heard || ctx.queue.is_closed() {
                stop.send_replace(true);
            }
        },
    )
    .await;
    done.map(|sources| Line::Verified { sources })
        .map_err(as_fault)
}

/// Do `work`, telling now and then how far it is; `told` hears whether anybody listens.
/// Whoever listens and takes nothing (a terminal that is held) misses lines, and holds
/// nothing up.
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

/// What ends a command ends it for its terminal, not the daemon.
fn as_fault(fatal: Fatal) -> Fault {
    let subject = "the backup";
    Fault::new(Class::Local, fatal.operation, subject, fatal.cause).hint(fatal.hint)
}

/// Why not everything is in the bucket as it is on the disk: what the scan met, and
/// what is held back since.
fn incomplete(ctx: &Context, source: usize, scan: Option<ScanDone>) -> Vec<String> {
    let mut reasons = scan.map_or_else(
        || vec!["the scan did not come to its end".to_owned()],
        |scan| scan.incomplete,
    );
    let waiting = ctx.queue.depth(source).backlog;
    if waiting > 0 {
        reasons.push(format!(
            "still on their way to the bucket: {}",
            amount(waiting as u64, "file")
        ));
    }
    if let Some(fault) = ctx.index.broken() {
        reasons.push(fault.to_string());
    }
    for hold in ctx.brakes.holds(source) {
        let reason = guard::line(ctx, source, &hold);
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons
}

fn notes(ctx: &Context, source: usize) -> Vec<String> {
    let board = ctx.board.source(source).unwrap_or_default();
    board.notes.into_values().collect()
}

fn activities(ctx: &Context) -> Vec<Activity> {
    ctx.sources
        .iter()
        .map(|s| ctx.index.activity(s.id))
        .collect()
}

fn how_far(ctx: &Context, before: &[Activity]) -> Progress {
    let now = activities(ctx);
    let mut far = Progress::default();
    for (number, (now, before)) in now.iter().zip(before).enumerate() {
        let done = now.minus(before);
        let depth = ctx.queue.depth(number);
        let board = ctx.board.source(number).unwrap_or_default();
        far.seen += board
            .scanning
            .or(board.last_scan.map(|s| s.files))
            .unwrap_or(0);
        far.waiting += depth.total();
        far.stored += done.versions;
        far.bytes += done.raw_bytes;
        let outage = board.outage.map(|(_, fault)| fault.cause);
        far.on_hold = far.on_hold.or(outage);
    }
    far
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
