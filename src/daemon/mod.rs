//! Wiring alone: what is opened in which order, which loops run, how they stop.
//!
//! Called by `cli` and the integration tests. Order of start: index, server, watches, then
//! the first scan, so that either watch or scan sees each change. Order of stop: loops,
//! then workers within `shutdown_timeout`, then the index is flushed. It decides nothing
//! about files.
//!
//! `open` opens everything, with `open_source` for each source; `components` is what is
//! open, and what the loops are built from; `running` is the daemon, `once` a run without one,
//! `close` their end, `alive` whether it still turns. `answers` is what the control socket answers, `status` how things
//! stand, `maintenance` what is done beat by beat, `places` whether another account can
//! change Keepwatch's own files.

mod alive;
mod answers;
mod close;
mod components;
mod maintenance;
mod once;
mod open;
mod open_source;
mod panicked;
mod places;
mod running;
mod status;

pub use alive::Alive;
pub use components::{Components, Options, this_computer};
pub use once::{digest_once, reconcile_once, verify_once};
pub use open::notifier;
pub use places::{doubts, refuse_state};
pub use running::Daemon;
