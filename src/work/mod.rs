//! Work that waits: the queue of paths, the scans that are asked for, and the changes in
//! flight.
//!
//! `SourceWork` has one source's part of all three. Nothing is dropped here: what does not
//! fit becomes a scan.

mod in_flight;
mod queue;
mod scan_requests;
mod source_work;

pub use in_flight::InFlightChanges;
pub use queue::{Depth, Full, HasQueue, Item, Lane, Queue, Readiness, SourceQueue};
pub use scan_requests::{ScanRequests, Whole};
pub use source_work::{HINTS_MAX, Hint, SourceWork};
