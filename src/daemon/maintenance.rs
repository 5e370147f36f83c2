//! The heartbeat: what failed is tried again, what waits is asked again, what
//! lasts too long is told.

mod alarm;

use crate::backup::{late, orphaned_uploads};
use crate::destination;
use crate::destination::announce;
use crate::files;
use crate::files::Pulse;
use crate::guard;
use crate::index::Opened;
use crate::mail::Post;
use crate::os::blocking::blocking;
use crate::pacing::{Pacing, costs};
use crate::retry::Backoff;
use crate::source::{Context, clock, on_disk};
use crate::types::{Class, Fault};
use crate::watch::{Clocks, Jump, sleep};
use crate::work::Queue;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// The heartbeat's period. A retry is due to the second at best.
const BEAT: Duration = Duration::from_secs(1);

/// Paths put back into the queue per beat and source.
const RETRIES_PER_BEAT: usize = 256;

/// Beats between looks at scans that ripen.
const SLOW_BEATS: u64 = 30;

/// Time between two looks for uploads that were left behind; after a failure
/// it grows. Parts cost their owner money by the month, not by the minute.
const SWEEP_MS: u64 = 60_000;

/// A broken index: since when (milliseconds since 1970) and why.
#[derive(Default)]
struct Broken(Mutex<Option<(i64, Fault)>>);

impl Broken {
    fn get(&self) -> Option<(i64, Fault)> {
        self.0.lock().clone()
    }

    fn set(&self, broken: Option<(i64, Fault)>) {
        *self.0.lock() = broken;
    }
}

/// Beats between looks whether disks have come or gone: a few `stat` calls.
const DISK_BEATS: u32 = 10;

/// Beat until told to stop. What may wait for a network has a beat of its own,
/// so that a bucket or topic that hangs holds up no retry and no alert.
pub async fn run(ctx: Arc<Context>, post: Arc<Post>, mut stop: watch::Receiver<bool>) {
    let broken = Broken::default();
    tokio::select! {
        () = beat(&ctx, &post, &broken) => {}
        () = alarm::run(&ctx, &post, &broken) => {}
        () = post.run(&ctx) => {}
        () = ask_buckets(&ctx) => {}
        () = sweep(&ctx) => {}
        () = late::keys(&ctx) => {}
        () = late::wholes(&ctx) => {}
        () = forget_past(&ctx) => {}
        () = revisit_disks(&ctx) => {}
        () = tell_at_once(&ctx, &post) => {}
        () = rescan(&ctx) => {}
        _ = stop.changed() => {}
    }
}

async fn beat(ctx: &Arc<Context>, post: &Post, broken: &Broken) {
    let mut last = clocks(ctx);
    let mut mending = Mending::default();
    let mut beats: u64 = 0;
    loop {
        let work_ms = ctx.steady_ms() - last.steady_ms;
        tokio::time::sleep(BEAT).await;
        beats += 1;
        let now = clocks(ctx);
        let now_ms = now.wall_ms;
        // The beat's own work may take long and is no sleep.
        let expected_ms = work_ms + i64::try_from(BEAT.as_millis()).unwrap_or(0);
        if let Some(jump) = sleep::jump(last, now, expected_ms) {
            after(ctx, jump);
        }
        last = now;
        mending.mend_index(ctx, post).await;
        broken.set(mending.broken.clone());
        retry(ctx, now_ms).await;
        bring_back(&ctx.pacing, &ctx.queue, ctx.steady_ms(), now_ms);
        // A closed gate opens for a probe when its time has come.
        ctx.queue.wake();
        if beats.is_multiple_of(SLOW_BEATS) {
            ctx.scans.ripen();
            clock::look(ctx);
        }
    }
}

