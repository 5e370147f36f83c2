//! Which changes have been heard of and are not in the queue yet: how many, and
//! since when.
//!
//! Invariant: what is heard of is counted from before it is passed on until it
//! is in the queue, has become one with another, or is left to a scan.

use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;

#[derive(Default)]
struct Changes {
    /// Times of the first news, with their number; bounded by the channels and
    /// timers that hold them.
    first_ms: BTreeMap<i64, usize>,
    /// Those among them that a worker had, and could not store yet.
    given_back: u64,
    /// The same, ever.
    given_back_ever: u64,
}

/// Changes of each source.
pub struct Unsettled(Vec<Mutex<Changes>>);

impl Unsettled {
    /// For so many sources.
    pub fn new(sources: usize) -> Self {
        Self((0..sources).map(|_| Mutex::default()).collect())
    }

    fn of(&self, source: usize) -> Option<MutexGuard<'_, Changes>> {
        let changes = self.0.get(source)?;
        Some(changes.lock())
    }

    /// One was heard of first at `first_ms`.
    pub(crate) fn add(&self, source: usize, first_ms: i64, is_given_back: bool) {
        if let Some(mut changes) = self.of(source) {
            *changes.first_ms.entry(first_ms).or_default() += 1;
            changes.given_back += u64::from(is_given_back);
            changes.given_back_ever += u64::from(is_given_back);
        }
    }

    /// One that was heard of first at `first_ms` is counted no longer, nor that it
    /// was given back so often.
    pub(crate) fn remove(&self, source: usize, first_ms: i64, given_back: u32) {
        let Some(mut changes) = self.of(source) else {
            return;
        };
        changes.given_back = changes.given_back.saturating_sub(given_back.into());
        if let Some(count) = changes.first_ms.get_mut(&first_ms) {
            *count -= 1;
            if *count == 0 {
                changes.first_ms.remove(&first_ms);
            }
        }
    }

    /// How many there are, of all sources.
    pub fn count(&self) -> usize {
        let sources = 0..self.0.len();
        let changes = sources.filter_map(|source| self.of(source));
        changes
            .map(|changes| changes.first_ms.values().sum::<usize>())
            .sum()
    }

    /// How many there are of one source.
    pub fn count_of(&self, source: usize) -> usize {
        self.of(source)
            .map_or(0, |changes| changes.first_ms.values().sum())
    }

    /// `None` while something is on its way that was heard of at that moment or
    /// before, or that a worker has given back. Otherwise how often any was.
    pub(crate) fn up_to(&self, source: usize, moment_ms: i64) -> Option<u64> {
        let changes = self.of(source)?;
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
        let unsettled = Unsettled::new(2);
        for (source, first_ms) in [(0, 5), (0, 5), (0, 9), (1, 1)] {
            unsettled.add(source, first_ms, false);
        }
        assert_eq!(unsettled.count(), 4);
        unsettled.remove(0, 5, 0);
        for (source, moment_ms, want) in [
            (0, 4, Some(0)),
            (0, 5, None),
            (1, 0, Some(0)),
            (1, 1, None),
            (2, 0, None),
        ] {
            let got = unsettled.up_to(source, moment_ms);
            assert_eq!(got, want, "{source} {moment_ms}");
        }
        unsettled.remove(0, 5, 0);
        assert_eq!(
            (unsettled.up_to(0, 8), unsettled.up_to(0, 9)),
            (Some(0), None)
        );
        // Never counted: nothing happens.
        unsettled.remove(0, 7, 1);
        unsettled.remove(2, 7, 0);
        assert_eq!(unsettled.count(), 2);
    }

    #[test]
    fn what_was_given_back_is_waited_for_whenever_it_changed() {
        let unsettled = Unsettled::new(1);
        unsettled.add(0, 9, true);
        unsettled.add(0, 9, true);
        assert_eq!(unsettled.up_to(0, 1), None);
        // They have become one.
        unsettled.remove(0, 9, 0);
        assert_eq!(unsettled.up_to(0, 1), None);
        unsettled.remove(0, 9, 2);
        assert_eq!((unsettled.up_to(0, 1), unsettled.count()), (Some(2), 0));
    }
}
