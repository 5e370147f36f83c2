//! What time it is: by this computer, since the start, and by the server.
//!
//! `clocks` has the three; `warning` says when the first and the last differ. It never
//! decides anything about files. Moments from different clocks must not be compared with
//! each other.

mod clocks;
mod warning;

pub use clocks::{Clock, WallClock, system_clock};
pub use warning::show_clock_difference;