/// Ask buckets what nobody else asks them: whether one that failed answers
/// again although nothing waits for it, and whether it keeps versions by now.
async fn ask_buckets(ctx: &Arc<Context>) {
    loop {
        tokio::time::sleep(BEAT).await;
        for source in 0..ctx.sources.len() {
            if ctx.gates.neighbours(source).first() == Some(&source) {
                ask_idle(ctx, source).await;
            }
            destination::ask_if_due(ctx, source).await;
        }
    }
}

/// Nothing waits for the bucket, so no upload will find out that it is back.
async fn ask_idle(ctx: &Arc<Context>, source: usize) {
    // What lies on a drive that does not answer asks nobody.
    let waiting = |s: usize| ctx.answering.may_work(s) && ctx.queue.depth(s).total() > 0;
    if ctx.gates.outage(source).is_none()
        || ctx.gates.neighbours(source).into_iter().any(waiting)
        || !ctx.gates.may_ask_idle(source, ctx.now_ms())
    {
        return;
    }
    let answer = ctx.store.reach(&ctx.sources[source].config.bucket).await;
    let told = match &answer {
        // Not to be allowed to list says as much: it answers.
        Err(fault) if fault.class != Class::Denied => Err(fault),
        _ => Ok(()),
    };
    let change = ctx.gates.idle(source, told, ctx.now_ms());
    announce(ctx, source, change);
}

/// Uploads in parts that were left behind are cleared away while running, too.
async fn sweep(ctx: &Arc<Context>) {
    let mut failures = 0;
    loop {
        let wait_ms = match failures {
            0 => SWEEP_MS,
            _ => SWEEP_MS.max(Backoff::of(Class::Denied).delay_ms(failures, fastrand::u64(..))),
        };
        // By the wall clock, in beats: computers sleep.
        let from_ms = ctx.now_ms();
        let is_over = || {
            !(0..i64::try_from(wait_ms).unwrap_or(i64::MAX))
                .contains(&ctx.now_ms().saturating_sub(from_ms))
        };
        while !is_over() {
            tokio::time::sleep(BEAT).await;
        }
        failures = match orphaned_uploads::sweep(ctx).await {
            true => 0,
            false => failures + 1,
        };
    }
}

/// Time between two looks for contents that no path has held for a day.
const FORGET_MS: i64 = 60 * 60 * 1000;

/// Where contents were is not remembered for ever.
async fn forget_past(ctx: &Arc<Context>) {
    let mut from_ms = ctx.now_ms();
    loop {
        tokio::time::sleep(BEAT * DISK_BEATS).await;
        let now_ms = ctx.now_ms();
        if (0..FORGET_MS).contains(&now_ms.saturating_sub(from_ms)) {
            continue;
        }
        from_ms = now_ms;
        let shared = Arc::clone(ctx);
        if let Err(fault) = blocking(move || costs::keep(&shared)).await {
            tracing::error!("{fault}");
        }
        for source in 0..ctx.sources.len() {
            let ctx = Arc::clone(ctx);
            let forgotten = blocking(move || {
                // By the index's own clock: it has put the times down.
                ctx.index.forget_past(ctx.sources[source].id)
            });
            match forgotten.await {
                Ok(0) => {}
                Ok(contents) => tracing::debug!(contents, "contents of yesterday are forgotten"),
                Err(fault) => tracing::error!("{fault}"),
            }
        }
    }
}

fn clocks(ctx: &Context) -> Clocks {
    Clocks {
        wall_ms: ctx.now_ms(),
        steady_ms: ctx.steady_ms(),
    }
}

/// Whatever happened meanwhile, nobody may have heard of it: look at everything
/// and have the watches proved.
fn after(ctx: &Context, jump: Jump) {
    match jump {
        Jump::Asleep(ms) => tracing::info!(
            slept_s = ms / 1000,
            "the computer was asleep or its clock was set forward: scanning all folders"
        ),
        Jump::SetBack(ms) => tracing::info!(
            back_s = ms / 1000,
            "the clock was set back: scanning all folders"
        ),
    }
    for source in 0..ctx.sources.len() {
        ctx.scans.ask_whole(source, false);
    }
    ctx.woke.send_modify(|times| *times += 1);
}

