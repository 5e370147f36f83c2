//! Checks that the bucket is as it should be: compares index, disk and list of versions.
//!
//! Both sides are streamed in key order, a page of each in memory, so memory does not grow
//! with the bucket. Each version that matters is asked for by HEAD, and downloaded and
//! hashed where that is wanted. It never changes anything; only `repair` has files sent
//! again. The daemon calls it with an index, the command line without one.
//!
//! In reading order: `request` is what is asked, `findings` what is found; `run` hands
//! each version to a worker, `walk` finds them in key order, `draw` picks a sample;
//! `check_version` asks about one version and `judge` judges it, purely; `confirm`
//! looks a second time at what seems wrong; `shadowed` looks under other programs'
//! objects; `manifests` checks the manifests.

mod check_version;
mod confirm;
mod context;
mod draw;
pub(crate) mod findings;
mod judge;
mod listing;
mod manifests;
mod outcome;
pub mod repair;
mod request;
mod run;
mod shadowed;
mod walk;

pub use findings::{Ask, Damage, Deep, Finding, Never, Progress, Repair, Verified, WholeVersion};
pub use judge::is_cold;
pub use repair::Repairer;
pub use request::{VerifyEvent, VerifyRequest};
pub use run::verify;
