//! What was current at a moment, and which versions there were.
//!
//! Needs the bucket and its credentials alone. [`Timeline`] walks the list of versions
//! and says what was current; [`versions`] lists one file's past, [`moments`] the moments
//! with a manifest, [`find`] the sources of a bucket. It reads; it never writes, and never
//! takes the word of one version for another.
//!
//! Read `pages` (listing), `version_selector` and `state_time` (decisions), `timeline`, then
//! `selector`, `names`, `near`, `alike` (what a person typed), `versions`, `gone`,
//! `moments`, `sources`.

mod alike;
mod current;
mod gone;
mod head;
mod known;
mod legacy_keys;
mod moments;
mod names;
mod near;
mod pages;
mod selector;
pub mod sources;
mod state_time;
mod timeline;
mod together;
mod typed;
mod version_selector;
mod versions;
mod witness;
mod written_order;

pub use alike::alike;
pub(crate) use current::current_of;
pub use gone::deleted_folder;
pub(crate) use head::{OLDER_MAX, head, head_at, too_many, with_head};
pub use known::Known;
pub(crate) use known::Records;
pub(crate) use legacy_keys::unless_newer;
pub use moments::{Moments, moments};
pub use names::{Place, selectors, settle, several};
pub(crate) use pages::{Pages, list_page};
pub use selector::{Selector, in_none};
pub use sources::{DEPTH_MAX, Found, find};
pub use timeline::Timeline;
pub use timeline::chosen::{Chosen, Name};
pub(crate) use together::belonging;
pub use typed::{Misses, Typed, typed_path, word_for};
pub(crate) use version_selector::VersionSelector;
pub use versions::{FileVersion, VERSIONS_SHOWN_MAX, Versions, deleted, versions};