/// Beats between two tries to open a broken index, at the most: reading all of
/// it on a disk that is still full helps nobody.
const MENDING_BEATS_MAX: u32 = 15;

/// Waiting times between tries to open a broken index again.
#[derive(Default)]
struct Mending {
    wait_beats: u32,
    left_beats: u32,
    /// Since when it is broken, milliseconds since 1970, and why.
    broken: Option<(i64, Fault)>,
}

impl Mending {
    /// An index that failed (a full disk, a damaged file) stays failed until it
    /// is opened again: try, for ever, less and less often.
    async fn mend_index(&mut self, ctx: &Arc<Context>, post: &Post) {
        let index = ctx.index.clone();
        let broken = blocking(move || Ok(index.broken())).await;
        let Ok(Some(fault)) = broken else {
            *self = Self::default();
            return;
        };
        // The first failure says why; later ones only that it is still so.
        let now_ms = ctx.now_ms();
        if self.broken.is_none() {
            tracing::error!("{fault}");
        }
        self.broken.get_or_insert_with(|| (now_ms, fault.clone()));
        if self.left_beats > 0 {
            self.left_beats -= 1;
            return;
        }
        self.wait_beats = (self.wait_beats * 2).clamp(1, MENDING_BEATS_MAX);
        self.left_beats = self.wait_beats;
        reopen(ctx, post, &fault).await;
    }
}

async fn reopen(ctx: &Arc<Context>, post: &Post, fault: &Fault) {
    let index = ctx.index.clone();
    // Before it is known whether it is empty: a worker asks the bucket then.
    let compared: Vec<bool> = ctx
        .sources
        .iter()
        .map(|source| source.compared.swap(false, Ordering::Relaxed))
        .collect();
    let reopened = tokio::task::spawn_blocking(move || index.reopen()).await;
    let is_same = matches!(reopened, Ok(Ok(Opened::Existing)) | Ok(Err(_)));
    for (source, was) in ctx.sources.iter().zip(compared) {
        if is_same && was {
            source.compared.store(true, Ordering::Relaxed);
        }
    }
    match reopened {
        Ok(Ok(opened)) => {
            tracing::warn!("the index works again after: {fault}");
            let rebuilt = !matches!(opened, Opened::Existing);
            if opened == Opened::Fresh {
                alarm::of_lost_state(ctx, post).await;
            }
            for number in 0..ctx.sources.len() {
                ctx.board.warn(number, "index", None);
                ctx.scans.ask_whole(number, rebuilt);
            }
        }
        Ok(Err(fatal)) => {
            for number in 0..ctx.sources.len() {
                if ctx.board.warn(number, "index", Some(fatal.one_line())) {
                    tracing::error!("{fatal}");
                }
            }
        }
        Err(error) => tracing::error!("{error}"),
    }
}

/// Put what is due for another try into the queue.
async fn retry(ctx: &Arc<Context>, now_ms: i64) {
    for source in 0..ctx.sources.len() {
        let due = {
            let ctx = Arc::clone(ctx);
            blocking(move || {
                ctx.index
                    .due(ctx.sources[source].id, now_ms, RETRIES_PER_BEAT)
            })
            .await
        };
        match due {
            Ok(due) => {
                for key in due {
                    // A full lane is no loss: it is still due at the next beat.
                    let _ = ctx.queue.push_retry(source, key.path(), ctx.steady_ms());
                }
            }
            Err(fault) => tracing::error!("{fault}"),
        }
    }
}

