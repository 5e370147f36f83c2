//! The integration suite: the real binary and the library against the vault
//! over real HTTP and against moto with authentication on.
//!
//! One binary on purpose (each links the whole SDK); one module per concern.

// As in the library.
#![recursion_limit = "256"]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "all of this is test code, helpers outside #[test] functions too"
)]

mod beside;
mod budget;
mod circles;
mod clocks;
mod daily;
mod damage;
mod databases;
mod dead;
mod deletion_guard;
mod delta;
mod destination;
mod documented;
mod drill;
mod errors;
mod figures;
mod format_page;
mod fuzz;
mod harness;
mod hostile;
#[path = "../../crates/vault/tests/support/imports.rs"]
mod imports;
mod late;
mod layers;
mod line;
mod lists;
mod manifest;
#[cfg(target_os = "linux")]
mod model;
#[cfg(target_os = "linux")]
mod moments;
mod moto;
mod moto_cold;
mod moto_office;
#[cfg(target_os = "linux")]
#[path = "../../crates/vault/tests/support/needs.rs"]
mod needs;
mod network;
mod office;
mod pages;
mod patterns;
mod portal;
#[cfg(target_os = "linux")]
mod power;
mod python;
mod raw;
mod readme;
mod recovery_buckets;
mod recovery_page;
mod rename;
mod restart;
mod restore;
mod resume;
#[cfg(target_os = "linux")]
#[path = "../../crates/vault/tests/support/seed.rs"]
mod seed;
mod servers;
mod smoke;
mod soak;
mod trial;
mod unheard;
#[path = "../../crates/vault/tests/support/venv.rs"]
mod venv;
mod watching;
