//! A moment in the form that people read and commands accept.

use crate::types::WallMs;
use jiff::tz::TimeZone;

/// A moment in full, so that `--at` finds exactly this version: to the
/// millisecond where the server has them, with the offset where the clocks
/// show that time twice.
pub(crate) fn stamp(at_ms: WallMs, zone: &TimeZone) -> String {
    let Ok(at) = at_ms.timestamp() else {
        return "an unknown time".to_owned();
    };
    let local = zone.to_datetime(at);
    let format = if at_ms.0.rem_euclid(1_000) == 0 {
        "%Y-%m-%d %H:%M:%S"
    } else {
        "%Y-%m-%d %H:%M:%S%.3f"
    };
    let text = local.strftime(format).to_string();
    if zone.to_ambiguous_timestamp(local).is_ambiguous() {
        format!("{text}{}", zone.to_offset(at))
    } else {
        text
    }
}
