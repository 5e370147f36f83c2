//! One protected folder at run time, and what all work on it shares.
//!
//! `runtime` is the folder with everything that belongs to it. `breaker` says whether its
//! bucket can be used, `announce` tells that; `links` knows the names of one file, `late`
//! the requests that may still be carried out, `copy_health` whether the server copies,
//! `owners` whose its files may be; `signals` are heard by the loops of all folders.

mod announce;
mod breaker;
mod copy_health;
mod late;
mod links;
mod owners;
mod runtime;
mod signals;

pub use announce::{announce, neighbours};
pub use breaker::SourceBreaker;
pub use copy_health::CopyHealth;
pub use late::LateRequests;
pub use links::{FileId, HardLinks};
pub use owners::Owners;
pub use runtime::{SourceRuntime, Sources};
pub use signals::RunSignals;
