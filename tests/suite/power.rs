//! The power goes at any moment: index and vault lie on a disk that forgets
//! what was not synced, and whatever is left of it, nothing that was
//! acknowledged is lost and nothing half is shown.
//!
//! The short runs are part of `cargo test`. The long ones:
//!
//! `KEEPWATCH_POWER_MINUTES=10 cargo test --test suite power -- --ignored --nocapture`
//!
//! They need Linux with /dev/fuse and the right to mount (root), and say so
//! where that is missing; they are never passed over.

mod index;
mod mount;
mod platter;
mod program;
mod vault;

use std::fmt;
use std::time::{Duration, Instant};

/// Minutes of each long run without the variable.
const MINUTES: u64 = 10;

/// A short run ends after this, at a whole cut; five of them share the cores
/// and take some twenty seconds on two.
const SHORT: Duration = Duration::from_secs(4);

/// A short run checks at least so many disks, however busy the machine is.
const STATES_MIN: u64 = 9;

/// Until when a run goes on.
fn long() -> Instant {
    let minutes = std::env::var("KEEPWATCH_POWER_MINUTES").map_or(MINUTES, |text| {
        text.parse().expect("KEEPWATCH_POWER_MINUTES is a number")
    });
    Instant::now() + Duration::from_secs(minutes * 60)
}

fn seed(what: &str) -> u64 {
    println!("{what}:");
    crate::seed::seed(20_261_130, u64::MAX)
}

/// What a run has seen.
#[derive(Debug, Default)]
struct Tally {
    /// Places where the power went.
    cuts: u64,
    /// Disks found afterwards that were checked.
    states: u64,
    /// Cuts in the middle of mending what an earlier cut left.
    recovery_cuts: u64,
    /// Versions that were acknowledged, and found again.
    versions: u64,
    /// Indexes that were opened as they were, and ones made anew although
    /// something had been flushed.
    kept: u64,
    rebuilt: u64,
}

impl Tally {
    /// Is a short run to go on?
    fn goes_on(&self, deadline: Instant) -> bool {
        self.states < STATES_MIN || Instant::now() < deadline
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cuts, {} cuts while recovering, {} disks checked, {} acknowledged versions found",
            self.cuts, self.recovery_cuts, self.states, self.versions
        )?;
        if self.kept + self.rebuilt == 0 {
            return Ok(());
        }
        write!(f, "; indexes kept {}, rebuilt {}", self.kept, self.rebuilt)
    }
}
