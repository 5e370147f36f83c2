//! What the callback has heard and nobody has passed on yet, each path once.
//!
//! Invariants: adding never blocks for longer than a look into a map; a path
//! that keeps changing is passed on as often as any other (a debouncer that
//! waits for it to rest would never name it, and `debounce_max_ms` would never
//! begin); memory is bounded. It only thins out the stream: how long a path
//! must rest is decided by `collect`, from the events' own times.

use crate::types::{MonotonicMs, RelPath};
use crate::work::HINTS_MAX;
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::Notify;

/// How long events are gathered before they are passed on: a tenth of the
/// default debounce time.
const GATHER: Duration = Duration::from_millis(200);

/// Paths held at a time; all of them find room among the hints.
const PATHS_MAX: usize = HINTS_MAX / 2;

/// When a path changed, by [`crate::tasks::Context::monotonic_ms`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    pub first_ms: MonotonicMs,
    pub last_ms: MonotonicMs,
}

/// The paths heard of.
#[derive(Default)]
pub(crate) struct Gathered {
    paths: Mutex<HashMap<RelPath, Times>>,
    some: Notify,
}

impl Gathered {
    fn lock(&self) -> MutexGuard<'_, HashMap<RelPath, Times>> {
        // Every change is a single insert or take: a panic leaves it whole.
        self.paths.lock()
    }

    /// The path changed. False when there is no room: it must be scanned for.
    pub fn add(&self, path: &RelPath, now_ms: MonotonicMs) -> bool {
        let mut paths = self.lock();
        if let Some(times) = paths.get_mut(path) {
            times.last_ms = now_ms;
            return true;
        }
        if paths.len() >= PATHS_MAX {
            return false;
        }
        let times = Times {
            first_ms: now_ms,
            last_ms: now_ms,
        };
        paths.insert(path.clone(), times);
        drop(paths);
        self.some.notify_one();
        true
    }

    /// Wait for a path, gather on for a while, hand all out. Nothing is lost
    /// when it is dropped while it waits.
    pub async fn take(&self) -> HashMap<RelPath, Times> {
        while self.lock().is_empty() {
            self.some.notified().await;
        }
        tokio::time::sleep(GATHER).await;
        std::mem::take(&mut *self.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(text: &str) -> RelPath {
        RelPath::from_bytes(text).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_path_that_never_rests_is_handed_out_like_any_other() {
        let gathered = Gathered::default();
        for now_ms in 0..100 {
            assert!(gathered.add(&p("log"), MonotonicMs(now_ms)));
            assert!(gathered.add(&p("other"), MonotonicMs(7)));
        }
        let got = gathered.take().await;
        let times = |first_ms, last_ms| Times { first_ms, last_ms };
        assert_eq!(got[&p("log")], times(MonotonicMs(0), MonotonicMs(99)));
        assert_eq!(got[&p("other")], times(MonotonicMs(7), MonotonicMs(7)));
        assert!(gathered.add(&p("log"), MonotonicMs(100)));
        assert_eq!(
            gathered.take().await[&p("log")],
            times(MonotonicMs(100), MonotonicMs(100))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_lost_when_the_wait_is_given_up() {
        let gathered = Gathered::default();
        assert!(gathered.add(&p("a"), MonotonicMs(1)));
        let short = tokio::time::timeout(GATHER / 2, gathered.take()).await;
        assert!(short.is_err());
        assert_eq!(gathered.take().await.len(), 1);
        let idle = tokio::time::timeout(Duration::from_secs(60), gathered.take()).await;
        assert!(
            idle.is_err(),
            "nothing is handed out when nothing was heard"
        );
    }

    #[test]
    fn what_does_not_fit_is_said_and_what_is_there_still_counts() {
        let gathered = Gathered::default();
        for number in 0..PATHS_MAX {
            assert!(gathered.add(&p(&format!("{number}")), MonotonicMs(1)));
        }
        assert!(!gathered.add(&p("one more"), MonotonicMs(2)));
        assert!(gathered.add(&p("5"), MonotonicMs(2)));
    }
}
