//! Hears of changes from the operating system. The only folder that imports notify.
//!
//! Invariants: a watch that fails its proof, or whose root was deleted, made again or
//! mounted over, is set up again, and the folder is scanned. What cannot be watched, or not
//! relied on, is scanned on a period, and the owner is told what and why. No event is
//! load-bearing: a lost one costs time until the next scan, nothing else.

mod blind_spots;
mod collect;
mod debounce;
mod gather;
mod options;
mod proof;
mod sentinel_proof;
pub(crate) mod sleep;
mod supervisor;
mod tap;
mod trouble;
mod watcher;
mod watching;

pub use collect::Collector;
pub use options::{WatchOptions, WatchParts};
pub use sleep::{Clocks, Jump};
pub use tap::Silencer;
pub use watching::run;
