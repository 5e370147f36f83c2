//! The vault from outside: S3 clients that share no code with it, and a disk whose
//! power goes. And the order among its files.
//!
//! One binary on purpose: it links the whole SDK.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "all of this is test code, helpers outside #[test] functions too"
)]

mod http;
#[path = "../support/imports.rs"]
mod imports;
mod layers;
#[cfg(target_os = "linux")]
#[path = "../support/needs.rs"]
mod needs;
#[cfg(target_os = "linux")]
mod power;
#[cfg(target_os = "linux")]
#[path = "../support/seed.rs"]
mod seed;
// Python for tests that start it.
#[cfg(unix)]
#[path = "../support/venv.rs"]
mod venv;
