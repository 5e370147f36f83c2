//! How often maintenance looks.

use std::time::Duration;

/// The heartbeat's period. A retry is due to the second at best.
pub(super) const BEAT: Duration = Duration::from_secs(1);
