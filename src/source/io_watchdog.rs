//! Which folders answer: a disk or network drive that hangs holds up nobody else.
//!
//! A call that does not come back within [`ANSWER_WAIT`] is left behind on its
//! thread and its source counts as silent: no worker takes from it, one probe
//! waits for it, and when that (or a call left behind) comes back the source
//! goes on by itself. Invariants: nothing of a silent source is taken for gone;
//! threads left behind are counted and bounded per source.

use super::context::Context;
use crate::files;
use crate::files::Pulse;
use crate::types::{Class, Fault, chain};
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long a disk may take for one call. A sleeping disk spins up within ten
/// seconds and a busy network drive answers within these.
pub const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// Threads that one source may leave behind while its folder answers and single
/// files do not; with more the whole source counts as silent.
const LEFT_BEHIND_MAX: usize = 8;

/// How often a waiting worker looks how long the disk has been silent.
const LOOK: Duration = Duration::from_millis(500);

/// The standing warning of a silent source.
const WARNING: &str = "answer";

#[derive(Default, Clone)]
struct State {
    silent_since_ms: Option<i64>,
    left_behind: usize,
    probing: bool,
}

impl State {
    fn may_work(&self) -> bool {
        self.silent_since_ms.is_none()
    }
}

struct Inner {
    states: Mutex<Vec<State>>,
    wait_ms: AtomicU64,
}

/// Handle; cheap to clone.
#[derive(Clone)]
pub struct Answering(Arc<Inner>);

impl Answering {
    /// All of `sources` sources answer.
    pub fn new(sources: usize) -> Self {
        let wait_ms = u64::try_from(ANSWER_WAIT.as_millis()).unwrap_or(u64::MAX);
        Self(Arc::new(Inner {
            states: Mutex::new(vec![State::default(); sources]),
            wait_ms: AtomicU64::new(wait_ms),
        }))
    }

    /// Wait shorter than [`ANSWER_WAIT`], for tests.
    pub fn set_wait(&self, wait: Duration) {
        let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.0.wait_ms.store(ms, Ordering::Relaxed);
    }

    fn wait(&self) -> Duration {
        Duration::from_millis(self.0.wait_ms.load(Ordering::Relaxed))
    }

    fn states(&self) -> MutexGuard<'_, Vec<State>> {
        self.0.states.lock()
    }

    fn with<T>(&self, source: usize, act: impl FnOnce(&mut State) -> T) -> Option<T> {
        self.states().get_mut(source).map(act)
    }

    /// Whether workers may take from that source.
    pub fn may_work(&self, source: usize) -> bool {
        self.with(source, |state| state.may_work()).unwrap_or(true)
    }

    /// Since when the source does not answer, milliseconds since 1970.
    pub fn silent_since(&self, source: usize) -> Option<i64> {
        self.with(source, |state| state.silent_since_ms).flatten()
    }

    /// Threads that were left behind and have not come back.
    pub fn left_behind(&self, source: usize) -> usize {
        self.with(source, |state| state.left_behind).unwrap_or(0)
    }
}

/// Run blocking work on a source's disk. `pulse` beats in it; the work begins
/// with a beat.
///
/// # Errors
/// Whatever the work reports; class `Unreadable` when the disk does not answer.
pub async fn on_disk<T: Send + 'static>(
    ctx: &Arc<Context>,
    source: usize,
    pulse: &Pulse,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let mut thread = spawn(pulse, work);
    tokio::select! {
        done = &mut thread => done.unwrap_or_else(|error| Err(panicked(&error))),
        () = silent(ctx, pulse) => {
            leave_behind(ctx, source, async move {
                // What it would have said comes too late.
                let _ = thread.await;
            });
            Err(no_answer(ctx, source))
        }
    }
}

/// The same, waiting on: for the one who looks after the source.
///
/// # Errors
/// Whatever the work reports.
pub async fn awaited<T: Send + 'static>(
    ctx: &Arc<Context>,
    source: usize,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let pulse = Pulse::default();
    let mut thread = spawn(&pulse, work);
    let done = tokio::select! {
        done = &mut thread => done,
        () = silent(ctx, &pulse) => {
            fell_silent(ctx, source);
            let done = thread.await;
            answered(ctx, source);
            done
        }
    };
    done.unwrap_or_else(|error| Err(panicked(&error)))
}

