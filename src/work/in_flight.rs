//! Which changes have been heard of and are not in the queue yet: how many, and
//! since when.
//!
//! Invariant: what is heard of is counted from before it is passed on until it
//! is in the queue, has become one with another, or is left to a scan.

use crate::types::MonotonicMs;
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Default)]
struct Changes {
    /// Times of the first news, with their number; bounded by the channels and
    /// timers that hold them.
    first_ms: BTreeMap<MonotonicMs, usize>,
    /// Those among them that a worker had, and could not store yet.
    given_back: u64,
    /// The same, ever.
    given_back_ever: u64,
}

/// The changes of one source. Clones share them.
#[derive(Clone, Default)]
pub struct InFlightChanges(Arc<Mutex<Changes>>);

impl InFlightChanges {
    fn lock(&self) -> MutexGuard<'_, Changes> {
        self.0.lock()
    }

    /// One was heard of first at `first_ms`.
    pub(crate) fn add(&self, first_ms: MonotonicMs, is_given_back: bool) {
        let mut changes = self.lock();
        *changes.first_ms.entry(first_ms).or_default() += 1;
        changes.given_back += u64::from(is_given_back);
        changes.given_back_ever += u64::from(is_given_back);
    }

    /// One that was heard of first at `first_ms` is counted no longer, nor that it
    /// was given back so often.
    pub(crate) fn remove(&self, first_ms: MonotonicMs, given_back: u32) {
        let mut changes = self.lock();
        changes.given_back = changes.given_back.saturating_sub(given_back.into());
        if let Some(count) = changes.first_ms.get_mut(&first_ms) {
            *count -= 1;
            if *count == 0 {
                changes.first_ms.remove(&first_ms);
            }
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.lock().first_ms.values().sum()
    }

    /// `None` while something is on its way that was heard of at that moment or
    /// before, or that a worker has given back. Otherwise how often any was.
    pub(crate) fn up_to(&self, moment_ms: MonotonicMs) -> Option<u64> {
        let changes = self.lock();
        let oldest = changes.first_ms.first_key_value();
        let has_come = oldest.is_none_or(|(first_ms, _)| *first_ms > moment_ms);
        (has_come && changes.given_back == 0).then_some(changes.given_back_ever)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counts_by_its_own_time_until_it_is_taken() {
        let changes = InFlightChanges::default();
        for first_ms in [5, 5, 9] {
            changes.add(MonotonicMs(first_ms), false);
        }
        assert_eq!(changes.count(), 3);
        changes.remove(MonotonicMs(5), 0);
        for (moment_ms, want) in [(4, Some(0)), (5, None)] {
            assert_eq!(changes.up_to(MonotonicMs(moment_ms)), want, "{moment_ms}");
        }
        changes.remove(MonotonicMs(5), 0);
        assert_eq!(
            (changes.up_to(MonotonicMs(8)), changes.up_to(MonotonicMs(9))),
            (Some(0), None)
        );
        // Never counted: nothing happens.
        changes.remove(MonotonicMs(7), 1);
        assert_eq!(changes.count(), 1);
    }

    #[test]
    fn what_was_given_back_is_waited_for_whenever_it_changed() {
        let changes = InFlightChanges::default();
        changes.add(MonotonicMs(9), true);
        changes.add(MonotonicMs(9), true);
        assert_eq!(changes.up_to(MonotonicMs(1)), None);
        // They have become one.
        changes.remove(MonotonicMs(9), 0);
        assert_eq!(changes.up_to(MonotonicMs(1)), None);
        changes.remove(MonotonicMs(9), 2);
        assert_eq!(
            (changes.up_to(MonotonicMs(1)), changes.count()),
            (Some(2), 0)
        );
    }
}