/// Put what waits for its next version into the queue when that is due: among
/// the edits, for that is what it is, and a first backup fills the other lane
/// for days. One that is in a worker is worked on again.
fn bring_back(pacing: &Pacing, queue: &Queue, steady_ms: i64, now_ms: i64) {
    for (source, path) in pacing.due(now_ms, RETRIES_PER_BEAT) {
        let pushed = queue.push_edit(source, path.clone(), steady_ms, false);
        if pushed.is_err() {
            // The lane is full: at the next beat.
            pacing.wait_on((source, path), now_ms);
        }
    }
}

/// A disk that comes or goes makes no event.
async fn revisit_disks(ctx: &Arc<Context>) {
    for look in 1.. {
        tokio::time::sleep(BEAT * DISK_BEATS).await;
        let all = (0..ctx.sources.len()).map(|source| revisit(ctx, source, look));
        futures::future::join_all(all).await;
    }
}

async fn revisit(ctx: &Arc<Context>, source: usize, look: u64) {
    if !ctx.answering.may_work(source) {
        return;
    }
    let shared = Arc::clone(ctx);
    let work = move || guard::revisit(&shared, source, look);
    if let Err(fault) = on_disk(ctx, source, &Pulse::default(), work).await {
        tracing::error!("{fault}");
    }
}

/// A scan is followed by a rest of at least so many times what it took: on a slow
/// disk, or with millions of files, looking must not be all that the disk does.
const RESCAN_REST: i64 = 20;

/// What no event tells of (a file that was changed through a name outside of the
/// folder, or through memory that it is mapped to) is found by scanning.
async fn rescan(ctx: &Arc<Context>) {
    let mut last: Vec<Rescan> = vec![Rescan::default(); ctx.sources.len()];
    loop {
        tokio::time::sleep(BEAT).await;
        let (now_ms, rescan_ms) = (ctx.steady_ms(), ctx.config.limits.rescan_ms);
        for (source, last) in last.iter_mut().enumerate() {
            let Some(board) = ctx.board.source(source) else {
                continue;
            };
            let is_busy = board.scanning.is_some() || ctx.scans.is_asked(source);
            let scan = board.last_scan.map(|scan| (scan.started_ms, scan.took_ms));
            if last.is_due(scan, now_ms, rescan_ms) && !is_busy && is_there(ctx, source).await {
                ctx.scans.ask_whole(source, false);
            }
        }
    }
}

/// The last whole scan of one source.
#[derive(Debug, Clone, Copy, Default)]
struct Rescan {
    /// When it began and what it took; `None` before the first.
    scan: Option<(i64, i64)>,
    /// When it was first seen to have ended, by [`Context::steady_ms`].
    seen_ms: i64,
}

impl Rescan {
    /// Whether the next one is due, `scan` being the last that has ended.
    fn is_due(&mut self, scan: Option<(i64, i64)>, now_ms: i64, rescan_ms: u64) -> bool {
        if scan != self.scan {
            *self = Self {
                scan,
                seen_ms: now_ms,
            };
        }
        let Some((_, took_ms)) = scan else {
            // The first is asked for by the start.
            return false;
        };
        let rest_ms = took_ms.max(0).saturating_mul(RESCAN_REST);
        let wait_ms = rest_ms.max(i64::try_from(rescan_ms).unwrap_or(i64::MAX));
        now_ms.saturating_sub(self.seen_ms) >= wait_ms
    }
}

/// A folder that is away is told of elsewhere, and scanned when it is back.
async fn is_there(ctx: &Arc<Context>, source: usize) -> bool {
    if !ctx.answering.may_work(source) {
        return false;
    }
    let root = ctx.sources[source].config.path.clone();
    let work = move || files::root_state(&root);
    on_disk(ctx, source, &Pulse::default(), work).await.is_ok()
}

