//! Requests that a server may still carry out although nobody waits for them any more.
//!
//! A request that was given up, or whose process was killed, may still be on its way, in a
//! proxy or in a server's queue, and change the bucket minutes later: a deleted file becomes
//! current again, or an older state hides a newer one. So we look at its key once more when
//! that can no longer happen. Pure: other code hears of such requests and looks; this file
//! keeps the times. Memory is bounded: more keys than [`KEYS_MAX`] become one look at the whole
//! source.

use super::object_key::RelKey;
use std::collections::{BTreeMap, HashMap};

/// Keys that wait for their second look: an outage of hours meets one path at a
/// time, a burst of time-outs a few for each worker.
pub const KEYS_MAX: usize = 10_000;

/// A comparison that did not come to its end is tried again after this.
pub const RETRY_MS: i64 = 60_000;

/// The wait doubles with each that did not, up to this: a bucket whose list is
/// broken is not listed for ever.
pub const RETRY_MAX_MS: i64 = 60 * 60_000;

/// A look that is owed at a whole source.
#[derive(Debug, Default)]
struct Whole {
    /// When nothing can come any more.
    due_ms: i64,
    /// Not before, since the last comparisons did not come to their end.
    again_ms: i64,
    failures: u32,
}

/// Second looks that are owed. Moments are milliseconds by the caller's clock.
#[derive(Debug, Default)]
pub struct Late {
    /// When each is due.
    keys: HashMap<(usize, RelKey), i64>,
    /// Whole sources.
    wholes: BTreeMap<usize, Whole>,
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
        let whole = self.wholes.entry(source).or_insert_with(|| Whole {
            due_ms: until_ms,
            ..Whole::default()
        });
        whole.due_ms = whole.due_ms.max(until_ms);
    }

    /// The whole source is to be compared now, and `may` be asked about.
    pub fn is_whole_due(&self, source: usize, now_ms: i64, may: impl Fn(usize) -> bool) -> bool {
        self.wholes.get(&source).is_some_and(|whole| {
            whole.due_ms <= now_ms && (whole.failures == 0 || whole.again_ms <= now_ms)
        }) && may(source)
    }

    /// A comparison of the whole source did not come to its end.
    pub fn failed(&mut self, source: usize, now_ms: i64) {
        if let Some(whole) = self.wholes.get_mut(&source) {
            let wait_ms = RETRY_MS << whole.failures.min(6);
            whole.failures += 1;
            whole.again_ms = now_ms.saturating_add(wait_ms.min(RETRY_MAX_MS));
        }
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
        self.wholes.get(&source).map(|whole| whole.due_ms)
    }

    /// The whole source was looked at in a comparison that began at that moment.
    pub fn looked(&mut self, source: usize, began_ms: i64) {
        if self.whole_due_ms(source).is_some_and(|due| due <= began_ms) {
            self.wholes.remove(&source);
        }
    }

    /// As if so much time had passed.
    pub fn pass(&mut self, ms: i64) {
        let wholes = self.wholes.values_mut();
        let wholes = wholes.flat_map(|whole| [&mut whole.due_ms, &mut whole.again_ms]);
        let dues = self.keys.values_mut().chain(wholes);
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

    /// Named after the bug: a full comparison each minute for ever, where the
    /// bucket's list is broken.
    #[test]
    fn a_comparison_that_fails_again_and_again_is_tried_ever_less_often() {
        const DAY_MS: i64 = 24 * 60 * 60_000;
        let mut late = Late::default();
        late.whole(0, 1_000);
        let (mut now_ms, mut waits) = (1_000, Vec::new());
        while now_ms < DAY_MS {
            assert!(late.is_whole_due(0, now_ms, |_| true));
            late.failed(0, now_ms);
            let began_ms = now_ms;
            while !late.is_whole_due(0, now_ms, |_| true) {
                now_ms += 1_000;
            }
            waits.push((now_ms - began_ms) / 60_000);
        }
        assert_eq!(waits[..8], [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(waits.iter().max(), Some(&60));
        // It is not forgotten, and the next one begins anew.
        late.looked(0, now_ms);
        assert!(!late.is_whole_due(0, i64::MAX, |_| true));
        late.whole(0, now_ms);
        late.failed(0, now_ms);
        assert!(late.is_whole_due(0, now_ms + RETRY_MS, |_| true));
        // What nobody is owed fails nobody.
        late.failed(7, now_ms);
        assert!(!late.is_whole_due(7, i64::MAX, |_| true));
    }

    #[test]
    fn no_comparison_begins_while_the_bucket_cannot_be_asked() {
        let mut late = Late::default();
        late.whole(0, 10);
        late.whole(1, 10);
        assert!(!late.is_whole_due(0, 9, |_| true));
        assert!(!late.is_whole_due(0, 10, |source| source != 0));
        assert!(late.is_whole_due(1, 10, |source| source != 0));
        assert_eq!(late.whole_due_ms(0), Some(10), "it stays owed");
        assert!(late.is_whole_due(0, 11, |_| true));
    }

    /// Named after the bug: during an outage they were looked at in vain and forgotten.
    #[test]
    fn keys_of_a_source_that_cannot_be_asked_wait_until_it_can() {
        let mut late = Late::default();
        late.key(0, key(1), 10);
        late.key(1, key(2), 10);
        let is_out = |source| source != 0;
        assert_eq!(late.take_keys(20, 9, is_out), [(1, key(2))]);
        assert_eq!(late.take_keys(20, 9, is_out), []);
        // They take no place from those that can.
        late.key(1, key(3), 10);
        assert_eq!(late.take_keys(20, 1, is_out), [(1, key(3))]);
        assert_eq!(late.last_due_ms(0), Some(10));
        assert_eq!(late.take_keys(20, 9, |_| true), [(0, key(1))]);
    }
}
