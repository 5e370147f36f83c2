//! What a server may still carry out although nobody waits for it any more.
//!
//! A request that was given up, or whose process was killed, may be on a line, in
//! a proxy or in a server's queue, and change the bucket minutes later: a deleted
//! file is current again, an older state stands over a newer one. So what it was
//! about is looked at once more when that can no longer happen. Others
//! hear of such requests and look; this keeps the times. Memory is bounded: more
//! keys than [`KEYS_MAX`] become one look at the whole source.

use crate::types::{MonotonicMs, RelKey};
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;

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
    due_ms: MonotonicMs,
    /// Not before, since the last comparisons did not come to their end.
    again_ms: MonotonicMs,
    failures: u32,
}

/// Second looks that are owed in one source. Moments are milliseconds by the monotonic clock.
#[derive(Debug, Default)]
pub struct Late {
    /// When each is due.
    keys: HashMap<RelKey, MonotonicMs>,
    /// The whole source.
    whole: Option<Whole>,
}

/// The second looks that are owed in one source, for all who share it.
#[derive(Debug, Default)]
pub struct LateRequests(Mutex<Late>);

impl LateRequests {
    /// What is owed.
    pub fn owed(&self) -> MutexGuard<'_, Late> {
        self.0.lock()
    }

    /// As if so much time had passed.
    pub fn pass(&self, ms: i64) {
        self.owed().pass(ms);
    }

    /// The whole source is owed a look.
    pub fn is_owed(&self) -> bool {
        self.owed().whole_due_ms().is_some()
    }
}

impl Late {
    /// Something about this key may be carried out until `until_ms`.
    pub fn key(&mut self, key: RelKey, until_ms: MonotonicMs) {
        if !self.keys.contains_key(&key) && self.keys.len() >= KEYS_MAX {
            return self.whole(until_ms);
        }
        let due = self.keys.entry(key).or_insert(until_ms);
        *due = (*due).max(until_ms);
    }

    /// Something in this source may be carried out until `until_ms`, and nobody
    /// knows what.
    pub fn whole(&mut self, until_ms: MonotonicMs) {
        let whole = self.whole.get_or_insert_with(|| Whole {
            due_ms: until_ms,
            ..Whole::default()
        });
        whole.due_ms = whole.due_ms.max(until_ms);
    }

    /// The whole source is to be compared now, and its bucket can be asked (`may_ask`).
    pub fn is_whole_due(&self, now_ms: MonotonicMs, may_ask: bool) -> bool {
        may_ask
            && self.whole.as_ref().is_some_and(|whole| {
                whole.due_ms <= now_ms && (whole.failures == 0 || whole.again_ms <= now_ms)
            })
    }

    /// A comparison of the whole source did not come to its end.
    pub fn failed(&mut self, now_ms: MonotonicMs) {
        if let Some(whole) = &mut self.whole {
            let wait_ms = RETRY_MS << whole.failures.min(6);
            whole.failures += 1;
            whole.again_ms = now_ms + wait_ms.min(RETRY_MAX_MS);
        }
    }

    /// Take the keys, `max` at the most, that can be looked at now. While the bucket
    /// cannot be asked (`may_ask`) they stay.
    pub fn take_keys(&mut self, now_ms: MonotonicMs, max: usize, may_ask: bool) -> Vec<RelKey> {
        if !may_ask {
            return Vec::new();
        }
        let due = self.keys.iter().filter(|(_, due_ms)| **due_ms <= now_ms);
        let due: Vec<RelKey> = due.take(max).map(|(key, _)| key.clone()).collect();
        for key in &due {
            self.keys.remove(key);
        }
        due
    }

    /// When the whole source is due, if it is owed a look.
    pub fn whole_due_ms(&self) -> Option<MonotonicMs> {
        self.whole.as_ref().map(|whole| whole.due_ms)
    }

    /// The whole source was looked at in a comparison that began at that moment.
    pub fn looked(&mut self, began_ms: MonotonicMs) {
        if self.whole_due_ms().is_some_and(|due| due <= began_ms) {
            self.whole = None;
        }
    }

    /// As if so much time had passed.
    pub fn pass(&mut self, ms: i64) {
        let wholes = self.whole.iter_mut();
        let wholes = wholes.flat_map(|whole| [&mut whole.due_ms, &mut whole.again_ms]);
        let dues = self.keys.values_mut().chain(wholes);
        dues.for_each(|due_ms| *due_ms -= ms);
    }

