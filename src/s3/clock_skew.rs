//! What the server's clock says, by the `Date` of its answers.
//!
//! An answer says no more than that the server's clock stood within one second at
//! some time between the request's beginning and the answer. Many answers narrow
//! that down. Between answers the server's time goes on by a clock that nobody
//! sets. Nothing here changes a clock; what no server has said is the local
//! clock's word.

use crate::types::{BootMs, WallMs};
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use parking_lot::Mutex;

/// Clocks that differ by less agree: `Date` has a grain of a second, and an answer
/// is on its way for some time.
const AGREE_MS: i64 = 5_000;

/// `Date` has whole seconds, rounded down.
const DATE_GRAIN_MS: i64 = 1_000;

/// A computer's clock goes wrong by a millisecond in so many at the most: quartz
/// by 100 millionths, and as much again for the server's.
const DRIFT_PART: i64 = 5_000;

/// Between which two times the server's clock stood at one moment, which
/// is told by the clock that nobody sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    lowest: WallMs,
    highest: WallMs,
    at: BootMs,
}

impl Bounds {
    /// What one answer says.
    fn of(date: WallMs, asked: BootMs, answered: BootMs) -> Self {
        let way_ms = (answered - asked).max(0);
        Self {
            lowest: date,
            highest: date + DATE_GRAIN_MS + way_ms,
            at: answered,
        }
    }

    /// The same at another moment: what passed since passed on both clocks, nearly.
    fn at(self, at: BootMs) -> Self {
        let passed_ms = at - self.at;
        let drift_ms = passed_ms.abs() / DRIFT_PART;
        Self {
            lowest: self.lowest + (passed_ms - drift_ms),
            highest: self.highest + (passed_ms + drift_ms),
            at,
        }
    }

    /// What both say; the newer one alone where they contradict each other, since
    /// then somebody has set the server's clock, or another server answered.
    fn and(self, newer: Self) -> Self {
        let older = self.at(newer.at);
        let lowest = older.lowest.max(newer.lowest);
        let highest = older.highest.min(newer.highest);
        if lowest > highest {
            return newer;
        }
        Self {
            lowest,
            highest,
            at: newer.at,
        }
    }
}

/// What has been heard of the server's clock.
#[derive(Debug, Default)]
pub(super) struct ServerClock(Mutex<Option<Bounds>>);

impl ServerClock {
    /// An answer came with this `Date`, to a request that began at `asked`.
    pub(super) fn heard(&self, date: &str, asked: BootMs, answered: BootMs) {
        let date = DateTime::from_str(date, DateTimeFormat::HttpDate);
        let Some(date_ms) = date.ok().and_then(|date| date.to_millis().ok()) else {
            return;
        };
        let newer = Bounds::of(WallMs(date_ms), asked, answered);
        let mut known = self.0.lock();
        *known = Some(known.map_or(newer, |older| older.and(newer)));
    }

    fn at(&self, at: BootMs) -> Option<Bounds> {
        let known = *self.0.lock();
        known.map(|known| known.at(at))
    }

    /// The server's time, as near as it is known: what the local clock says
    /// (`wall`) as far as that can be it. A server that tells no time (the vault
    /// within the process) lives by that clock.
    pub(super) fn now(&self, at: BootMs, wall: WallMs) -> WallMs {
        self.at(at)
            .map_or(wall, |known| wall.max(known.lowest).min(known.highest))
    }

    /// A time that the server's clock has surely reached.
    pub(super) fn reached(&self, at: BootMs, wall: WallMs) -> WallMs {
        self.at(at).map_or(wall, |known| known.lowest)
    }

    /// How far the local clock, which says `wall`, is ahead of the server's at the
    /// least; `None` while no server has said.
    pub(super) fn apart_ms(&self, at: BootMs, wall: WallMs) -> Option<i64> {
        self.at(at)?;
        Some(wall - self.now(at, wall))
    }

    /// Whether the local clock agrees with the server's, as far as that is known.
    fn agrees(&self, at: BootMs, wall: WallMs) -> bool {
        self.apart_ms(at, wall)
            .is_none_or(|apart_ms| apart_ms.abs() < AGREE_MS)
    }

