//! The parts of a running daemon, and their end.

use crate::bandwidth::Reload;
use crate::index::Opened;
use crate::mail::Post;
use crate::manifest::Computer;
use crate::os;
use crate::s3::Store;
use crate::sns::Notifier;
use crate::source::{Clock, Context, Hint};
use crate::types::{Fatal, chain};
use crate::watch::WatchOptions;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// More of it than this helps nobody: an abort is one small request.
pub(crate) const CLEARING_MAX: Duration = Duration::from_secs(5);

/// What a caller may replace; the defaults are what the program uses.
#[derive(Default)]
pub struct Options {
    /// The server, instead of the one the configuration names.
    pub store: Option<Store>,
    /// The wall clock.
    pub clock: Option<Clock>,
    /// The computer, as it owns destinations.
    pub computer: Option<Computer>,
    /// The topic's publisher, instead of the one the configuration names.
    pub notifier: Option<Notifier>,
    /// How long a disk may take to answer.
    pub answer_wait: Option<Duration>,
    /// The times of the watch.
    pub watch: WatchOptions,
    /// Reads the configuration again when its file has changed.
    pub reload: Option<Reload>,
}

/// This computer, as it owns destinations.
pub fn this_computer() -> Computer {
    let machine_id = os::machine_id();
    Computer::new(os::computer_name(), machine_id.as_deref())
}

/// What [`open`] hands over: everything connected, nothing running yet.
pub struct Parts {
    /// What all tasks share.
    pub ctx: Arc<Context>,
    /// Where messages go.
    pub post: Arc<Post>,
    /// The receiving end of each source's hints.
    pub hints: Vec<mpsc::Receiver<Hint>>,
    /// How the index was found.
    pub opened: Opened,
}

/// A task that panicked, as a fatal error.
pub(crate) fn panicked(error: &(dyn std::error::Error + 'static)) -> Fatal {
    Fatal::new(
        "go on",
        chain(error),
        "this is a fault in Keepwatch: please report it with the log",
    )
}