/// Work that reads from a source's disk on threads of its own, each holding a
/// clone of `pulse`.
///
/// # Errors
/// Whatever the work reports; class `Unreadable` when the disk does not answer.
pub async fn unless_silent<T>(
    ctx: &Arc<Context>,
    source: usize,
    pulse: &Pulse,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    tokio::select! {
        done = work => done,
        () = silent(ctx, pulse) => {
            let watcher = pulse.watcher();
            leave_behind(ctx, source, async move {
                while watcher.is_held() {
                    tokio::time::sleep(LOOK).await;
                }
            });
            Err(no_answer(ctx, source))
        }
    }
}

fn spawn<T: Send + 'static>(
    pulse: &Pulse,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> JoinHandle<Result<T, Fault>> {
    // Waiting for a free thread is not the disk's fault.
    pulse.rest();
    let pulse = pulse.clone();
    tokio::task::spawn_blocking(move || {
        pulse.beat();
        let done = work();
        pulse.rest();
        done
    })
}

/// Returns when the disk has been silent for too long.
async fn silent(ctx: &Context, pulse: &Pulse) {
    let wait = ctx.answering.wait();
    while pulse.silent_for() < wait {
        tokio::time::sleep(LOOK.min(wait)).await;
    }
}

fn leave_behind(
    ctx: &Arc<Context>,
    source: usize,
    back: impl Future<Output = ()> + Send + 'static,
) {
    ctx.answering.with(source, |state| state.left_behind += 1);
    fell_silent(ctx, source);
    let ctx = Arc::clone(ctx);
    tokio::spawn(async move {
        back.await;
        ctx.answering.with(source, |state| {
            state.left_behind = state.left_behind.saturating_sub(1);
        });
        answered(&ctx, source);
    });
}

/// The source does not answer: say so, and send one probe after it.
fn fell_silent(ctx: &Arc<Context>, source: usize) {
    let now_ms = ctx.now_ms();
    let found = ctx.answering.with(source, |state| {
        let is_news = state.silent_since_ms.is_none();
        state.silent_since_ms.get_or_insert(now_ms);
        let probe = !state.probing;
        state.probing = true;
        (is_news, probe)
    });
    let Some((is_news, probe)) = found else {
        return;
    };
    if is_news {
        let fault = no_answer(ctx, source);
        let name = &ctx.sources[source].config.name;
        tracing::error!(source = %name, "{fault}");
        ctx.board.warn(source, WARNING, Some(fault.to_string()));
    }
    if probe {
        let ctx = Arc::clone(ctx);
        tokio::spawn(async move {
            let root = ctx.sources[source].config.path.clone();
            // Also an error is an answer; who works on it then says what it is.
            let _ = tokio::task::spawn_blocking(move || files::root_state(&root)).await;
            ctx.answering.with(source, |state| state.probing = false);
            answered(&ctx, source);
        });
    }
}

/// Something of the source came back.
fn answered(ctx: &Arc<Context>, source: usize) {
    let is_back = ctx.answering.with(source, |state| {
        let may = state.left_behind < LEFT_BEHIND_MAX && !state.probing;
        may && state.silent_since_ms.take().is_some()
    });
    if is_back != Some(true) {
        return;
    }
    let name = &ctx.sources[source].config.name;
    tracing::info!(source = %name, "the folder answers again");
    ctx.board.warn(source, WARNING, None);
    // What happened meanwhile may have made no event.
    ctx.scans.ask_later(source);
    ctx.queue.wake();
}

/// What to tell of a source that does not answer.
pub fn no_answer(ctx: &Context, source: usize) -> Fault {
    let root = ctx.sources[source].config.path.display().to_string();
    Fault::new(
        Class::Unreadable,
        "read from",
        root,
        "the disk or network drive that it is on does not answer",
    )
    .hint("see whether the disk or the network drive is connected and its server runs. Other folders are backed up meanwhile; this one goes on by itself when it answers")
}

fn panicked(error: &tokio::task::JoinError) -> Fault {
    Fault::new(Class::Local, "work on", "this computer", chain(error))
}
