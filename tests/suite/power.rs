//! The power goes at any moment: the index, or all of the program's data, lies on a disk that forgets
//! what was not synced, and whatever is left of it, nothing that was
//! acknowledged is lost and nothing half is shown.
//!
//! The short runs are part of `cargo test`. The long ones:
//!
//! `KEEPWATCH_POWER_MINUTES=10 cargo test --test suite power -- --ignored --nocapture`
//!
//! They need Linux with /dev/fuse and the right to mount (root), and say so
//! where that is missing; they are never passed over.

#[path = "../../crates/vault/tests/support/disk/mod.rs"]
mod disk;
mod index;
mod program;

use disk::{SHORT, Tally, long, mount, platter, seed};
