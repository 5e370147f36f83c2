//! Going back to any moment: a random history over a real daemon, the true tree
//! kept at many moments of it, and each had back from the bucket alone.
//!
//! `KEEPWATCH_TEST_SEED=n` does one again, `KEEPWATCH_TEST_MOMENTS=n` keeps
//! another number of moments.

mod command;
mod history;
mod renames;
mod times;

use crate::model::tree;
use crate::model::tree::Tree;
use keepwatch::files::Target;
use keepwatch::history::Selector;
use keepwatch::restore::{Options, Request, restore};
use keepwatch::retry::Stop;
use keepwatch::s3::Store;
use keepwatch::types::{Origin, WallMs};
use std::path::Path;
use std::sync::Arc;

/// A moment at which the folder rested, and what stood in it.
pub struct Moment {
    pub at_ms: WallMs,
    pub tree: Tree,
    /// What had been done since the one before.
    pub done: String,
}

/// What differs between the moment and what comes back of it into `to`, a folder
/// that is not there yet; empty when nothing does. Needs the bucket alone.
pub async fn differences_of(
    store: &Store,
    origin: &Origin,
    moment: &Moment,
    to: &Path,
) -> Vec<String> {
    let request = Request {
        origin: origin.clone(),
        selector: Selector::everything(),
        at_ms: Some(moment.at_ms),
        target: Arc::new(Target::open(to).unwrap()),
        options: Options::default(),
        preflight: None,
    };
    let mut differences = Vec::new();
    match restore(store, request, |_| (), &Stop::never()).await {
        Ok(restored) => {
            let faults = [
                restored.failed,
                restored.already_there,
                restored.left_out,
                restored.remarks,
            ];
            let faults = faults.iter().flat_map(|faults| &faults.items);
            differences.extend(faults.map(ToString::to_string));
        }
        Err(fatal) => differences.push(fatal.to_string()),
    }
    differences.extend(tree::differences(&moment.tree, &tree::read(to)));
    differences
}
