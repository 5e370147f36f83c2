//! The integration suite: the real binary and the library against the vault
//! over real HTTP and against moto with authentication on.
//!
//! One binary on purpose (each links the whole SDK); one module per concern. What a
//! system has not got leaves a module out there, with the reason beside it; what two
//! systems do in different ways is in `harness/os.rs`.

// As in the library.
#![recursion_limit = "256"]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "all of this is test code, helpers outside #[test] functions too"
)]

// Extended attributes, owners and holes, as Linux has them.
#[cfg(target_os = "linux")]
mod beside;
mod budget;
mod circles;
mod clocks;
mod daily;
mod damage;
mod databases;
// Mounts a FUSE file system.
#[cfg(target_os = "linux")]
mod dead;
mod deletion_guard;
mod delta;
mod destination;
mod documented;
mod drill;
mod errors;
mod figures;
// Runs the lines of a page with sh.
#[cfg(unix)]
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
mod moments;
// Starts Python, and the servers that it has.
#[cfg(unix)]
mod moto;
// Starts Python, and the servers that it has.
#[cfg(unix)]
mod moto_cold;
// Starts Python, and the servers that it has.
#[cfg(unix)]
mod moto_office;
#[cfg(target_os = "linux")]
#[path = "../../crates/vault/tests/support/needs.rs"]
mod needs;
mod network;
// Names that are no text, modes and links: an office on Unix.
#[cfg(unix)]
mod office;
// Runs the lines of a page with sh.
#[cfg(unix)]
mod pages;
mod patterns;
mod portal;
#[cfg(target_os = "linux")]
mod power;
// Starts Python, and the servers that it has.
#[cfg(unix)]
mod python;
mod raw;
mod readme;
// Runs the lines of a page with sh.
#[cfg(unix)]
mod recovery_buckets;
// Runs the lines of a page with sh.
#[cfg(unix)]
mod recovery_page;
mod rename;
mod restart;
mod restore;
mod resume;
#[path = "../../crates/vault/tests/support/seed.rs"]
mod seed;
// Starts Python, and the servers that it has.
#[cfg(unix)]
mod servers;
#[cfg(target_os = "linux")]
mod service;
mod smoke;
// Reads what a process costs from /proc.
#[cfg(target_os = "linux")]
mod soak;
#[cfg(target_os = "linux")]
mod terminal;
// Pastes lines into sh, as another account.
#[cfg(unix)]
mod trial;
mod unheard;
#[cfg(unix)]
#[path = "../../crates/vault/tests/support/venv.rs"]
mod venv;
#[cfg(unix)]
mod version;
mod watching;
mod words;
