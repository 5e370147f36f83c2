//! The command line: clap types and one file per command.
//!
//! The only room that prints. It calls `daemon` and the rooms below it; nobody
//! calls it but `main`.

pub mod args;
pub mod logging;
mod private;
pub mod sample;
