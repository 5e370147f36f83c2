//! Going back to any moment: a random history over a real daemon, the true tree
//! kept at many moments of it, and each had back from the bucket alone.
//!
//! `KEEPWATCH_TEST_SEED=n` does one again, `KEEPWATCH_TEST_MOMENTS=n` keeps
//! another number of moments.

mod command;
// Plays the model's office, which has names, modes and links of Unix.
#[cfg(target_os = "linux")]
mod history;
mod renames;
mod times;
