//! Has the computer slept, or has somebody set its clock?

use crate::types::{MonotonicMs, WallMs};

/// The clocks drift apart by so much only when the computer slept or its clock was set:
/// gentle corrections (NTP) stay far below.
pub const JUMP_MS: i64 = 60_000;

/// Both clocks at one moment, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// The wall clock, since 1970; people and servers set it.
    pub wall_ms: WallMs,
    /// The monotonic clock. On Linux and macOS it stands still while the computer sleeps,
    /// on Windows it goes on.
    pub monotonic_ms: MonotonicMs,
}

/// What happened between two looks at the clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jump {
    /// The computer slept for so long, or its clock was set forward, which looks the same.
    Asleep(i64),
    /// The clock was set back by so much.
    SetBack(i64),
}

/// Compare two looks at the clocks, between which the caller paused for `paused_ms`.
pub fn jump(before: Clocks, after: Clocks, paused_ms: i64) -> Option<Jump> {
    let wall = after.wall_ms - before.wall_ms;
    let steady = after.monotonic_ms - before.monotonic_ms;
    let ahead = wall - steady;
    if ahead > JUMP_MS {
        return Some(Jump::Asleep(ahead));
    }
    if ahead < -JUMP_MS {
        return Some(Jump::SetBack(-ahead));
    }
    let overslept = steady - paused_ms;
    (overslept > JUMP_MS).then_some(Jump::Asleep(overslept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_and_set_clocks_are_told_from_time_that_passes() {
        const HOUR: i64 = 3_600_000;
        for (wall, steady, want) in [
            (1_000, 1_000, None),
            (1_400, 900, None),
            (30_000, 30_000, None),
            // Linux: the monotonic clock stood still.
            (HOUR + 1_000, 1_000, Some(Jump::Asleep(HOUR))),
            // Windows: both went on, during a pause of a second.
            (HOUR + 1_000, HOUR + 1_000, Some(Jump::Asleep(HOUR))),
            (1_000 - HOUR, 1_000, Some(Jump::SetBack(HOUR))),
            (1_000 - JUMP_MS, 1_000, None),
        ] {
            let before = Clocks {
                wall_ms: WallMs(1_700_000_000_000),
                monotonic_ms: MonotonicMs(5_000),
            };
            let after = Clocks {
                wall_ms: before.wall_ms + wall,
                monotonic_ms: before.monotonic_ms + steady,
            };
            assert_eq!(jump(before, after, 1_000), want, "{wall} {steady}");
        }
    }
}
