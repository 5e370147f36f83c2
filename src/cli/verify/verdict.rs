//! What a verification means for whoever called it.

use crate::cli::exit_code::{COMPLETE, FAILED, PARTIAL};
use crate::history::in_none;
use crate::verify::Verified;

/// 3 when something of what was asked about cannot be restored as it was stored (of
/// the current state; with `--all-versions` of the past, too, which no repair
/// mends), 1 when not everything could be
/// looked at, there was nothing to look at, or nothing is called like what was asked for, 0
/// when all is well.
pub(super) fn exit_code(results: &[Verified]) -> u8 {
    if results.iter().any(|result| result.not_restorable() > 0) {
        PARTIAL
    } else if results.iter().any(|result| result.not_looked_total > 0)
        || !missing(results).is_empty()
        || is_of_nothing(results)
    {
        FAILED
    } else {
        COMPLETE
    }
}

/// Nothing is backed up there: of that nobody says that all is well.
pub(super) fn is_of_nothing(results: &[Verified]) -> bool {
    let is_empty = |result: &Verified| {
        let progress = &result.progress;
        progress.looked + progress.seen + result.foreign + result.not_looked_total == 0
    };
    !results.is_empty() && results.iter().all(is_empty)
}

/// What was asked for and is in none of the sources where it could be.
pub(super) fn missing(results: &[Verified]) -> Vec<String> {
    in_none(results.iter().map(|one| (&one.matched, &one.unmatched)))
}
