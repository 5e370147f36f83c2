//! A value that lives on a thread of its own, called under a watchdog.
//!
//! Two reasons. What may panic or never end must not take its caller with it.
//! And one thread keeps memory small: every thread that allocates sled's pages
//! keeps a heap of its own, and 32 of them took 250 MB where one takes 80.
//! A thread that is stuck is left behind; it cannot be ended from outside.

use parking_lot::Mutex;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

/// Calls that wait for the thread; further ones wait at its door.
const CALLS_MAX: usize = 64;

/// How often a caller at the door tries again.
const DOOR_RETRY_MS: u64 = 1;

/// A stall is counted in this many slices, not by the clock: a computer that
/// slept in between has not been stuck.
const STALL_SLICES: u32 = 100;

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failed {
    /// It panicked, and said this.
    Panicked(String),
    /// The thread got nothing done for the time allowed, and still runs.
    Stuck,
    /// The system gives no thread.
    NoThread(String),
}

type Job<T> = Box<dyn FnOnce(&T) + Send>;

/// The thread and its value.
pub(super) struct Worker<T> {
    /// `None` only while it is being dropped.
    jobs: Option<SyncSender<Job<T>>>,
    /// Disconnected when the thread has ended.
    ended: Mutex<Receiver<()>>,
    watch: Watch,
}

/// What a waiting caller looks at.
#[derive(Clone)]
struct Watch {
    slice: Duration,
    /// Calls done: others' progress is progress.
    steps: Arc<AtomicU64>,
    is_stuck: Arc<AtomicBool>,
}

impl<T: 'static> Worker<T> {
    /// Make the value on a new thread. The inner error is `make`'s own.
    pub(super) fn start<E: Send + 'static>(
        name: &str,
        stall: Duration,
        make: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<Result<Self, E>, Failed> {
        let (jobs, inbox) = mpsc::sync_channel::<Job<T>>(CALLS_MAX);
        let (made, is_made) = mpsc::sync_channel(1);
        let (running, ended) = mpsc::sync_channel::<()>(1);
        let watch = Watch {
            slice: stall / STALL_SLICES,
            steps: Arc::default(),
            is_stuck: Arc::default(),
        };
        let steps = watch.steps.clone();
        let body = move || {
            let _running = running;
            // Nobody waits any more when the watchdog gave up first.
            let value = match catch_unwind(AssertUnwindSafe(make)) {
                Ok(Ok(value)) => {
                    let _ = made.send(Ok(Ok(())));
                    value
                }
                Ok(Err(error)) => return drop(made.send(Ok(Err(error)))),
                Err(panic) => return drop(made.send(Err(panic_text(panic.as_ref())))),
            };
            while let Ok(job) = inbox.recv() {
                job(&value);
                steps.fetch_add(1, Ordering::Relaxed);
            }
            let _ = catch_unwind(AssertUnwindSafe(|| drop(value)));
        };
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(body)
            .map_err(|error| Failed::NoThread(error.to_string()))?;
        let made = watch.wait(&is_made)?;
        Ok(made.map(|()| Self {
            jobs: Some(jobs),
            ended: Mutex::new(ended),
            watch,
        }))
    }

    /// Run `work` with the value, after those who called before.
    pub(super) fn call<R: Send + 'static>(
        &self,
        work: impl FnOnce(&T) -> R + Send + 'static,
    ) -> Result<R, Failed> {
        let (reply, result) = mpsc::sync_channel(1);
        let mut job: Job<T> = Box::new(move |value| {
            let result = catch_unwind(AssertUnwindSafe(|| work(value)));
            let _ = reply.send(result.map_err(|panic| panic_text(panic.as_ref())));
        });
        while let Some(jobs) = &self.jobs {
            match jobs.try_send(job) {
                Ok(()) => break,
                Err(TrySendError::Disconnected(_)) => return Err(Failed::Stuck),
                Err(TrySendError::Full(_)) if self.watch.is_stuck.load(Ordering::Relaxed) => {
                    return Err(Failed::Stuck);
                }
                Err(TrySendError::Full(again)) => {
                    job = again;
                    thread::sleep(Duration::from_millis(DOOR_RETRY_MS));
                }
            }
        }
        self.watch.wait(&result)
    }

    /// True once a call was given up.
    pub(super) fn is_stuck(&self) -> bool {
        self.watch.is_stuck.load(Ordering::Relaxed)
    }
}

