//! Whether a moment has come, by a clock that people set.

use crate::types::WallMs;

/// Whether a moment has come. One further ahead than any wait could have put
/// it was set by a clock that has gone back since: it counts as passed.
pub(crate) fn passed(moment_ms: WallMs, now_ms: WallMs, wait_max_ms: u64) -> bool {
    now_ms >= moment_ms || moment_ms.elapsed_ms(now_ms) > wait_max_ms
}
