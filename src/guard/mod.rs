//! The deletion guard: what stands between a missing file and its deletion in the bucket.
//!
//! Shared by scan, backup and maintenance. Invariants: nothing is marked deleted without
//! the guard's permission; what it holds back stays in the index and is found again by the
//! next scan; its memory survives a kill. Functions block unless they are async.
//!
//! `policy` and `ransomware` decide; `deletion_guard` is one source's guard, `memory` what
//! it remembers, and `change` saves that; `root_sentinel` and `root` say whether the root
//! is the folder that was backed up; `count` counts files; `holding` holds deletions back,
//! `grant` grants one, `noticed` knows how many came lately; `scanned` takes in scans and
//! `encrypted` stored content; `show` and `tell` say what is held back, in the words of
//! `report`.

mod change;
mod count;
mod deletion_guard;
mod encrypted;
mod grant;
mod holding;
mod memory;
mod noticed;
mod policy;
mod ransomware;
mod report;
mod root;
pub(crate) mod root_sentinel;
mod scanned;
mod show;
mod standing;
mod tell;

pub use count::known_below;
pub use deletion_guard::DeletionGuard;
pub(crate) use encrypted::{looks_ruined, plain_is_gone};
pub(crate) use grant::{Grant, Permission, forgotten, is_counted, may_mark};
pub(crate) use holding::{look_at_root, look_at_root_again, lost_mounts};
pub use memory::GuardMemory;
pub use policy::{HoldCause, MOUNTS_MAX, Scanned, is_below, most_is_gone};
pub use root_sentinel::Settled;
pub(crate) use scanned::{revisit, scanned};
pub use show::{line, show};
pub use standing::Standing;
pub use tell::tell;
