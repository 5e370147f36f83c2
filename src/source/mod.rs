//! source.
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
