//! The paths that the callback has heard of and nobody has passed on yet, each once.
//!
//! Invariants: adding blocks no longer than a map lookup; a path that keeps changing is
//! passed on as often as any other (or `debounce_max_ms` would never begin for it); memory
//! is bounded. `collect` decides how long a path must be quiet, from the events' own times.

use crate::types::RelPath;
use crate::work::HINTS_MAX;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::Notify;

/// How long paths are gathered before they are passed on: a tenth of the default debounce
/// time.
const GATHER: Duration = Duration::from_millis(200);

/// Paths held at a time; all of them fit into the queue of hints.
const PATHS_MAX: usize = HINTS_MAX / 2;

/// When a path changed, by the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    pub first_ms: i64,
    pub last_ms: i64,
}

/// The paths heard of.
#[derive(Default)]
pub(crate) struct Gathered {
    paths: Mutex<HashMap<RelPath, Times>>,
    some: Notify,
}

impl Gathered {
    /// Add a changed path. False when there is no room: then its folder must be scanned.
    pub fn add(&self, path: &RelPath, now_ms: i64) -> bool {
        let mut paths = self.paths.lock();
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

    /// Wait for a path, gather more for a while, and hand out all. Dropping the future
    /// loses nothing.
    pub async fn take(&self) -> HashMap<RelPath, Times> {
        while self.paths.lock().is_empty() {
            self.some.notified().await;
        }
        tokio::time::sleep(GATHER).await;
        std::mem::take(&mut *self.paths.lock())
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
            assert!(gathered.add(&p("log"), now_ms));
            assert!(gathered.add(&p("other"), 7));
        }
        let got = gathered.take().await;
        let times = |first_ms, last_ms| Times { first_ms, last_ms };
        assert_eq!(got[&p("log")], times(0, 99));
        assert_eq!(got[&p("other")], times(7, 7));
        assert!(gathered.add(&p("log"), 100));
        assert_eq!(gathered.take().await[&p("log")], times(100, 100));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_lost_when_the_wait_is_given_up() {
        let gathered = Gathered::default();
        assert!(gathered.add(&p("a"), 1));
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
            assert!(gathered.add(&p(&format!("{number}")), 1));
        }
        assert!(!gathered.add(&p("one more"), 2));
        assert!(gathered.add(&p("5"), 2));
    }
}
