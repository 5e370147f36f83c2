//! Getting files back, and seeing what there is to get back.
//!
//! Needs the bucket and its credentials alone: no index, no configuration, no daemon.
//! It must never write outside the target, never give a file its name before its hash
//! is verified, never replace anything unless told, and never let one bad object keep
//! the others from coming back. It holds no list that grows with the bucket. Called by
//! the command line, and by `drill` and `verify` for single versions.
//!
//! In reading order: `request` is what is asked; [`preflight()`] looks at what there is
//! to bring; [`restore`] (`run`) hands each chosen version to a worker (`bring`);
//! `plan` decides, purely, what is done with it, `carry_out` does it with `write` and
//! `large`, and `report` is what came of it. `manifest_check` compares with the
//! manifest at the end; `diff` compares without restoring.

mod bring;
mod carry_out;
mod companions_aside;
pub(crate) mod content;
mod context;
mod diff;
mod disk_content;
mod disk_space;
mod existing_target;
mod faults;
mod folders;
mod in_place;
mod kept_beside;
mod large;
mod manifest_check;
mod one_version;
mod outcome;
mod ownership;
mod plan;
mod preflight;
mod put_off;
mod range_buffer;
mod ranges;
mod report;
mod request;
mod run;
mod separate_attributes;
pub(crate) mod shadowed_version;
mod stale_files;
mod stats;
mod thaw_queue;
mod thaw_wait;
mod thawing;
mod write;

pub(crate) use content::Source;
pub use diff::difference::{Against, Change, Comparison, Difference, Finding, Side};
pub use diff::{Compared, compare, only_in_folder};
pub(crate) use faults::damaged;
pub(crate) use one_version::restore_version;
pub(crate) use outcome::Outcome;
pub use preflight::scan::preflight;
pub use preflight::summary::{ColdShare, Preflight};
pub(crate) use range_buffer::BodyReader;
pub use report::{Bounded, Covered, Event, Progress, Restored};
pub use request::{Options, Request};
pub use run::restore;
pub(crate) use shadowed_version::ShadowedVersion;
