//! A disk that forgets what was not synced, and how long a test of it goes on.
//!
//! It needs Linux with /dev/fuse and the right to mount (root), and says so where that
//! is missing.

pub mod mount;
pub mod platter;

use std::fmt;
use std::time::{Duration, Instant};

/// Minutes of each long run without the variable.
const MINUTES: u64 = 10;

/// A short run ends after this, at a whole cut; five of them share the cores
/// and take some twenty seconds on two.
pub const SHORT: Duration = Duration::from_secs(4);

/// A short run checks at least so many disks, however busy the machine is.
const STATES_MIN: u64 = 9;

/// Until when a run goes on.
pub fn long() -> Instant {
    let minutes = std::env::var("KEEPWATCH_POWER_MINUTES").map_or(MINUTES, |text| {
        text.parse().expect("KEEPWATCH_POWER_MINUTES is a number")
    });
    Instant::now() + Duration::from_secs(minutes * 60)
}

/// The seed of a run, told with its name.
pub fn seed(what: &str) -> u64 {
    println!("{what}:");
    crate::seed::seed(20_261_130, u64::MAX)
}

/// What a run has seen.
#[derive(Debug, Default)]
pub struct Tally {
    /// Places where the power went.
    pub cuts: u64,
    /// Disks found afterwards that were checked.
    pub states: u64,
    /// Cuts in the middle of mending what an earlier cut left.
    pub recovery_cuts: u64,
    /// What was acknowledged, and found again.
    pub versions: u64,
}

impl Tally {
    /// Is a short run to go on?
    pub fn goes_on(&self, deadline: Instant) -> bool {
        self.states < STATES_MIN || Instant::now() < deadline
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cuts, {} cuts while recovering, {} disks checked, {} acknowledged versions found",
            self.cuts, self.recovery_cuts, self.states, self.versions
        )
    }
}