/// What is held back, or wrong with a destination, is told as soon as it is.
async fn tell_at_once(ctx: &Arc<Context>, post: &Post) {
    loop {
        tokio::time::sleep(BEAT).await;
        guard::tell(ctx, post, false).await;
        destination::tell(ctx, post).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pacing::Policy;
    use crate::types::RelPath;
    use crate::work::{Item, Lane};
    use futures::FutureExt as _;

    const HOUR_MS: i64 = 60 * 60 * 1000;

    fn path(name: &str) -> RelPath {
        RelPath::from_bytes(name).unwrap()
    }

    /// One source, in which `db` waits for its next version.
    fn worn_out() -> Pacing {
        let pacing = Pacing::new(vec![Policy {
            min_interval_ms: HOUR_MS.cast_unsigned(),
            per_hour_max: 0,
        }]);
        assert!(!pacing.may_store(0, &path("db"), 0, 1));
        pacing
    }

    fn pop(queue: &Queue, lanes: &[Lane]) -> Option<Item> {
        let may_start = |_: usize, _: &RelPath, lane: Lane| lanes.contains(&lane);
        queue
            .pop(may_start, |_, _| crate::work::Ripe::Now)
            .now_or_never()
            .flatten()
    }

    #[test]
    fn a_slow_disk_rests_between_two_scans() {
        let mut last = Rescan::default();
        assert!(!last.is_due(None, 0, 1_000));
        let quick = Some((5, 10));
        assert!(!last.is_due(quick, 100, 1_000));
        assert!(!last.is_due(quick, 1_099, 1_000));
        assert!(last.is_due(quick, 1_100, 1_000));
        // One that took a minute.
        let slow = Some((1_100, 60_000));
        assert!(!last.is_due(slow, 61_100, 1_000));
        assert!(!last.is_due(slow, 61_100 + 20 * 60_000 - 1, 1_000));
        assert!(last.is_due(slow, 61_100 + 20 * 60_000, 1_000));
        // A clock that was put back while it ran.
        assert!(!last.is_due(Some((7, -5_000)), 0, 1_000));
        assert!(last.is_due(Some((7, -5_000)), 1_000, 1_000));
    }

    #[tokio::test]
    async fn what_is_due_goes_before_a_backlog_that_is_full() {
        let (pacing, queue) = (worn_out(), Queue::new(1, 2, 4));
        for name in ["first", "second"] {
            queue.push_backlog(0, path(name), 0).await;
        }
        bring_back(&pacing, &queue, 7, HOUR_MS - 1);
        assert_eq!(queue.depth(0).edits, 0);
        bring_back(&pacing, &queue, 7, HOUR_MS);
        assert_eq!(pacing.waiting(0), (0, None));
        let item = pop(&queue, &[Lane::Edit, Lane::Backlog]).unwrap();
        assert_eq!((item.path, item.since_ms), (path("db"), 7));
    }

    #[tokio::test]
    async fn what_is_due_while_a_worker_has_it_is_worked_on_again() {
        let (pacing, queue) = (worn_out(), Queue::new(1, 2, 4));
        queue.push_edit(0, path("db"), 0, false).unwrap();
        let item = pop(&queue, &[Lane::Edit]).unwrap();
        bring_back(&pacing, &queue, 7, HOUR_MS);
        assert_eq!(pop(&queue, &[Lane::Edit]), None);
        queue.done(&item);
        let again = pop(&queue, &[Lane::Edit]).unwrap();
        assert_eq!((again.path, again.since_ms), (path("db"), 7));
    }

    #[tokio::test]
    async fn what_is_due_while_no_more_edits_fit_waits_on() {
        let (pacing, queue) = (worn_out(), Queue::new(1, 1, 4));
        queue.push_edit(0, path("letter"), 0, false).unwrap();
        bring_back(&pacing, &queue, 7, HOUR_MS);
        assert_eq!(pacing.waiting(0).0, 1);
        queue.done(&pop(&queue, &[Lane::Edit]).unwrap());
        bring_back(&pacing, &queue, 8, HOUR_MS + 1);
        assert_eq!(pop(&queue, &[Lane::Edit]).unwrap().path, path("db"));
    }
}
