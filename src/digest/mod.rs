//! digest.
pub mod daily;
pub(crate) mod report;
mod schedule;

pub use daily::comparing::compare_in_full;
pub use daily::report;
pub use report::messages::{Failed, OneOff, OneOffTask, Outage, Recovery, outage_alert, recovery};
pub use report::start::NotStarted;
pub use report::stuck::{Stuck, state_lost, stuck_alert, stuck_over};
pub use report::{Report, SourceReport, UnprotectedLine};
