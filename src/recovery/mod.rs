//! Getting files back, and seeing what there is to get back.
//!
//! Needs the bucket and its credentials alone: no index, no configuration, no
//! daemon. [`Timeline`] says what was current at a moment, [`restore`] brings it
//! into a folder, [`versions`] lists one file's past. Called by the command line.
//! It must never write outside the target, never give a file its name before
//! its hash is verified, never replace anything unless told, and never let one
//! bad object keep the others from coming back. It holds no list that grows
//! with the bucket.

mod against;
mod alike;
mod arrival;
mod beneath;
mod carried;
mod chooser;
mod claim;
mod content;
mod difference;
mod eye;
mod folders;
mod gone;
mod in_place;
mod large;
mod later;
pub mod manifest;
pub mod moments;
mod names;
mod near;
mod object;
mod older;
mod pages;
mod pairs;
mod patience;
mod ranges;
mod rehearse;
mod replaced;
mod restore;
mod retry;
mod room;
mod selector;
pub mod sources;
mod stale;
mod survey;
mod tally;
mod thawing;
mod there;
mod timeline;
mod together;
mod verify;
mod versions;
mod witness;

pub use alike::alike;
pub use difference::{Against, Change, Compared, Comparison, Difference, Finding, Side, compare};
pub use gone::{DeletedFolder, deleted_folder};
pub use in_place::only_in_folder;
pub use names::{Place, Settled, selectors, settle, several};
pub use rehearse::{Rehearsed, current_at, is_a_files, life_of, page_behind, rehearse};
pub use restore::{Options, Request, restore};
pub use retry::Stop;
pub use selector::{Misses, Selector, Typed, typed_path, word_for};
pub use survey::{ColdShare, Survey, survey};
pub use tally::{Bounded, Covered, Event, LIST_ITEMS_MAX, Progress, Restored};
pub use timeline::{Chosen, Name, Timeline};
pub use verify::{Known, Stat, VerifyEvent, VerifyRequest, is_cold, verify};
pub use versions::{Deleted, FileVersion, VERSIONS_SHOWN_MAX, Versions, deleted, versions};

pub use crate::model::origin::Origin;
pub use crate::model::report::text::shown;
pub use crate::platform::blocking::blocking;
