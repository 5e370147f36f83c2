//! Moments and the waits between them, by a clock that people set.

/// `from_ms` plus a duration.
pub(crate) fn later(from_ms: i64, delay_ms: u64) -> i64 {
    from_ms.saturating_add_unsigned(delay_ms)
}

/// The time between two moments; 0 when the clock went back.
pub(crate) fn between(from_ms: i64, to_ms: i64) -> u64 {
    u64::try_from(to_ms.saturating_sub(from_ms)).unwrap_or(0)
}

/// Whether a moment has come. One further ahead than any wait could have put
/// it was set by a clock that has gone back since: it counts as passed.
pub(crate) fn passed(moment_ms: i64, now_ms: i64, wait_max_ms: u64) -> bool {
    now_ms >= moment_ms || between(now_ms, moment_ms) > wait_max_ms
}
