//! From when on the file had the state that a version holds.
//!
//! Pure. The server's own time is when it stored the version: the end of the upload or, for
//! an upload in parts (Amazon S3 and most others), its beginning. The object's metadata says
//! when the file was read (`kw-seen-ms`, by the clock of the computer that read it). That
//! clock may be wrong, so its time is believed only within bounds, and never beyond the
//! server's. Many servers, Amazon S3 among them, give whole seconds, rounded down: the object
//! may have been stored up to a second later.

use crate::types::WallMs;

/// How much earlier than the server's time a file that was stored in one piece
/// may have been read. Sending follows reading within seconds; a limited line
/// with a queue of its own may take hours, and nothing waits for a day.
const ONE_PIECE_MS: i64 = 24 * 60 * 60 * 1000;

/// The same for an upload in parts. One that was broken off is resumed for seven days
/// after its last progress (`transfer::begin`) and keeps its first metadata. The last part
/// may take another day.
pub(crate) const IN_PARTS_MS: i64 = 8 * ONE_PIECE_MS;

/// How long after a moment an object in one piece may have been stored, for its metadata
/// to be asked whether the file was like that at the moment already. A file that was read
/// is usually stored within a minute. A quarter of an hour is what S3 itself allows clocks
/// to differ by.
const ASKED_ONE_PIECE_MS: i64 = 15 * 60 * 1000;

/// How much a server with whole seconds rounds away at most.
const ROUNDED_MS: i64 = 999;

/// Whether the time may be one that a server rounded to its second.
pub fn is_whole_second(ms: WallMs) -> bool {
    ms.0.rem_euclid(ROUNDED_MS + 1) == 0
}

/// The latest time at which the server can have stored what has this time.
fn latest_ms(stored_ms: WallMs) -> WallMs {
    match is_whole_second(stored_ms) {
        true => stored_ms + ROUNDED_MS,
        false => stored_ms,
    }
}

/// The last instant that belongs to a moment. Where a server shows whole seconds, a
/// moment means the whole second.
fn until_ms(at_ms: WallMs, stored_ms: WallMs) -> WallMs {
    match is_whole_second(stored_ms) {
        true => latest_ms(at_ms),
        false => at_ms,
    }
}

/// Whether the moment lies within the second that the server says, so that the list does
/// not tell which came first.
pub fn is_within_its_second(at_ms: WallMs, stored_ms: WallMs) -> bool {
    stored_ms < at_ms && at_ms <= latest_ms(stored_ms) && !is_whole_second(at_ms)
}

/// Amazon S3 gives an object of parts an ETag with the number of parts behind a
/// hyphen; so do all servers whose ETags mean anything.
pub fn is_in_parts(etag: &str) -> bool {
    etag.contains('-')
}

/// From when on the file was as the version has it, milliseconds since 1970. `seen_ms` is
/// the time in the metadata. `before_ms` is when the key's previous version or deletion was
/// stored: the file cannot have been read before that, because one worker at a time has
/// a key. A clock that says so is wrong.
pub fn state_ms(
    stored_ms: WallMs,
    seen_ms: Option<WallMs>,
    in_parts: bool,
    before_ms: Option<WallMs>,
) -> WallMs {
    let longest_ms = match in_parts {
        true => IN_PARTS_MS,
        false => ONE_PIECE_MS,
    };
    let earliest_ms = (stored_ms - longest_ms).max(before_ms.unwrap_or(WallMs::MIN));
    seen_ms
        .filter(|seen_ms| (earliest_ms..=latest_ms(stored_ms)).contains(seen_ms))
        .unwrap_or(stored_ms)
}

/// Whether a version was the file's state at a moment: the other arguments are
/// [`state_ms`]'s.
pub fn was_by(
    at_ms: WallMs,
    stored_ms: WallMs,
    seen_ms: Option<WallMs>,
    in_parts: bool,
    before_ms: Option<WallMs>,
) -> bool {
    state_ms(stored_ms, seen_ms, in_parts, before_ms) <= until_ms(at_ms, stored_ms)
}

/// Whether a version that was stored after the moment may hold the file's state at the
/// moment, so that its metadata is worth a request.
pub fn may_have_been(at_ms: WallMs, stored_ms: WallMs, in_parts: bool) -> bool {
    let after_ms = stored_ms - at_ms;
    let asked_ms = match in_parts {
        true => IN_PARTS_MS,
        false => ASKED_ONE_PIECE_MS,
    };
    (1..=asked_ms).contains(&after_ms)
}

/// How exact the times of one computer's readings are by the server's clock.
const SEEN_GRAIN_MS: i64 = 1_000;

