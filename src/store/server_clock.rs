//! Whether this computer's clock agrees with the server's, by the `Date` of its
//! answers.
//!
//! Between answers the server's time goes on by the monotonic clock, which nobody
//! sets. It decides nothing and changes no clock.

use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Clocks that differ by less agree: `Date` has a grain of a second, and an answer
/// is on its way for some time.
const AGREE_MS: i64 = 5_000;

/// The server's time when it was last heard, milliseconds since 1970, and when
/// that was.
#[derive(Debug, Default)]
pub(super) struct ServerClock(Mutex<Option<(i64, Instant)>>);

impl ServerClock {
    /// An answer came with this `Date`.
    pub(super) fn heard(&self, date: &str) {
        let Ok(date) = DateTime::from_str(date, DateTimeFormat::HttpDate) else {
            return;
        };
        if let Ok(server_ms) = date.to_millis() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
                Some((server_ms, Instant::now()));
        }
    }

    /// Whether this computer's clock, which says `wall_ms`, agrees with it. A server
    /// that tells no time (the vault within the process) lives by the same clock.
    pub(super) fn agrees(&self, wall_ms: i64) -> bool {
        let heard = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.is_none_or(|(server_ms, at)| {
            let since_ms = i64::try_from(at.elapsed().as_millis()).unwrap_or(i64::MAX);
            let now_ms = server_ms.saturating_add(since_ms);
            now_ms.abs_diff(wall_ms) < AGREE_MS.unsigned_abs()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_agree_within_seconds_and_where_nobody_says_otherwise() {
        let clock = ServerClock::default();
        assert!(clock.agrees(0) && clock.agrees(i64::MAX));
        clock.heard("yesterday");
        assert!(clock.agrees(0));
        clock.heard("Mon, 23 Nov 2026 18:00:00 GMT");
        let six_ms = 1_795_456_800_000;
        for (offset_ms, want) in [
            (0, true),
            (-3_000, true),
            (3_000, true),
            (-60_000, false),
            (60_000, false),
            (-86_400_000, false),
        ] {
            assert_eq!(clock.agrees(six_ms + offset_ms), want, "{offset_ms}");
        }
    }
}
