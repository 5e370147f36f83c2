//! What versions cost: told in the digest, kept over restarts.
//!
//! Best effort: a kill loses the last hour of it.

use super::costly::{CostlyFile, VersionCosts};
use super::waiting::Pacing;
use crate::index::{Index, SourceId};
use crate::types::Fault;

/// Files that the digest names per source.
const NAMED_MAX: usize = 5;

/// Versions of a file that take less are not worth a word: a cent in a year.
const WORTH_TELLING_BYTES: u64 = 10_000_000;

/// Under which name the index keeps a source's costs.
const KEY: &str = "costly";

/// The files of a source that cost most since the last digest.
pub fn costly_files(pacing: &Pacing) -> Vec<CostlyFile> {
    let list = pacing.with_costs(|costs| costs.costliest(NAMED_MAX));
    list.into_iter()
        .filter(|costly| costly.stored_bytes >= WORTH_TELLING_BYTES)
        .map(|costly| CostlyFile {
            path: costly.path.to_string(),
            versions: costly.versions,
            stored_bytes: costly.stored_bytes,
            advice: costly
                .with_interval
                .map(|(interval, versions, bytes)| (interval.to_owned(), versions, bytes)),
        })
        .collect()
}

/// Write a source's costs into the index. Blocking.
///
/// # Errors
/// The index cannot be written.
pub fn keep_costs(index: &Index, source: SourceId, pacing: &Pacing) -> Result<(), Fault> {
    let costs = pacing.with_costs(|costs| costs.to_json());
    index.source_state_set(source, KEY, &costs)
}

/// Go on where the last run ended. Blocking.
///
/// # Errors
/// The index cannot be read.
pub fn load_costs(index: &Index, source: SourceId, pacing: &Pacing) -> Result<(), Fault> {
    if let Some(kept) = index.source_state_get(source, KEY)? {
        pacing.with_costs(|costs| *costs = VersionCosts::from_json(kept));
    }
    Ok(())
}
