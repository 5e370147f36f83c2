//! Deletions that were marked one soon after the other.
//!
//! They tell how many deletions a loss had marked, and since when, before it was noticed.

use super::fall::FALL_MIN;
use serde::{Deserialize, Serialize};

/// Deletions marked with no longer pause between two than this are one burst.
pub const BURST_PAUSE_MS: i64 = 60 * 1_000;

/// Large bursts with no longer pause between two than this are one loss: somebody
/// deletes folder by folder.
pub const LOSS_PAUSE_MS: i64 = 10 * 60 * 1_000;

/// Bursts remembered per source; of more, the two oldest become one.
pub const BURSTS_MAX: usize = 16;

/// Deletions that were marked one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burst {
    /// A moment of the server's clock before the first of them, milliseconds since
    /// 1970.
    pub before_ms: i64,
    /// Files and links that the bucket has taken a marker for.
    pub marked: u64,
    /// When the last of them was granted, by this computer's clock.
    pub last_ms: i64,
}

/// The bursts of the last minutes, oldest first; at most [`BURSTS_MAX`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bursts(pub(super) Vec<Burst>);

/// A clock that was put back must not pass for no time at all.
fn apart_ms(one_ms: i64, other_ms: i64) -> i64 {
    one_ms.saturating_sub(other_ms).saturating_abs()
}

impl Bursts {
    /// A deletion was granted. `before_ms` is the server's time, which its marker comes
    /// after.
    pub fn granted(&mut self, before_ms: i64, now_ms: i64) {
        match self.0.last_mut() {
            Some(burst) if apart_ms(now_ms, burst.last_ms) <= BURST_PAUSE_MS => {
                // To the second: each change is written to the index.
                if apart_ms(now_ms, burst.last_ms) >= 1_000 {
                    burst.last_ms = now_ms;
                }
            }
            _ => self.0.push(Burst {
                before_ms,
                marked: 0,
                last_ms: now_ms,
            }),
        }
        if self.0.len() > BURSTS_MAX {
            let oldest = self.0.remove(0);
            if let Some(next) = self.0.first_mut() {
                next.before_ms = oldest.before_ms.min(next.before_ms);
                next.marked += oldest.marked;
            }
        }
    }

    /// The bucket has taken one more marker.
    pub fn marked(&mut self) {
        if let Some(burst) = self.0.last_mut() {
            burst.marked += 1;
        }
    }

    /// A moment of the server's clock before the newest burst.
    pub fn newest_before_ms(&self) -> Option<i64> {
        self.0.last().map(|burst| burst.before_ms)
    }

    /// No loss can go on from these deletions any more.
    pub fn are_over(&self, now_ms: i64) -> bool {
        let newest = self.0.last();
        newest.is_some_and(|burst| apart_ms(now_ms, burst.last_ms) > LOSS_PAUSE_MS)
    }

    /// Forget all of them.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The program has started: the time that it did not run is no pause.
    pub fn go_on(&mut self, now_ms: i64) {
        if let Some(burst) = self.0.last_mut() {
            burst.last_ms = now_ms;
        }
    }

    /// The loss that is going on: a moment before it began, and how many of its
    /// deletions are marked. It is the newest burst and the large ones before it, as long
    /// as no pause parts them.
    pub fn loss(&self, now_ms: i64) -> Option<(i64, u64)> {
        let mut after_ms = now_ms;
        let mut first = None;
        for (at, burst) in self.0.iter().enumerate().rev() {
            if apart_ms(after_ms, burst.last_ms) > LOSS_PAUSE_MS {
                break;
            }
            after_ms = burst.last_ms;
            let is_large = burst.marked >= FALL_MIN;
            let is_now = first.is_none() && apart_ms(now_ms, burst.last_ms) <= BURST_PAUSE_MS;
            if is_large || is_now {
                first = Some(at);
            }
        }
        let bursts = self.0.get(first?..)?;
        let marked = bursts.iter().map(|burst| burst.marked).sum();
        Some((bursts.first()?.before_ms, marked))
    }
}
