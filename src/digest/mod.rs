//! The daily mail: the full reconciliation scan, what it found, and the report.
//!
//! `schedule` says when, `daily` runs it, `report` puts it into words. It must never say
//! "All is well" when it does not know.

mod daily;
mod report;
mod schedule;

pub use daily::{DailyJob, FullComparison};
pub use report::messages::{Failed, OneOff, OneOffTask, Outage, Recovery, outage_alert, recovery};
pub use report::start::NotStarted;
pub use report::stuck::{Stuck, state_lost, stuck_alert, stuck_over};
pub use report::{Report, SourceReport, UnprotectedLine};
