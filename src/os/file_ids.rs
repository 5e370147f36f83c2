//! Which file it is, in 64 bits, where a system has more of them or had none before.
//!
//! Pure, and compiled on every platform, so that its tests run on all of them.
#![cfg_attr(not(any(windows, test)), allow(dead_code))]

/// 100 ns ticks between 1601, where Windows counts from, and 1970.
pub(super) const TICKS_TO_1970: i64 = 116_444_736_000_000_000;

/// Nanoseconds in one tick of a Windows time stamp.
pub(super) const NS_PER_TICK: i64 = 100;

/// An odd number without a pattern (2^64 divided by the golden ratio), so that ids that
/// differ in one half only differ folded.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A file's id of 128 bits (ReFS) in 64; NTFS uses only the lower ones, which stay as
/// they are. An id is never 0: that says that there is none.
pub(super) fn folded(id: u128) -> u64 {
    let low = id as u64;
    let high = (id >> 64) as u64;
    match (high, low) {
        // "None" (FILE_ID_TYPE of a file system that has no ids): all ones.
        (u64::MAX, u64::MAX) => 0,
        (0, low) => low,
        (high, low) => (low ^ high.wrapping_mul(SPREAD).rotate_left(29)).max(1),
    }
}

/// Nanoseconds since 1970 of a time stamp of Windows.
pub(super) fn ns_of_ticks(ticks: i64) -> i128 {
    (i128::from(ticks) - i128::from(TICKS_TO_1970)) * i128::from(NS_PER_TICK)
}

/// The same in 64 bits; beyond what they hold, the nearest time that they do. No time
/// at all stays 0.
pub(super) fn near_ns_of_ticks(ticks: i64) -> i64 {
    match ticks {
        0 => 0,
        ticks => ticks
            .saturating_sub(TICKS_TO_1970)
            .saturating_mul(NS_PER_TICK),
    }
}

/// Whether an id that was noted for a folder is the one that earlier versions noted on
/// Windows: no device, and the time at which the folder was made. `made_ns` is when the
/// folder in question was.
pub(super) fn is_time_of_making(noted: (u64, u64), made_ns: Option<i64>) -> bool {
    let (dev, ticks) = noted;
    let Ok(ticks) = i64::try_from(ticks) else {
        return false;
    };
    dev == 0 && ticks != 0 && made_ns == Some(near_ns_of_ticks(ticks))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_of_ntfs_stay_and_those_of_refs_are_told_apart() {
        assert_eq!(folded(0x0005_0000_0000_0042), 0x0005_0000_0000_0042);
        assert_eq!(folded(0), 0);
        assert_eq!(folded(u128::MAX), 0);
        // ReFS: the folder in the upper half, the file in the lower one.
        let ids = (1..200_u128).flat_map(|folder| (0..200).map(move |file| folder << 64 | file));
        let seen: HashSet<u64> = ids.map(folded).collect();
        assert_eq!(seen.len(), 199 * 200);
        assert!(!seen.contains(&0));
    }

    #[test]
    fn ticks_become_nanoseconds() {
        for (ticks, ns) in [
            (TICKS_TO_1970, 0),
            (TICKS_TO_1970 + 1, 100),
            (TICKS_TO_1970 - 10_000_000, -1_000_000_000),
        ] {
            assert_eq!(ns_of_ticks(ticks), i128::from(ns));
            assert_eq!(near_ns_of_ticks(ticks), ns);
        }
        assert_eq!(near_ns_of_ticks(0), 0);
        assert_eq!(near_ns_of_ticks(i64::MAX), i64::MAX);
    }

    #[test]
    fn a_folder_is_known_by_the_time_that_an_earlier_version_noted() {
        let made = 133_000_000_000_000_000;
        let made_ns = near_ns_of_ticks(made);
        let noted = (0, made as u64);
        assert!(is_time_of_making(noted, Some(made_ns)));
        assert!(!is_time_of_making(noted, Some(made_ns + 100)));
        assert!(!is_time_of_making(noted, None));
        assert!(!is_time_of_making((7, made as u64), Some(made_ns)));
        assert!(!is_time_of_making((0, 0), Some(0)));
        assert!(!is_time_of_making((0, u64::MAX), Some(made_ns)));
    }
}
