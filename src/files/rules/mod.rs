//! Which paths are left out, and which are stored compressed.
//!
//! The rules are those of gitignore: the patterns of the configuration, and `.keepwatchignore`
//! files in any folder, which override the configuration below that folder. Invariant: a
//! question about a single path gets the same answer as a walk. A rule file that cannot be read
//! excludes nothing, and the walk reports it.

mod chain;
mod compress;
mod excluded;
mod rule_file;

pub(super) use chain::{Chain, Decided};
pub use compress::Compress;
pub use excluded::Rules;
pub use rule_file::RULE_FILE_NAME;
