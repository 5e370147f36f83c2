//! The daily restore drill: a few files are really restored, from random moments
//! of their past, and compared with what was recorded when they were stored.
//!
//! Called by the daily job. Invariants: it writes into its scratch folder alone,
//! which is gone afterwards; it keeps to its budget of files, bytes and cost; a
//! drill that could not run is never told as one that went well; a finding is
//! told once, and its end to those who heard of it.
//!
//! `runner` is a drill from its beginning to its end: `again` looks at the findings of
//! earlier ones, `sample` restores what `pick` draws, each by `try_one` within the
//! `budget`; `tell` tells the owner what is new and what is over, in the words of `report`.

mod again;
mod book;
mod budget;
mod candidate;
mod outcome;
mod pick;
mod rehearse;
pub(crate) mod report;
mod runner;
mod sample;
mod scratch;
mod tell;
mod try_one;
mod why;

pub use book::last;
pub use outcome::Drill;
pub use runner::DrillRunner;
pub use scratch::clear_leftovers;
