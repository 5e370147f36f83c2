//! What differs between a moment and a folder, or between two moments.
//!
//! Reads only, and never opens an object's body. It holds one page of the listing,
//! one batch of the walk and a bounded number of comparisons. In reading order:
//! `difference` has the words; `pairs` merges both sides as they stream, since keys
//! come in one order from bucket and disk; `entry_comparer` looks at one path, `compare`
//! judges it, purely; `task` and `run` do that for all; `only_in_folder` serves a
//! restore in place.

mod compare;
pub(crate) mod difference;
mod entry_comparer;
mod only_in_folder;
mod pairs;
mod run;
mod task;

pub use only_in_folder::only_in_folder;
pub use run::{Compared, compare};
