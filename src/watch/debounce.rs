//! Decides when a changed path has been quiet long enough to be stored.
//!
//! Invariants: a path is released once it has been quiet for `quiet_ms`, and at the latest
//! `max_ms` after its first change; a path whose modification time is fresh has not been
//! quiet, even without an event (a file that is held open and written to makes no reliable
//! events). Times are monotonic.

use crate::types::{MonotonicMs, RelPath};
use std::collections::{BTreeSet, HashMap};

/// A path that may be worked on now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The path.
    pub path: RelPath,
    /// When it was first seen to have changed, on the caller's monotonic clock.
    pub since_ms: MonotonicMs,
    /// It was never quiet: store what is there.
    pub deadline: bool,
    /// How often a worker has given it back since it was first seen to have changed.
    pub given_back: u32,
}

/// There is no room for another path: ask for a scan of its source instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// What a touch did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touched {
    /// The path was resting.
    New,
    /// The path was waiting already.
    Again {
        /// The later one of the two first changes: no longer counted.
        later_ms: MonotonicMs,
    },
}

#[derive(Debug, Clone, Copy)]
struct Timer {
    first_ms: MonotonicMs,
    last_ms: MonotonicMs,
    given_back: u32,
}

/// The paths that have changed and have not been quiet yet.
#[derive(Debug)]
pub struct Debouncer {
    quiet_ms: i64,
    max_ms: i64,
    paths_max: usize,
    timers: HashMap<RelPath, Timer>,
    by_due: BTreeSet<(MonotonicMs, RelPath)>,
}

impl Debouncer {
    /// `quiet_ms` after the last change, `max_ms` after the first at the
    /// latest; at most `paths_max` paths at a time.
    pub fn new(quiet_ms: u64, max_ms: u64, paths_max: usize) -> Self {
        Self {
            quiet_ms: i64::try_from(quiet_ms).unwrap_or(i64::MAX / 4),
            max_ms: i64::try_from(max_ms).unwrap_or(i64::MAX / 4),
            paths_max,
            timers: HashMap::new(),
            by_due: BTreeSet::new(),
        }
    }

    /// The path changed at `now_ms`; `first_ms` is earlier when a worker gives
    /// back a path that changed under its hands (`is_given_back`).
    ///
    /// # Errors
    /// [`Full`] when too many paths are waiting.
    pub fn touch(
        &mut self,
        path: RelPath,
        first_ms: MonotonicMs,
        now_ms: MonotonicMs,
        is_given_back: bool,
    ) -> Result<Touched, Full> {
        match self.timers.get(&path).copied() {
            Some(old) => {
                let new = Timer {
                    first_ms: old.first_ms.min(first_ms),
                    last_ms: old.last_ms.max(now_ms),
                    given_back: old.given_back.saturating_add(is_given_back.into()),
                };
                self.set(path, old, new);
                Ok(Touched::Again {
                    later_ms: old.first_ms.max(first_ms),
                })
            }
            None if self.timers.len() >= self.paths_max => Err(Full),
            None => {
                let timer = Timer {
                    first_ms,
                    last_ms: now_ms,
                    given_back: is_given_back.into(),
                };
                self.by_due.insert((self.due_of(timer), path.clone()));
                self.timers.insert(path, timer);
                Ok(Touched::New)
            }
        }
    }

    fn due_of(&self, timer: Timer) -> MonotonicMs {
        (timer.last_ms + self.quiet_ms).min(timer.first_ms + self.max_ms)
    }

    fn set(&mut self, path: RelPath, old: Timer, new: Timer) {
        self.by_due.remove(&(self.due_of(old), path.clone()));
        self.by_due.insert((self.due_of(new), path.clone()));
        self.timers.insert(path, new);
    }

    /// From now on a path must be quiet only for so long.
    pub fn hurry(&mut self, quiet_ms: i64) {
        self.quiet_ms = self.quiet_ms.min(quiet_ms);
        let timers = &self.timers;
        let due = timers
            .iter()
            .map(|(path, timer)| (self.due_of(*timer), path.clone()));
        self.by_due = due.collect();
    }

    /// When [`Debouncer::due`] will next have something; `None` when nothing waits.
    pub fn next_due_ms(&self) -> Option<MonotonicMs> {
        self.by_due.first().map(|(due, _)| *due)
    }

    /// Paths whose time has come, at most `max`. Look at each file and answer
    /// with [`Debouncer::confirm`].
    pub fn due(&self, now_ms: MonotonicMs, max: usize) -> Vec<RelPath> {
        self.by_due
            .iter()
            .take_while(|(due, _)| *due <= now_ms)
            .take(max)
            .map(|(_, path)| path.clone())
            .collect()
    }

    /// A due path was looked at; `age_ms` is how long ago it was modified when
    /// it is a file. Releases it unless that is fresh and there is time left.
    pub fn confirm(
        &mut self,
        path: RelPath,
        age_ms: Option<i64>,
        now_ms: MonotonicMs,
    ) -> Option<Settled> {
        let timer = *self.timers.get(&path)?;
        let deadline = now_ms >= timer.first_ms + self.max_ms;
        // A time in the future (another machine's clock) says nothing.
        let fresh = age_ms.filter(|age| (0..self.quiet_ms).contains(age));
        if let (Some(age_ms), false) = (fresh, deadline) {
            // Due again at quiet after the real last change, which is later than now.
            let last_ms = timer.last_ms.max(now_ms - age_ms);
            if last_ms + self.quiet_ms > now_ms {
                self.set(path, timer, Timer { last_ms, ..timer });
                return None;
            }
        }
        self.by_due.remove(&(self.due_of(timer), path.clone()));
        self.timers.remove(&path);
        Some(Settled {
            path,
            since_ms: timer.first_ms,
            deadline,
            given_back: timer.given_back,
        })
    }

