//! The daily job: compare everything with the bucket, then tell the owner.
//!
//! Invariants: it runs once a day, also when the computer slept through its
//! hour, and counts for the day on which it began, however long it takes; the
//! digest is handed over before its figures are closed, so a crash between makes it
//! come twice rather than never. Time asleep is no waiting.
//!
//! `job` is the job, `comparing` the comparison that it begins with, `patience` how long
//! that waits through trouble, `source_report` what the digest says of one source.

mod comparing;
mod job;
mod patience;
mod source_report;

pub use comparing::FullComparison;
pub use job::DailyJob;
