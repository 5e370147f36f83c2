//! The computer's own clock.

use crate::types::WallMs;
use std::time::{SystemTime, UNIX_EPOCH};

/// The computer's own clock, milliseconds since 1970: it is compared with the
/// server's, so no other will do.
pub fn wall_ms() -> WallMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    WallMs(since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)))
}
