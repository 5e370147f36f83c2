//! What a service manager is told.

use std::time::Duration;

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It is up, and does this.
    Ready(String),
    /// It is well: the watchdog may wait on.
    Alive,
    /// How it stands, in one line.
    Status(String),
    /// It ends, which takes so long at most.
    Stopping(Duration),
}
