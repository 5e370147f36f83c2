//! Decides which of a key's times can be right, given the order in which its versions were
//! written.
//!
//! Pure. A version that was written before another one cannot have a later time. Where the
//! times say otherwise, a clock was wrong when one of them was written: a vault uses the
//! clock of its computer, and servers' clocks are set as well. As many times as possible are
//! believed together. A time that contradicts them lies somewhere between its neighbours. A
//! key is in doubt when its times can be believed in more than one way.

use super::state_time::IN_PARTS_MS;
use crate::types::WallMs;

/// How much the clocks within one server may differ.
const SLACK_MS: i64 = 2_000;

/// A time further ahead than this has not come yet.
const AHEAD_MS: i64 = 5 * 60 * 1000;

/// What the list says of one version or deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenTime {
    /// When it was stored, milliseconds since 1970.
    pub stored_ms: WallMs,
    /// It was uploaded in parts, so this may be when the upload began.
    pub in_parts: bool,
}

impl WrittenTime {
    /// Whether both times can be right, `older` having been written before this.
    fn may_follow(self, older: Self) -> bool {
        let slack_ms = match self.in_parts {
            true => IN_PARTS_MS,
            false => SLACK_MS,
        };
        older.stored_ms <= self.stored_ms + slack_ms
    }
}

/// What is believed of one version's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Belief {
    /// It is what the list says.
    Right,
    /// It may be what the list says: it or another one is wrong.
    Unknown,
    /// It cannot be what the list says.
    Wrong,
}

/// What is believed of each time. The stamps come in the order in which they were
/// written, the newest first; no time after `now_ms` is right.
pub fn beliefs(newest_first: &[WrittenTime], now_ms: WallMs) -> Vec<Belief> {
    let latest_ms = now_ms + AHEAD_MS;
    let has_come = |stamp: &WrittenTime| stamp.stored_ms <= latest_ms;
    let mut pairs = newest_first.iter().zip(newest_first.iter().skip(1));
    if newest_first.iter().all(has_come) && pairs.all(|(newer, older)| newer.may_follow(*older)) {
        return vec![Belief::Right; newest_first.len()];
    }
    // The longest chains of times that can be right together, by how far each time is
    // from either end of one. 0: it is in none.
    let count = newest_first.len();
    let (mut from_newest, mut from_oldest) = (vec![0_usize; count], vec![0_usize; count]);
    for at in 0..count {
        let before = (0..at).filter(|newer| {
            from_newest[*newer] > 0 && newest_first[*newer].may_follow(newest_first[at])
        });
        let longest = before.map(|newer| from_newest[newer]).max().unwrap_or(0);
        from_newest[at] = (longest + 1) * usize::from(has_come(&newest_first[at]));
    }
    for at in (0..count).rev() {
        let behind = (at + 1..count).filter(|older| {
            from_oldest[*older] > 0 && newest_first[at].may_follow(newest_first[*older])
        });
        let longest = behind.map(|older| from_oldest[older]).max().unwrap_or(0);
        from_oldest[at] = (longest + 1) * usize::from(has_come(&newest_first[at]));
    }
    let longest = from_newest.iter().copied().max().unwrap_or(0);
    let in_longest =
        |at: usize| from_newest[at] > 0 && from_newest[at] + from_oldest[at] == longest + 1;
    (0..count)
        .map(|at| {
            let rivals = (0..count)
                .filter(|other| in_longest(*other) && from_newest[*other] == from_newest[at]);
            match (in_longest(at), rivals.count()) {
                (false, _) => Belief::Wrong,
                (true, 1) => Belief::Right,
                (true, _) => Belief::Unknown,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY_MS: i64 = 24 * 60 * 60 * 1000;

    fn stamps(days: &[i64]) -> Vec<WrittenTime> {
        let stamp = |day: &i64| WrittenTime {
            stored_ms: WallMs(day * DAY_MS),
            in_parts: false,
        };
        days.iter().map(stamp).collect()
    }

    /// `r`ight, `p`erhaps, `w`rong.
    fn told(days: &[i64], now_day: i64) -> String {
        let beliefs = beliefs(&stamps(days), WallMs(now_day * DAY_MS));
        let letter = |belief| match belief {
            Belief::Right => 'r',
            Belief::Unknown => 'p',
            Belief::Wrong => 'w',
        };
        beliefs.into_iter().map(letter).collect()
    }

    #[test]
    fn what_contradicts_most_others_is_wrong() {
        for (name, days, now_day, want) in [
            ("none", &[][..], 9, ""),
            ("in order", &[5, 4, 3], 9, "rrr"),
            ("of one instant", &[4, 4, 4], 9, "rrr"),
            ("a clock ahead, then put right", &[6, 5, 9, 4], 10, "rrwr"),
            ("a clock behind, then put right", &[6, 1, 5, 4], 10, "rwrr"),
            ("ahead for two", &[6, 5, 4, 9, 8, 3], 10, "rrrwwr"),
            ("one against one", &[9, 4, 6, 3], 10, "rppr"),
            ("one against one, the newest", &[4, 6, 3], 10, "ppr"),
            ("a time that has not come", &[2037], 10, "w"),
            ("the same above a right one", &[2037, 4], 10, "wr"),
            ("the same below a right one", &[4, 2037, 3], 10, "rwr"),
            ("nobody knows what is now", &[2037, 4], 2037, "rr"),
            ("none has come", &[2038, 2037], 10, "ww"),
        ] {
            assert_eq!(told(days, now_day), want, "{name}");
        }
    }

    #[test]
    fn an_upload_in_parts_may_have_begun_days_before_the_one_beneath() {
        let stamp = |day: i64, in_parts| WrittenTime {
            stored_ms: WallMs(day * DAY_MS),
            in_parts,
        };
        let now_ms = WallMs(100 * DAY_MS);
        for (began_day, want) in [(13, Belief::Right), (11, Belief::Unknown)] {
            let all = [stamp(began_day, true), stamp(20, false)];
            assert_eq!(beliefs(&all, now_ms), [want; 2], "{began_day}");
        }
    }

    proptest! {
        /// Two versions that were written since contradict a wrong time: the others
        /// are all believed, whatever it said, and whether that time has come or not.
        #[test]
        fn most_that_are_right_stay_right(
            right in proptest::collection::btree_set(0_i64..1_000, 3..20),
            wrong in proptest::option::of((2_usize..20, 2_000_i64..3_000)),
            has_come in any::<bool>(),
        ) {
            let right: Vec<i64> = right.into_iter().rev().collect();
            let mut all: Vec<(i64, bool)> = right.iter().map(|day| (*day, true)).collect();
            if let Some((at, day)) = wrong {
                all.insert(at.min(all.len()), (day, false));
            }
            let days: Vec<i64> = all.iter().map(|(day, _)| *day).collect();
            let now_day = if has_come { 9_000 } else { 1_000 };
            let got = beliefs(&stamps(&days), WallMs(now_day * DAY_MS));
            for ((day, is_right), belief) in all.iter().zip(got) {
                prop_assert_eq!(belief == Belief::Right, *is_right, "{} of {:?}", day, days);
            }
        }
    }
}
