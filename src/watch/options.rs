//! How the watch is set up.

use super::tap::Silencer;
use crate::clock::Clock;
use crate::source::{RunSignals, SourceRuntime};
use std::sync::Arc;
use std::time::Duration;

/// The times of the watch. The defaults are what the program uses.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// How often to check the root, the mounts below it and the system's limits: a root
    /// that is deleted, renamed or mounted over makes no event.
    pub root_check: Duration,
    /// How often to touch the sentinel: a dead watch is noticed within this and
    /// `prove_within`. One event a minute costs nothing.
    pub prove_every: Duration,
    /// How soon the sentinel's event must come. It takes a quarter of a second, on a busy
    /// computer longer.
    pub prove_within: Duration,
    /// How often lost events or new mounts may have the whole watch set up again at most:
    /// that takes seconds for 100,000 folders.
    pub rearm: Duration,
    /// Kills watches, in tests.
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
    /// Tells that the computer was asleep, and hears of changes.
    pub signals: RunSignals,
    /// The times of the watch.
    pub options: WatchOptions,
    /// How often what is not watched is scanned.
    pub period: Duration,
}
