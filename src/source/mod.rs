//! One protected folder at run time, and what all that work on it share.
//!
//! `context` is what the loops share; `io_watchdog` keeps a disk that hangs from holding
//! up anything else, `breakers` a bucket that fails; `links` knows names of one file,
//! `comparison` whether a source has been compared with its bucket, `commands` how a
//! message names a command that its reader can run.

mod breakers;
pub(crate) mod clock;
pub(crate) mod commands;
mod comparison;
mod context;
mod io_watchdog;
mod links;

pub use breakers::Gates;
pub use commands::reader;
pub use comparison::{COMPARED, forget_comparison};
pub use context::{Clock, Context, HINTS_MAX, Hint, Owners, Source, system_clock};
pub use io_watchdog::{Answering, awaited, no_answer, on_disk, unless_silent};
pub use links::{FileId, HardLinks};
