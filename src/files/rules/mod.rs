//! Which paths are left out, and which are stored compressed.
//!
//! gitignore rules: the configuration's patterns, and `.keepwatchignore` files
//! in any folder, which overrule it below themselves. Invariant: a path asked
//! about out of the blue gets the answer that a walk gives it. A rule file that
//! cannot be read excludes nothing, and the walk reports it.

mod chain;
mod compress;
mod excluded;
mod rule_file;

pub(super) use chain::{Chain, Decided};
pub use compress::Compress;
pub use excluded::Rules;
pub use rule_file::RULE_FILE_NAME;
