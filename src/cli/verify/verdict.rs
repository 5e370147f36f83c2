//! What a verification means for whoever called it.

use crate::cli::exit_code::{COMPLETE, FAILED, PARTIAL};
use crate::verify::Verified;

/// 3 when something of what was asked about cannot be restored as it was stored (of
/// the current state; with `--all-versions` of the past, too, which no repair
/// mends), 1 when not everything could be
/// looked at, or nothing is called like what was asked for, 0 when all is well.
pub(super) fn exit_code(results: &[Verified]) -> u8 {
    if results.iter().any(|result| result.not_restorable() > 0) {
        PARTIAL
    } else if results.iter().any(|result| result.not_looked_total > 0) || is_in_none(results) {
        FAILED
    } else {
        COMPLETE
    }
}

/// Something that was asked for is in none of the sources where it could be.
fn is_in_none(results: &[Verified]) -> bool {
    let is_there = |text| results.iter().any(|one| one.matched.contains(text));
    let mut missing = results.iter().flat_map(|one| &one.unmatched);
    missing.any(|text| !is_there(text))
}
