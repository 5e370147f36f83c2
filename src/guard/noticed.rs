//! Deletions that came one soon after the other.

use super::policy::FALL_MIN;
use crate::types::MonotonicMs;

/// Deletions that came one soon after the other.
#[derive(Debug, Default)]
pub(super) struct Noticed {
    files: u64,
    /// When the first and the last of them were heard of, by the steady clock.
    first_ms: MonotonicMs,
    last_ms: MonotonicMs,
}

/// No more than this are told from people who tidy up, and not waited for.
const FEW: u64 = FALL_MIN;

/// So long the first of many deletions waits at the most for the last of them, so
/// that it is known how many there are before any is marked. Whole folders are
/// deleted within seconds; a tree of a million files takes minutes, and then what
/// is marked before it was too much is told.
const FILLING_MAX_MS: i64 = 30 * 1_000;

impl Noticed {
    /// One more came.
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