/// Whether a version that was stored later holds an earlier state of the file. Its file
/// was read before that of the previous version: its request was on the way when its
/// computer was cut off, and arrived after the next run's. Both times are from the
/// metadata; without one of them nothing is known.
pub fn came_late(seen_ms: Option<WallMs>, previous_seen_ms: Option<WallMs>) -> bool {
    let both = seen_ms.zip(previous_seen_ms);
    both.is_some_and(|(seen_ms, previous_ms)| seen_ms + SEEN_GRAIN_MS < previous_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;
    /// Some day in 2026.
    const NOON_MS: WallMs = WallMs(1_795_435_200_000);

    #[test]
    fn the_reading_counts_where_its_clock_can_be_right() {
        let of = |name, seen_ms: Option<i64>, in_parts, before_ms: Option<i64>, want_ms: i64| {
            let at = |ms: i64| NOON_MS + ms;
            let got = state_ms(NOON_MS, seen_ms.map(at), in_parts, before_ms.map(at));
            assert_eq!(got - NOON_MS, want_ms, "{name}");
        };
        of("read two seconds before", Some(-2_000), false, None, -2_000);
        of("an old object", None, false, None, 0);
        of("a clock ahead", Some(5_000), false, None, 0);
        // The server's time is rounded down.
        of("read and stored in one second", Some(999), false, None, 999);
        of("a little ahead", Some(1_000), false, None, 0);
        of("a clock years ahead", Some(i64::MAX / 4), true, None, 0);
        of(
            "within a day",
            Some(-24 * HOUR_MS),
            false,
            None,
            -24 * HOUR_MS,
        );
        of("days behind", Some(-25 * HOUR_MS), false, None, 0);
        of(
            "resumed for days",
            Some(-99 * HOUR_MS),
            true,
            None,
            -99 * HOUR_MS,
        );
        of("weeks behind", Some(-200 * HOUR_MS), true, None, 0);
        of("since the one before", Some(-50), false, Some(-50), -50);
        of("before the one before", Some(-51), false, Some(-50), 0);
        of("a clock of 1970", Some(-NOON_MS.0), true, Some(-9), 0);
    }

    #[test]
    fn a_server_that_knows_milliseconds_is_not_rounded() {
        let stored_ms = NOON_MS + 250;
        assert_eq!(
            state_ms(stored_ms, Some(NOON_MS + 251), false, None),
            stored_ms
        );
        assert!(!is_within_its_second(NOON_MS + 251, stored_ms));
    }

    #[test]
    fn a_moment_of_whole_seconds_means_the_second_that_the_server_shows() {
        // When it was read after the server's second began, and the moment.
        for (seen_ms, at_ms, want) in [
            (Some(700), 0, true),
            (Some(700), 699, false),
            (Some(700), 700, true),
            // Nobody knows better than the server.
            (None, 1, true),
            (None, 0, true),
            (None, -1, false),
            // Read in the second before.
            (Some(-300), -1_000, true),
            (Some(-300), -301, false),
            (Some(-300), -2_000, false),
        ] {
            let seen_ms = seen_ms.map(|ms: i64| NOON_MS + ms);
            let got = was_by(NOON_MS + at_ms, NOON_MS, seen_ms, false, None);
            assert_eq!(got, want, "{seen_ms:?} {at_ms}");
        }
        for (at_ms, want) in [
            (0, false),
            (1, true),
            (999, true),
            (1_000, false),
            (-1, false),
        ] {
            assert_eq!(
                is_within_its_second(NOON_MS + at_ms, NOON_MS),
                want,
                "{at_ms}"
            );
        }
    }

    #[test]
    fn only_what_may_change_the_answer_is_asked() {
        for (after_ms, in_parts, want) in [
            (0, false, false),
            (1, false, true),
            (ASKED_ONE_PIECE_MS, false, true),
            (ASKED_ONE_PIECE_MS + 1, false, false),
            (ASKED_ONE_PIECE_MS + 1, true, true),
            (IN_PARTS_MS, true, true),
            (IN_PARTS_MS + 1, true, false),
            (-1, true, false),
        ] {
            let got = may_have_been(NOON_MS, NOON_MS + after_ms, in_parts);
            assert_eq!(got, want, "{after_ms} {in_parts}");
        }
        assert!(!may_have_been(WallMs::MIN, WallMs::MAX, true));
    }

    #[test]
    fn what_was_read_before_the_previous_version_came_late() {
        for (seen_ms, previous_ms, want) in [
            (Some(1_000), Some(2_800), true),
            (Some(1_000), Some(2_000), false),
            (Some(2_000), Some(1_000), false),
            (None, Some(9_000), false),
            (Some(1), None, false),
            (None, None, false),
        ] {
            assert_eq!(
                came_late(seen_ms.map(WallMs), previous_ms.map(WallMs)),
                want,
                "{seen_ms:?} {previous_ms:?}"
            );
        }
    }

    #[test]
    fn an_etag_tells_of_parts() {
        assert!(is_in_parts("9b2cf535f27731c974343645a3985328-2"));
        assert!(!is_in_parts("9b2cf535f27731c974343645a3985328") && !is_in_parts(""));
    }
}
