//! What versions cost: told in the digest, kept over restarts.
//!
//! Best effort: a kill loses the last hour of it.

use super::costly::{CostlyLine, Tally};
use crate::os::blocking::blocking;
use crate::source::Context;
use crate::types::Fault;
use std::sync::Arc;

/// Files that the digest names per source.
const NAMED_MAX: usize = 5;

/// Versions of a file that take less are not worth a word: a cent in a year.
const WORTH_TELLING_BYTES: u64 = 10_000_000;

/// Under which name the index keeps a source's tally.
const KEY: &str = "costly";

/// The files of a source that cost most since the last digest.
pub fn lines(ctx: &Context, source: usize) -> Vec<CostlyLine> {
    let list = ctx.pacing.costliest(source, NAMED_MAX).into_iter();
    list.filter(|costly| costly.stored_bytes >= WORTH_TELLING_BYTES)
        .map(|costly| CostlyLine {
            path: costly.path.to_string(),
            versions: costly.versions,
            stored_bytes: costly.stored_bytes,
            advice: costly
                .with_interval
                .map(|(interval, versions, bytes)| (interval.to_owned(), versions, bytes)),
        })
        .collect()
}

/// Write the tallies down. Blocking.
///
/// # Errors
/// The index cannot be written.
pub fn keep(ctx: &Context) -> Result<(), Fault> {
    for (number, source) in ctx.sources.iter().enumerate() {
        if let Some(tally) = ctx.pacing.with_tally(number, |tally| tally.to_json()) {
            ctx.index.source_state_set(source.id, KEY, &tally)?;
        }
    }
    Ok(())
}

/// Go on where the last run ended.
///
/// # Errors
/// The index cannot be read.
pub async fn take_up(ctx: &Arc<Context>) -> Result<(), Fault> {
    let ctx = Arc::clone(ctx);
    blocking(move || {
        for (number, source) in ctx.sources.iter().enumerate() {
            if let Some(kept) = ctx.index.source_state_get(source.id, KEY)? {
                ctx.pacing
                    .with_tally(number, |tally| *tally = Tally::from_json(kept));
            }
        }
        Ok(())
    })
    .await
}
