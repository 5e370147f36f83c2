//! Saying that this computer's clock is wrong, as far as the server can tell.

use super::clocks::Clock;
use crate::status::LiveStatus;
use crate::types::clock::differs;

/// The standing warning.
const WARNING: &str = "clock";

/// Show, or take back, the warning that the clocks differ. It is about the computer
/// and not a folder, so it stands once: in `first`, the status of the first source.
pub fn show_clock_difference(clock: &Clock, first: &LiveStatus) {
    let apart_ms = clock.apart_ms();
    let text = apart_ms.and_then(|apart_ms| differs(apart_ms, clock.server_name()));
    let was_wrong = first.snapshot().warnings.contains_key(WARNING);
    match &text {
        Some(text) if !was_wrong => tracing::warn!("{text}"),
        None if was_wrong => tracing::info!("this computer's clock is right again"),
        // By how much it is wrong may change with every look.
        _ => {}
    }
    first.warn(WARNING, text);
}