impl Watch {
    fn wait<R>(&self, result: &Receiver<Result<R, String>>) -> Result<R, Failed> {
        let mut seen = self.steps.load(Ordering::Relaxed);
        let mut idle_slices = 0;
        while idle_slices < STALL_SLICES {
            match result.recv_timeout(self.slice) {
                Ok(result) => return result.map_err(Failed::Panicked),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failed::Panicked("its thread has ended".to_owned()));
                }
                Err(RecvTimeoutError::Timeout) => {
                    let now = self.steps.load(Ordering::Relaxed);
                    idle_slices = if now == seen { idle_slices + 1 } else { 0 };
                    seen = now;
                }
            }
        }
        self.is_stuck.store(true, Ordering::Relaxed);
        Err(Failed::Stuck)
    }
}

impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        self.jobs = None;
        if self.watch.is_stuck.load(Ordering::Relaxed) {
            return;
        }
        // Until the value is dropped, so that it can be opened again at once.
        let ended = self.ended.get_mut();
        for _ in 0..STALL_SLICES {
            if ended.recv_timeout(self.watch.slice) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }
}

/// What a panic said.
fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no reason given");
    format!("the database gave up: {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(100);

    fn start() -> Worker<u32> {
        Worker::start("test", SHORT, || Ok::<_, ()>(7))
            .unwrap()
            .unwrap()
    }

    #[test]
    fn calls_are_answered_and_panics_caught() {
        let worker = start();
        assert_eq!(worker.call(|n| n + 1), Ok(8));
        let panicked = worker.call(|_| -> u32 { panic!("page lost") });
        let text = "the database gave up: page lost";
        assert_eq!(panicked, Err(Failed::Panicked(text.into())));
        assert_eq!(worker.call(|n| *n), Ok(7));
    }

    #[test]
    fn a_value_that_cannot_be_made() {
        let refused = Worker::<u32>::start("test", SHORT, || Err("no"));
        assert!(matches!(refused, Ok(Err("no"))));
        let panicked = Worker::<u32>::start("test", SHORT, || -> Result<u32, ()> { panic!("x") });
        assert!(matches!(panicked, Err(Failed::Panicked(_))));
        let (hold, held) = mpsc::sync_channel::<()>(0);
        let stuck = Worker::start("test", SHORT, move || held.recv());
        assert!(matches!(stuck, Err(Failed::Stuck)));
        drop(hold);
    }

    #[test]
    fn a_stuck_call_is_left_behind_and_so_are_those_behind_it() {
        let worker = start();
        let (hold, held) = mpsc::sync_channel::<()>(0);
        let waits = worker.call(move |_| held.recv().is_ok());
        assert_eq!(waits, Err(Failed::Stuck));
        assert_eq!(worker.call(|n| *n), Err(Failed::Stuck));
        // Nor does dropping wait for it.
        drop(worker);
        drop(hold);
    }

    #[test]
    fn many_callers_wait_at_the_door_and_all_are_served() {
        let worker = start();
        thread::scope(|scope| {
            for _ in 0..CALLS_MAX * 2 {
                scope.spawn(|| assert_eq!(worker.call(|n| *n), Ok(7)));
            }
        });
        assert_eq!(
            worker.watch.steps.load(Ordering::Relaxed),
            CALLS_MAX as u64 * 2
        );
    }

    #[test]
    fn the_value_is_gone_when_dropping_returns() {
        let alive = Arc::new(());
        let value = alive.clone();
        let worker = Worker::start("test", SHORT, || Ok::<_, ()>(value)).unwrap();
        assert_eq!(Arc::strong_count(&alive), 2);
        drop(worker.unwrap());
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}
