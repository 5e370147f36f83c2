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
mod in_place;
mod large;
mod later;
pub mod manifest;
pub mod moments;
mod names;
mod object;
mod older;
mod pages;
mod pairs;
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
pub use in_place::only_in_folder;
pub use names::{Place, Settled, selectors, settle, several};
pub use rehearse::{Rehearsed, current_at, is_a_files, life_of, page_behind, rehearse};
pub use restore::{Options, Request, restore};
pub use retry::Stop;
pub use selector::{Selector, Typed, typed_path, word_for};
pub use survey::{ColdShare, Survey, survey};
pub use tally::{Bounded, Covered, Event, LIST_ITEMS_MAX, Progress, Restored};
pub use timeline::{Chosen, Name, Timeline};
pub use verify::{Known, Stat, VerifyEvent, VerifyRequest, is_cold, verify};
pub use versions::{Deleted, FileVersion, VERSIONS_SHOWN_MAX, Versions, deleted, versions};

use crate::error::{Class, Fault, chain};

/// Where a source's objects are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Bucket name.
    pub bucket: String,
    /// What keys begin with; empty or ending in `/`.
    pub prefix: String,
}

/// Run blocking work (disk, index) off the async threads.
///
/// # Errors
/// Whatever the work reports; class `Local` when it panicked.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| {
            Err(Fault::new(
                Class::Local,
                "work on",
                "this computer",
                chain(&error),
            ))
        })
}

/// A key as shown to people: one line, whatever it holds.
fn shown(key: &str) -> String {
    key.chars()
        .flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_default());
            let plain = escaped.is_none().then_some(c);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_cannot_forge_a_line() {
        assert_eq!(shown("Büro/a\nb\u{1b}[2J"), "Büro/a\\nb\\u{1b}[2J");
    }
}
