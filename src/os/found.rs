//! What `stat` found at one name, and time stamps.

use crate::types::{Fingerprint, Kind};
use std::time::{Duration, SystemTime};

/// Nanoseconds in a second.
pub(super) const NS_PER_S: i64 = 1_000_000_000;

/// What a `stat` of one name found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// What stands there.
    pub fingerprint: Fingerprint,
    /// The file system it is on; 0 where the platform does not say.
    pub dev: u64,
    /// How many names the file has; 1 where the platform does not say.
    pub links: u64,
}

/// A time stamp as the standard library has it.
pub fn time_of_ns(ns: i128) -> SystemTime {
    let all = ns.unsigned_abs();
    let per_s = NS_PER_S.unsigned_abs();
    let seconds = u64::try_from(all / u128::from(per_s)).unwrap_or(u64::MAX);
    let span = Duration::new(seconds, (all % u128::from(per_s)) as u32);
    if ns < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(span)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(span)
    }
    .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// A folder's size means nothing and differs between file systems.
pub(super) fn size_of_kind(kind: Kind, size_bytes: u64) -> u64 {
    match kind {
        Kind::File | Kind::Symlink => size_bytes,
        Kind::Folder | Kind::Special => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the system counts times in, nanoseconds.
    const STEP_NS: i128 = if cfg!(windows) { 100 } else { 1 };

    #[test]
    fn times_before_1970_and_far_away() {
        for ns in [
            0,
            1,
            -1,
            -1_500_000_000,
            1_700_000_000_123_456_789,
            i128::from(i64::MAX) + 1,
            // The years 9999 and 1601.
            253_402_300_799_999_999_999,
            -11_644_473_600_000_000_001,
        ] {
            let time = time_of_ns(ns);
            let back = match time.duration_since(SystemTime::UNIX_EPOCH) {
                Ok(after) => i128::try_from(after.as_nanos()).unwrap(),
                Err(before) => -i128::try_from(before.duration().as_nanos()).unwrap(),
            };
            assert!((back - ns).abs() < STEP_NS, "{ns} became {back}");
        }
    }
}
