//! Work that waits: the queue of paths, scans that are asked for, and changes in flight.
//!
//! Nothing is dropped here: what does not fit becomes a scan.

mod in_flight;
mod queue;
mod scan_requests;

pub use in_flight::Unsettled;
pub use queue::aside::Ripe;
pub use queue::item::{Item, Lane};
pub use queue::{Depth, Queue};
pub use scan_requests::{ScanBook, Whole};
