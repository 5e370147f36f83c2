//! Runs what may panic or never end in a thread of its own, under a watchdog.
//!
//! The watchdog looks at progress, not at the time a whole run takes: a slow
//! disk is not a damaged database. A thread that is stuck is left behind; it
//! cannot be ended from outside.

use super::engine::panic_text;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How often the watchdog looks.
const LOOK_EVERY_MS: u64 = 50;

/// Counts steps, so that slow can be told from stuck.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<AtomicU64>);

impl Progress {
    /// One step further.
    pub(super) fn step(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// How a guarded run ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome<T> {
    /// It returned.
    Done(T),
    /// It panicked, and said this.
    Panicked(String),
    /// It made no progress for the time allowed; its thread still runs.
    Stuck,
    /// The system gives no thread.
    NoThread(String),
}

/// Run `work`, for as long as it makes progress at least every `stall`.
pub(super) fn guarded<T: Send + 'static>(
    name: &str,
    stall: Duration,
    progress: &Progress,
    work: impl FnOnce() -> T + Send + 'static,
) -> Outcome<T> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(work));
        // Nobody waits any more when the watchdog gave up first.
        let _ = sender.send(result);
    });
    if let Err(error) = spawned {
        return Outcome::NoThread(error.to_string());
    }
    let mut seen = progress.0.load(Ordering::Relaxed);
    let mut since = Instant::now();
    loop {
        let look = Duration::from_millis(LOOK_EVERY_MS).min(stall);
        match receiver.recv_timeout(look) {
            Ok(Ok(value)) => return Outcome::Done(value),
            Ok(Err(panic)) => return Outcome::Panicked(panic_text(panic.as_ref())),
            Err(RecvTimeoutError::Disconnected) => {
                return Outcome::Panicked("the thread ended without a result".to_owned());
            }
            Err(RecvTimeoutError::Timeout) => {
                let now = progress.0.load(Ordering::Relaxed);
                if now != seen {
                    seen = now;
                    since = Instant::now();
                } else if since.elapsed() >= stall {
                    return Outcome::Stuck;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(60);

    fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Outcome<T> {
        guarded("test", SHORT, &Progress::default(), work)
    }

    #[test]
    fn ends_are_told_apart() {
        assert_eq!(run(|| 7), Outcome::Done(7));
        let panicked = run(|| -> u8 { panic!("page lost") });
        assert_eq!(
            panicked,
            Outcome::Panicked("the database gave up: page lost".into())
        );
        let (hold, held) = mpsc::channel::<()>();
        assert_eq!(run(move || held.recv().is_ok()), Outcome::Stuck);
        drop(hold);
    }

    #[test]
    fn slow_is_not_stuck() {
        let progress = Progress::default();
        let steps = progress.clone();
        let outcome = guarded("test", SHORT, &progress, move || {
            let (_hold, held) = mpsc::channel::<()>();
            let began = Instant::now();
            while began.elapsed() < SHORT * 4 {
                steps.step();
                let _ = held.recv_timeout(SHORT / 6);
            }
        });
        assert_eq!(outcome, Outcome::Done(()));
    }
}