    /// When the last look at anything of this source is due; `None` when none is.
    pub fn last_due_ms(&self) -> Option<MonotonicMs> {
        let keys = self.keys.values().copied();
        keys.chain(self.whole_due_ms()).max()
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
        late.key(key(1), MonotonicMs(10));
        late.key(key(2), MonotonicMs(20));
        // Given up again: the later moment counts.
        late.key(key(1), MonotonicMs(15));
        late.key(key(1), MonotonicMs(12));
        assert_eq!(late.last_due_ms(), Some(MonotonicMs(20)));
        assert_eq!(late.take_keys(MonotonicMs(14), 9, true), []);
        assert_eq!(late.take_keys(MonotonicMs(15), 9, false), []);
        assert_eq!(late.take_keys(MonotonicMs(15), 9, true), [key(1)]);
        assert_eq!(late.take_keys(MonotonicMs(99), 0, true), []);
        assert_eq!(late.take_keys(MonotonicMs(99), 9, true), [key(2)]);
        assert_eq!(late.last_due_ms(), None);
    }

    #[test]
    fn too_many_keys_become_one_look_at_all() {
        let mut late = Late::default();
        for number in 0..KEYS_MAX + 5 {
            late.key(key(number), MonotonicMs(number as i64));
        }
        assert_eq!(
            late.take_keys(MonotonicMs::MAX, usize::MAX, true).len(),
            KEYS_MAX
        );
        assert_eq!(late.whole_due_ms(), Some(MonotonicMs(KEYS_MAX as i64 + 4)));
    }

    #[test]
    fn a_comparison_that_began_too_early_does_not_count() {
        let mut late = Late::default();
        late.whole(MonotonicMs(10));
        late.looked(MonotonicMs(9));
        assert_eq!(late.whole_due_ms(), Some(MonotonicMs(10)));
        late.looked(MonotonicMs(10));
        assert_eq!(late.whole_due_ms(), None);
    }

    /// Named after the bug: a full comparison each minute for ever, where the
    /// bucket's list is broken.
    #[test]
    fn a_comparison_that_fails_again_and_again_is_tried_ever_less_often() {
        const DAY_MS: i64 = 24 * 60 * 60_000;
        let mut late = Late::default();
        late.whole(MonotonicMs(1_000));
        let (mut now_ms, mut waits) = (1_000, Vec::new());
        while now_ms < DAY_MS {
            assert!(late.is_whole_due(MonotonicMs(now_ms), true));
            late.failed(MonotonicMs(now_ms));
            let began_ms = now_ms;
            while !late.is_whole_due(MonotonicMs(now_ms), true) {
                now_ms += 1_000;
            }
            waits.push((now_ms - began_ms) / 60_000);
        }
        assert_eq!(waits[..8], [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(waits.iter().max(), Some(&60));
        // It is not forgotten, and the next one begins anew.
        late.looked(MonotonicMs(now_ms));
        assert!(!late.is_whole_due(MonotonicMs::MAX, true));
        late.whole(MonotonicMs(now_ms));
        late.failed(MonotonicMs(now_ms));
        assert!(late.is_whole_due(MonotonicMs(now_ms + RETRY_MS), true));
        // What nobody is owed fails nobody.
        let mut late = Late::default();
        late.failed(MonotonicMs(now_ms));
        assert!(!late.is_whole_due(MonotonicMs::MAX, true));
    }

    #[test]
    fn no_comparison_begins_while_the_bucket_cannot_be_asked() {
        let mut late = Late::default();
        late.whole(MonotonicMs(10));
        assert!(!late.is_whole_due(MonotonicMs(9), true));
        assert!(!late.is_whole_due(MonotonicMs(10), false));
        assert!(late.is_whole_due(MonotonicMs(10), true));
        assert_eq!(late.whole_due_ms(), Some(MonotonicMs(10)), "it stays owed");
        assert!(late.is_whole_due(MonotonicMs(11), true));
    }

    /// Named after the bug: during an outage they were looked at in vain and forgotten.
    #[test]
    fn keys_of_a_source_that_cannot_be_asked_wait_until_it_can() {
        let mut late = Late::default();
        late.key(key(1), MonotonicMs(10));
        assert_eq!(late.take_keys(MonotonicMs(20), 9, false), []);
        assert_eq!(late.last_due_ms(), Some(MonotonicMs(10)));
        assert_eq!(late.take_keys(MonotonicMs(20), 9, true), [key(1)]);
        assert_eq!(late.take_keys(MonotonicMs(20), 9, true), []);
    }
}