    /// When something was by the server's clock that was at `seen`; it is `now` now.
    /// Where that is not known exactly, it is the latest that it can be: a file that is
    /// said to have been so too early is given for moments at which it was not so yet.
    /// `None` where the local clock is wrong, since it may have been set meanwhile.
    pub(super) fn when(&self, seen: BootMs, now: BootMs, wall: WallMs) -> Option<WallMs> {
        let server = match self.at(now) {
            Some(known) if wall < known.lowest => known.highest,
            _ => self.now(now, wall),
        };
        self.agrees(now, wall).then(|| server - (now - seen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIX: &str = "Mon, 23 Nov 2026 18:00:00 GMT";
    const SIX_MS: i64 = 1_795_456_800_000;

    #[test]
    fn clocks_agree_within_seconds_and_where_nobody_says_otherwise() {
        let clock = ServerClock::default();
        assert!(clock.agrees(BootMs(0), WallMs(0)) && clock.agrees(BootMs(0), WallMs(i64::MAX)));
        clock.heard("yesterday", BootMs(0), BootMs(0));
        assert!(
            clock.agrees(BootMs(0), WallMs(0)) && clock.apart_ms(BootMs(0), WallMs(0)).is_none()
        );
        clock.heard(SIX, BootMs(90), BootMs(100));
        for (offset_ms, want) in [
            (0, true),
            (-3_000, true),
            (3_000, true),
            (-60_000, false),
            (60_000, false),
            (-86_400_000, false),
        ] {
            assert_eq!(
                clock.agrees(BootMs(100), WallMs(SIX_MS + offset_ms)),
                want,
                "{offset_ms}"
            );
        }
    }

    #[test]
    fn without_a_word_from_the_server_its_time_is_the_local_one() {
        let clock = ServerClock::default();
        assert_eq!(clock.now(BootMs(5), WallMs(77)), WallMs(77));
        assert_eq!(clock.reached(BootMs(5), WallMs(77)), WallMs(77));
        assert_eq!(clock.apart_ms(BootMs(5), WallMs(77)), None);
    }

    #[test]
    fn many_answers_know_the_time_better_than_their_whole_seconds() {
        // The server's clock is 250,123 ms ahead of the steady one (since a day of
        // 2026); each answer takes 40 ms and is dated halfway.
        let offset_ms = SIX_MS + 250_123;
        let clock = ServerClock::default();
        for turn in 0..40 {
            let asked_ms = 1_000 + turn * 1_237;
            let dated_ms = (asked_ms + 20 + offset_ms).div_euclid(1_000) * 1_000;
            let date = DateTime::from_millis(dated_ms);
            let date = date.fmt(DateTimeFormat::HttpDate).unwrap();
            clock.heard(&date, BootMs(asked_ms), BootMs(asked_ms + 40));
            let now_ms = asked_ms + 40;
            // Never surer than it may be.
            let server_ms = now_ms + offset_ms;
            assert!(
                clock.reached(BootMs(now_ms), WallMs(0)).0 <= server_ms,
                "{turn}"
            );
            assert!(
                clock.now(BootMs(now_ms), WallMs(i64::MAX)).0 >= server_ms,
                "{turn}"
            );
            // A clock that is right is taken at its word from the first answer on.
            assert_eq!(
                clock.now(BootMs(now_ms), WallMs(server_ms)).0,
                server_ms,
                "{turn}"
            );
        }
        // Ten hours later the drift of both clocks counts.
        let heard_ms = 1_000 + 39 * 1_237 + 40;
        for (later_ms, error_max_ms) in [(0, 120), (36_000_000, 7_400)] {
            let now_ms = heard_ms + later_ms;
            let server_ms = now_ms + offset_ms;
            for wrong_ms in [-365 * 86_400_000, -10_000, 10_000, 86_400_000] {
                let wall_ms = server_ms + wrong_ms;
                let error_ms = clock.now(BootMs(now_ms), WallMs(wall_ms)).0 - server_ms;
                assert!(error_ms.abs() <= error_max_ms, "{wrong_ms}: {error_ms}");
                let apart_ms = clock.apart_ms(BootMs(now_ms), WallMs(wall_ms)).unwrap();
                assert!((apart_ms - wrong_ms).abs() <= error_max_ms, "{apart_ms}");
            }
        }
    }

    /// Found by the model test: a file that was read while the clock was a month
    /// behind, and stored when it was right again.
    #[test]
    fn a_clock_that_is_set_between_a_reading_and_its_upload_makes_nothing_earlier() {
        let clock = ServerClock::default();
        // The server's clock stands at 900 ms after six when it says six.
        clock.heard(SIX, BootMs(990), BootMs(1_000));
        let server_ms = |monotonic_ms: i64| SIX_MS + 900 + monotonic_ms - 1_000;
        let (read_ms, now_ms) = (1_200, 1_500);
        for (name, wrong_ms, is_told) in [
            ("right", 0, true),
            ("a little behind", -3_000, true),
            ("a little ahead", 3_000, true),
            ("a month behind", -30 * 86_400_000, false),
            ("a month ahead", 30 * 86_400_000, false),
        ] {
            let told_ms = clock.when(
                BootMs(read_ms),
                BootMs(now_ms),
                WallMs(server_ms(now_ms) + wrong_ms),
            );
            assert_eq!(told_ms.is_some(), is_told, "{name}");
            let late_ms = told_ms.map_or(0, |told| told.0 - server_ms(read_ms));
            assert!((0..=1_010).contains(&late_ms), "{name}: {late_ms}");
            assert!(wrong_ms != 0 || late_ms == 0, "{name}: {late_ms}");
        }
        // Nobody has said: the clock here is all there is.
        assert_eq!(
            ServerClock::default().when(BootMs(3), BootMs(5), WallMs(77)),
            Some(WallMs(75))
        );
    }

    #[test]
    fn a_slow_answer_says_less_than_a_quick_one_and_takes_nothing_away() {
        let clock = ServerClock::default();
        clock.heard(SIX, BootMs(0), BootMs(10));
        let quick = clock.at(BootMs(10)).unwrap();
        // An upload of ten minutes, dated at its end.
        clock.heard("Mon, 23 Nov 2026 18:10:00 GMT", BootMs(0), BootMs(600_000));
        let both = clock.at(BootMs(600_000)).unwrap();
        assert!(both.highest.0 <= quick.highest.0 + 600_000 + 600_000 / DRIFT_PART);
        assert!(both.lowest.0 >= quick.lowest.0 + 600_000 - 600_000 / DRIFT_PART);
    }

    #[test]
    fn a_server_whose_clock_was_set_is_believed_anew() {
        let clock = ServerClock::default();
        clock.heard(SIX, BootMs(0), BootMs(10));
        clock.heard(
            "Mon, 23 Nov 2026 17:00:00 GMT",
            BootMs(1_000),
            BootMs(1_010),
        );
        let apart_ms = clock.now(BootMs(1_010), WallMs(0)).0 - (SIX_MS - 3_600_000);
        assert!((0..2_000).contains(&apart_ms), "{apart_ms}");
    }
}
