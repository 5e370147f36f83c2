//! Getting files back, and seeing what there is to get back.
//!
//! Needs the bucket and its credentials alone: no index, no configuration, no
//! daemon. [`Timeline`] says what was current at a moment, [`restore`] brings it
//! into a folder, [`versions`] lists one file's past. Called by the command line.
//! It must never write outside the target, never give a file its name before
//! its hash is verified, never replace anything unless told, and never let one
//! bad object keep the others from coming back. It holds no list that grows
//! with the bucket.

mod arrival;
mod carried;
pub(crate) mod content;
mod diff;
mod folders;
mod in_place;
mod large;
mod later;
mod manifest_check;
mod object;
mod ownership;
mod ranges;
mod replaced;
mod request;
mod room;
mod run;
pub(crate) mod shadowed_version;
mod shop;
mod stale;
mod survey;
mod tally;
mod thawing;
mod there;

pub(crate) use arrival::{Arrival, Budget};
pub(crate) use content::{Source, damaged};
pub use diff::difference::{Against, Change, Comparison, Difference, Finding, Side};
pub use diff::{Compared, compare};
pub(crate) use folders::Folders;
pub use in_place::only_in_folder;
pub(crate) use object::bring_exactly;
pub(crate) use request::Pass;
pub use request::{Options, Request};
pub use run::restore;
pub(crate) use shadowed_version::Ours;
pub(crate) use shop::{Outcome, Shop};
pub(crate) use stale::Stale;
pub use survey::{ColdShare, Survey, survey};
pub(crate) use tally::Tally;
pub use tally::{Bounded, Covered, Event, Progress, Restored};
