//! Whether a folder's disk answers: a disk or network drive that hangs holds up nobody
//! else.
//!
//! A call that does not come back within [`ANSWER_WAIT`] is abandoned on its thread and
//! its source counts as stalled: no worker takes from it, one probe waits for it, and when
//! that (or an abandoned call) comes back the source goes on by itself. Invariants:
//! nothing of a stalled source is taken for gone; abandoned threads are counted and
//! bounded per source.
//!
//! `loops` says whether the daemon's own loops still turn, for a service manager's watchdog.

mod loops;

pub use loops::{INDEX_WAIT_MAX, LoopPulse, Loops, Outside, STUCK_AFTER, TURN, Turning};

use crate::clock::Clock;
use crate::files;
use crate::files::Pulse;
use crate::status::LiveStatus;
use crate::types::{Class, Fault, WallMs, chain};
use crate::work::SourceWork;
use parking_lot::{Mutex, MutexGuard};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long a disk may take for one call. A sleeping disk spins up within ten
/// seconds and a busy network drive answers within these.
pub const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// Threads that one source may abandon while its folder answers and single files do not;
/// with more the whole source counts as stalled.
const ABANDONED_MAX: usize = 8;

/// How often a waiting worker looks how long the disk has been silent.
const LOOK: Duration = Duration::from_millis(500);

/// The standing warning of a stalled source.
const WARNING: &str = "answer";

#[derive(Default)]
struct State {
    stalled_since_ms: Option<WallMs>,
    abandoned: usize,
    is_probing: bool,
}

struct Inner {
    root: PathBuf,
    answer_wait: Duration,
    status: LiveStatus,
    work: SourceWork,
    clock: Clock,
    state: Mutex<State>,
}

/// Watches over the calls to one source's disk. Clones share it.
#[derive(Clone)]
pub struct IoWatchdog(Arc<Inner>);

impl IoWatchdog {
    /// Of the folder at `root`, whose disk may take `answer_wait` for one call
    /// ([`ANSWER_WAIT`], tests wait shorter). It answers until it does not.
    pub fn new(
        root: PathBuf,
        answer_wait: Duration,
        status: LiveStatus,
        work: SourceWork,
        clock: Clock,
    ) -> Self {
        Self(Arc::new(Inner {
            root,
            answer_wait,
            status,
            work,
            clock,
            state: Mutex::default(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock()
    }

    /// Whether workers may take from the source.
    pub fn may_work(&self) -> bool {
        self.stalled_since_ms().is_none()
    }

    /// Since when the source does not answer, milliseconds since 1970.
    pub fn stalled_since_ms(&self) -> Option<WallMs> {
        self.state().stalled_since_ms
    }

    /// Threads that were abandoned and have not come back.
    pub fn abandoned(&self) -> usize {
        self.state().abandoned
    }

    /// Run blocking work on the source's disk. `pulse` beats in it; the work begins
    /// with a beat.
    ///
    /// # Errors
    /// Whatever the work reports; class `Unreadable` when the disk does not answer.
    pub async fn run<T: Send + 'static>(
        &self,
        pulse: &Pulse,
        work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let mut thread = spawn(pulse, work);
        tokio::select! {
            done = &mut thread => done.unwrap_or_else(|error| Err(panicked(&error))),
            () = self.silence(pulse) => {
                self.abandon(async move {
                    // What it would have said comes too late.
                    let _ = thread.await;
                });
                Err(self.no_answer())
            }
        }
    }

    /// The same, waiting on: for the one who looks after the source.
    ///
    /// # Errors
    /// Whatever the work reports.
    pub async fn run_to_the_end<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let pulse = Pulse::default();
        let mut thread = spawn(&pulse, work);
        let done = tokio::select! {
            done = &mut thread => done,
            () = self.silence(&pulse) => {
                self.stalled();
                let done = thread.await;
                self.answered();
                done
            }
        };
        done.unwrap_or_else(|error| Err(panicked(&error)))
    }

    /// Watch over work that reads from the source's disk on threads of its own, each
    /// holding a clone of `pulse`.
    ///
    /// # Errors
    /// Whatever the work reports; class `Unreadable` when the disk does not answer.
    pub async fn watch_over<T>(
        &self,
        pulse: &Pulse,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        tokio::select! {
            done = work => done,
            () = self.silence(pulse) => {
                let watcher = pulse.watcher();
                self.abandon(async move {
                    while watcher.is_held() {
                        tokio::time::sleep(LOOK).await;
                    }
                });
                Err(self.no_answer())
            }
        }
    }

    /// Returns when the disk has been silent for too long.
    async fn silence(&self, pulse: &Pulse) {
        let wait = self.0.answer_wait;
        while pulse.silent_for() < wait {
            tokio::time::sleep(LOOK.min(wait)).await;
        }
    }

    fn abandon(&self, back: impl Future<Output = ()> + Send + 'static) {
        self.state().abandoned += 1;
        self.stalled();
        let own = self.clone();
        tokio::spawn(async move {
            back.await;
            {
                let mut state = own.state();
                state.abandoned = state.abandoned.saturating_sub(1);
            }
            own.answered();
        });
    }

    /// The source does not answer: say so, and send one probe after it.
    fn stalled(&self) {
        let now_ms = self.0.clock.now_ms();
        let (is_news, probe) = {
            let mut state = self.state();
            let is_news = state.stalled_since_ms.is_none();
            state.stalled_since_ms.get_or_insert(now_ms);
            let probe = !std::mem::replace(&mut state.is_probing, true);
            (is_news, probe)
        };
        if is_news {
            let fault = self.no_answer();
            tracing::error!(source = %self.0.status.name(), "{fault}");
            self.0.status.warn(WARNING, Some(fault.to_string()));
        }
        if probe {
            let own = self.clone();
            tokio::spawn(async move {
                let root = own.0.root.clone();
                // Also an error is an answer; who works on it then says what it is.
                let _ = tokio::task::spawn_blocking(move || files::root_state(&root)).await;
                own.state().is_probing = false;
                own.answered();
            });
        }
    }

    /// Something of the source came back.
    fn answered(&self) {
        let is_back = {
            let mut state = self.state();
            let may = state.abandoned < ABANDONED_MAX && !state.is_probing;
            may && state.stalled_since_ms.take().is_some()
        };
        if !is_back {
            return;
        }
        tracing::info!(source = %self.0.status.name(), "the folder answers again");
        self.0.status.warn(WARNING, None);
        // What happened meanwhile may have made no event.
        self.0.work.scans.ask_later();
        self.0.work.queue.wake();
    }

    /// What to tell of a source that does not answer.
    pub fn no_answer(&self) -> Fault {
        Fault::new(
            Class::Unreadable,
            "read from",
            self.0.root.display().to_string(),
            "the disk or network drive that it is on does not answer",
        )
        .hint("see whether the disk or the network drive is connected and its server runs. Other folders are backed up meanwhile; this one goes on by itself when it answers")
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

fn panicked(error: &tokio::task::JoinError) -> Fault {
    Fault::new(Class::Local, "work on", "this computer", chain(error))
}
