//! What a verification means for whoever called it.

use crate::cli::exit_code::{COMPLETE, FAILED, PARTIAL};
use crate::verify::Verified;

/// 3 when something of what was asked about cannot be restored as it was stored (of
/// the current state; with `--all-versions` of the past, too, which no repair
/// mends), 1 when not everything could be
/// looked at, 0 when all is well.
pub(super) fn exit_code(results: &[Verified]) -> u8 {
    if results.iter().any(|result| result.not_restorable() > 0) {
        PARTIAL
    } else if results.iter().any(|result| result.not_looked_total > 0) {
        FAILED
    } else {
        COMPLETE
    }
}
