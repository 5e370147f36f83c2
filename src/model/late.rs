//! What a server may still carry out although nobody waits for it any more.
//!
//! A request that was given up, or whose process was killed, may be on a line, in
//! a proxy or in a server's queue, and change the bucket minutes later: a deleted
//! file is current again, an older state stands over a newer one. So what it was
//! about is looked at once more when that can no longer happen. Pure: the tasks
//! hear of such requests and look; this keeps the times. Memory is bounded: more
//! keys than [`KEYS_MAX`] become one look at the whole source.

use crate::model::RelKey;
use std::collections::{BTreeMap, HashMap};

/// Keys that wait for their second look: an outage of hours meets one path at a
/// time, a burst of time-outs a few for each worker.
pub const KEYS_MAX: usize = 10_000;

/// Second looks that are owed. Moments are milliseconds by the caller's clock.
#[derive(Debug, Default)]
pub struct Late {
    /// When each is due.
    keys: HashMap<(usize, RelKey), i64>,
    /// Whole sources.
    wholes: BTreeMap<usize, i64>,
}

impl Late {
    /// Something about this key may be carried out until `until_ms`.
    pub fn key(&mut self, source: usize, key: RelKey, until_ms: i64) {
        let is_new = !self.keys.contains_key(&(source, key.clone()));
        if is_new && self.keys.len() >= KEYS_MAX {
            return self.whole(source, until_ms);
        }
        let due = self.keys.entry((source, key)).or_insert(until_ms);
        *due = (*due).max(until_ms);
    }

    /// Something in this source may be carried out until `until_ms`, and nobody
    /// knows what.
    pub fn whole(&mut self, source: usize, until_ms: i64) {
        let due = self.wholes.entry(source).or_insert(until_ms);
        *due = (*due).max(until_ms);
    }

    /// Take the keys, `max` at the most, that can be looked at now, of sources that
    /// `may` be asked about.
    pub fn take_keys(
        &mut self,
        now_ms: i64,
        max: usize,
        may: impl Fn(usize) -> bool,
    ) -> Vec<(usize, RelKey)> {
        let due = self.keys.iter();
        let due = due.filter(|((source, _), due_ms)| **due_ms <= now_ms && may(*source));
        let due: Vec<(usize, RelKey)> = due.take(max).map(|(key, _)| key.clone()).collect();
        for key in &due {
            self.keys.remove(key);
        }
        due
    }

    /// When a whole source is due, if it is owed a look.
    pub fn whole_due_ms(&self, source: usize) -> Option<i64> {
        self.wholes.get(&source).copied()
    }

    /// The whole source was looked at in a comparison that began at that moment.
    pub fn looked(&mut self, source: usize, began_ms: i64) {
        if self.whole_due_ms(source).is_some_and(|due| due <= began_ms) {
            self.wholes.remove(&source);
        }
    }

    /// As if so much time had passed.
    pub fn pass(&mut self, ms: i64) {
        let dues = self.keys.values_mut().chain(self.wholes.values_mut());
        dues.for_each(|due_ms| *due_ms = due_ms.saturating_sub(ms));
    }

    /// When the last look at anything of this source is due; `None` when none is.
    pub fn last_due_ms(&self, source: usize) -> Option<i64> {
        let keys = self.keys.iter().filter(|((of, _), _)| *of == source);
        let keys = keys.map(|(_, due_ms)| *due_ms);
        keys.chain(self.whole_due_ms(source)).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> RelKey {
        RelKey::parse_full(&format!("f{number}")).unwrap()
    }

    #[test]
    fn a_key_is_looked_at_once_when_nothing_can_come_any_more() {
        let mut late = Late::default();
        late.key(0, key(1), 10);
        late.key(0, key(2), 20);
        // Given up again: the later moment counts.
        late.key(0, key(1), 15);
        late.key(0, key(1), 12);
        assert_eq!(late.last_due_ms(0), Some(20));
        assert_eq!(late.last_due_ms(1), None);
        assert_eq!(late.take_keys(14, 9, |_| true), []);
        assert_eq!(late.take_keys(15, 9, |source| source != 0), []);
        assert_eq!(late.take_keys(15, 9, |_| true), [(0, key(1))]);
        assert_eq!(late.take_keys(99, 0, |_| true), []);
        assert_eq!(late.take_keys(99, 9, |_| true), [(0, key(2))]);
        assert_eq!(late.last_due_ms(0), None);
    }

    #[test]
    fn too_many_keys_become_one_look_at_all() {
        let mut late = Late::default();
        for number in 0..KEYS_MAX + 5 {
            late.key(1, key(number), number as i64);
        }
        assert_eq!(
            late.take_keys(i64::MAX, usize::MAX, |_| true).len(),
            KEYS_MAX
        );
        assert_eq!(late.whole_due_ms(1), Some(KEYS_MAX as i64 + 4));
        assert_eq!(late.whole_due_ms(0), None);
    }

    #[test]
    fn a_comparison_that_began_too_early_does_not_count() {
        let mut late = Late::default();
        late.whole(0, 10);
        late.looked(0, 9);
        assert_eq!(late.whole_due_ms(0), Some(10));
        late.looked(0, 10);
        assert_eq!(late.whole_due_ms(0), None);
    }
}
