//! Whether the place that a source's copies go to is ours, and does what a backup
//! needs: asked now and then, before anything is marked as deleted, and whenever
//! an answer hints that it does not.
//!
//! Invariants: nothing is sent to a place that is not known to be ours. As long as
//! a bucket is not known to keep versions, nothing is marked deleted: in an
//! unversioned bucket S3 would destroy the object instead.
//! What is wrong stands in one list ([`troubles`]), which status, digest,
//! reconciliation and alerts go by.
//!
//! `policy` decides; `known` is what is known of one destination, `trouble` what is wrong
//! with it; `record` reads whose it is, `owner` claims it, `asking` asks both questions;
//! `marking` says whether deletions may be marked; `comparison` remembers whether index
//! and bucket have been compared; `tell` tells the owner, with the words of `report`.

mod asking;
mod comparison;
mod known;
mod marking;
mod owner;
mod policy;
mod record;
mod report;
mod tell;
mod trouble;

pub use asking::{ask, ask_if_due, command_for_versions, is_ours, look, take_over};
pub use comparison::{COMPARED, Comparison};
pub use known::{Deed, Destination, DestinationMemory, place_name};
pub use marking::{heard, is_compared, may_be_marked, may_mark, refuses_to_mark};
pub use policy::{Kind, Trouble};
pub use tell::tell;
pub use trouble::{show, troubles};