    /// How many paths wait.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.timers.len()
    }

    /// True when none waits.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.timers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(text: &str) -> RelPath {
        RelPath::from_bytes(text).unwrap()
    }

    fn debouncer() -> Debouncer {
        Debouncer::new(2_000, 60_000, 3)
    }

    #[test]
    fn a_single_save_is_released_after_the_quiet_time() {
        let mut s = debouncer();
        s.touch(p("a"), MonotonicMs(1_000), MonotonicMs(1_000), false)
            .unwrap();
        assert_eq!(s.next_due_ms(), Some(MonotonicMs(3_000)));
        assert!(s.due(MonotonicMs(2_999), 10).is_empty());
        assert_eq!(s.due(MonotonicMs(3_000), 10), [p("a")]);
        let got = s.confirm(p("a"), Some(2_000), MonotonicMs(3_000)).unwrap();
        assert_eq!((got.since_ms, got.deadline), (MonotonicMs(1_000), false));
        assert!(s.is_empty() && s.next_due_ms().is_none());
    }

    #[test]
    fn writes_without_events_still_count_as_change() {
        let mut s = debouncer();
        s.touch(p("a"), MonotonicMs(0), MonotonicMs(0), false)
            .unwrap();
        assert_eq!(s.confirm(p("a"), Some(100), MonotonicMs(2_000)), None);
        assert_eq!(s.next_due_ms(), Some(MonotonicMs(3_900)));
        assert!(s.confirm(p("a"), Some(2_000), MonotonicMs(3_900)).is_some());
    }

    #[test]
    fn a_file_that_never_rests_is_released_at_the_maximum() {
        let mut s = debouncer();
        s.touch(p("log"), MonotonicMs(0), MonotonicMs(0), false)
            .unwrap();
        let (released, now) = loop {
            let now = s.next_due_ms().unwrap();
            assert!(now <= MonotonicMs(60_000));
            s.touch(p("log"), now, now, false).unwrap();
            if let Some(got) = s.confirm(p("log"), Some(0), now) {
                break (got, now);
            }
        };
        assert_eq!(now, MonotonicMs(60_000));
        assert!(released.deadline);
        // Given back by a worker with its first moment: due at once again.
        s.touch(p("log"), MonotonicMs(0), MonotonicMs(60_100), false)
            .unwrap();
        assert!(s.next_due_ms().unwrap() <= MonotonicMs(60_100));
    }

    #[test]
    fn in_a_hurry_a_short_rest_is_enough_and_what_changes_still_waits() {
        let mut s = debouncer();
        s.touch(p("saved"), MonotonicMs(1_000), MonotonicMs(1_000), false)
            .unwrap();
        s.touch(p("log"), MonotonicMs(1_000), MonotonicMs(1_900), false)
            .unwrap();
        assert!(s.due(MonotonicMs(2_000), 10).is_empty());
        s.hurry(200);
        assert_eq!(s.due(MonotonicMs(2_000), 10), [p("saved")]);
        let got = s
            .confirm(p("saved"), Some(1_000), MonotonicMs(2_000))
            .unwrap();
        assert_eq!((got.since_ms, got.deadline), (MonotonicMs(1_000), false));
        assert_eq!(s.confirm(p("log"), Some(20), MonotonicMs(2_100)), None);
        assert_eq!(s.next_due_ms(), Some(MonotonicMs(2_280)));
        s.touch(p("later"), MonotonicMs(3_000), MonotonicMs(3_000), false)
            .unwrap();
        assert_eq!(s.due(MonotonicMs(3_200), 10).len(), 2);
    }

    #[test]
    fn modification_times_that_say_nothing() {
        for (age, why) in [
            (Some(-9_999_999), "from the future"),
            (Some(9_999_999), "ancient"),
            (None, "deleted or a folder"),
        ] {
            let mut s = debouncer();
            s.touch(p("a"), MonotonicMs(0), MonotonicMs(0), false)
                .unwrap();
            assert!(
                s.confirm(p("a"), age, MonotonicMs(2_000)).is_some(),
                "{why}"
            );
        }
    }

    #[test]
    fn bounded() {
        let mut s = debouncer();
        for path in ["a", "c", "d"] {
            s.touch(p(path), MonotonicMs(0), MonotonicMs(0), false)
                .unwrap();
        }
        assert_eq!(
            s.touch(p("b"), MonotonicMs(0), MonotonicMs(0), false),
            Err(Full)
        );
        assert_eq!(
            s.touch(p("a"), MonotonicMs(5), MonotonicMs(5), false),
            Ok(Touched::Again {
                later_ms: MonotonicMs(5)
            })
        );
        assert_eq!(s.len(), 3);
        assert_eq!(s.due(MonotonicMs(2_000), 1).len(), 1);
    }
}
