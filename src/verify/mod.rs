//! Is the bucket as it should be? Index, disk and list of versions side by side.
//!
//! Both sides are streamed in key order and nothing is held of either but a
//! page, so memory does not grow with the bucket. Each version that matters is
//! asked about (HEAD), and downloaded and hashed where that is wanted. It reads
//! and never changes anything, neither here nor there; only `repair` has files sent
//! again. Called by the daemon with an index, by the command line without one.
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
pub use request::{VerifyEvent, VerifyRequest};
pub use run::verify;
