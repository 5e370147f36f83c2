//! Tells that two clocks do not show the same time.
//!
//! Pure. The server's time counts, because it stamps the versions.

use super::text;

/// Clocks that differ by no more than this are told to nobody: everything goes by
/// the server's clock, and people read times to the minute.
pub const APART_MAX_MS: i64 = 5 * 60 * 1000;

/// What to say of a clock that is `apart_ms` ahead of the server's (negative:
/// behind), and what to do; `None` when that is not worth a word.
pub fn differs(apart_ms: i64, place: &str) -> Option<String> {
    if apart_ms.abs() <= APART_MAX_MS {
        return None;
    }
    let way = match apart_ms > 0 {
        true => "ahead of",
        false => "behind",
    };
    Some(format!(
        "this computer's clock is {} {way} that of {place}: versions carry the server's time, so \
         times that you read off this computer are not theirs. Set the clock right, and have \
         the system set it by itself (time synchronisation, NTP)",
        text::duration(apart_ms.unsigned_abs())
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_clocks_that_differ_by_minutes_are_told() {
        const MINUTE_MS: i64 = 60_000;
        for (apart_ms, words) in [
            (0, ""),
            (5 * MINUTE_MS, ""),
            (-5 * MINUTE_MS, ""),
            (5 * MINUTE_MS + 1, "5 min"),
            (-6 * MINUTE_MS, "6 min"),
            (24 * 60 * MINUTE_MS, "ahead of that of AWS"),
            (-24 * 60 * MINUTE_MS, "behind that of AWS"),
        ] {
            let said = differs(apart_ms, "AWS");
            assert_eq!(said.is_some(), !words.is_empty(), "{apart_ms}");
            let said = said.unwrap_or_default();
            assert!(said.contains(words), "{apart_ms}: {said}");
        }
    }
}
