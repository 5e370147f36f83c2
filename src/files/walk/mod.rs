//! The walk through a source, in the order of the index and of the bucket.
//!
//! It holds one folder's names per level and a bounded number of open folders,
//! never follows a link, and never goes silent: what it could not see, it
//! names, so that nothing there is taken for deleted.

mod child;
pub(crate) mod found;
mod names;
pub(crate) mod noted;
mod open;
mod walker;

pub use walker::{Walk, walk};
