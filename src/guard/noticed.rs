//! Deletions that came one soon after the other.

use super::policy::FALL_MIN;
use crate::types::MonotonicMs;

/// Deletions that came one soon after the other.
#[derive(Debug, Default)]
pub(super) struct Noticed {
    files: u64,
    /// When the first and the last of them were heard of, by the monotonic clock.
    first_ms: MonotonicMs,
    last_ms: MonotonicMs,
}

/// So few deletions wait for no others: people tidy up.
const FEW: u64 = FALL_MIN;

/// The first of many deletions waits at most this long for the last of them, so that
/// their number is known before any is marked. Whole folders are deleted within seconds.
/// A tree of a million files takes minutes: then the alert says how many were marked
/// before it was too much.
const FILLING_MAX_MS: i64 = 30 * 1_000;

impl Noticed {
    /// One more was heard of.
    pub(super) fn note(&mut self, now_ms: MonotonicMs, pause_ms: i64) {
        if now_ms - self.last_ms > pause_ms {
            *self = Self {
                first_ms: now_ms,
                ..Self::default()
            };
        }
        self.files += 1;
        self.last_ms = now_ms;
    }

    /// Many have come and more may: none has had `pause_ms` to itself yet.
    pub(super) fn is_filling(&self, now_ms: MonotonicMs, pause_ms: i64) -> bool {
        self.files > FEW
            && now_ms - self.last_ms <= pause_ms
            && now_ms - self.first_ms < FILLING_MAX_MS
    }
}
