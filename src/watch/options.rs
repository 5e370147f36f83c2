//! How the watch is set up.

use super::tap::Silencer;
use crate::clock::Clock;
use crate::source::{RunSignals, SourceRuntime};
use std::sync::Arc;
use std::time::Duration;

/// The times of the watch. The defaults are what the program uses.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// How often the root, what is mounted below it and the system's limits are
    /// looked at: deleted, renamed or newly mounted folders make no events.
    pub root_check: Duration,
    /// How often the marker is touched: a dead watch is noticed within this and
    /// `prove_within`. One event a minute costs nothing.
    pub prove_every: Duration,
    /// How soon the event must be back. It takes a quarter of a second; a busy
    /// computer may take its time.
    pub prove_within: Duration,
    /// The whole watch is set up again for lost events or new mounts at most
    /// this often: it takes seconds for 100,000 folders.
    pub rearm: Duration,
    /// Kills watches; for tests.
    pub silencer: Option<Silencer>,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self {
            root_check: Duration::from_secs(5),
            prove_every: Duration::from_secs(60),
            prove_within: Duration::from_secs(10),
            rearm: Duration::from_secs(60),
            silencer: None,
        }
    }
}

/// What the watch of one source works with.
pub struct WatchParts {
    /// The source.
    pub source: Arc<SourceRuntime>,
    /// The clocks.
    pub clock: Clock,
    /// Hears that the computer was asleep; is told that a change was heard of.
    pub signals: RunSignals,
    /// The times of the watch.
    pub options: WatchOptions,
    /// How often what is not watched is scanned.
    pub period: Duration,
}
