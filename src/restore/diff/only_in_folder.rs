//! What stands in a folder and did not exist at a moment.

use super::difference::Comparison;
use super::pairs::{Now, Pairs};
use crate::history::current_of;
use crate::restore::report::Bounded;
use crate::retry::Stop;
use crate::s3::Store;
use crate::types::Fatal;

/// What stands in the folder and was not there at the moment.
///
/// # Errors
/// As [`super::compare`].
pub async fn only_in_folder(
    store: &Store,
    comparison: &Comparison,
    stop: &Stop,
) -> Result<Bounded<String>, Fatal> {
    let mut stop = stop.clone();
    let mut pairs = Pairs::new(store, comparison);
    let mut alone = Bounded::default();
    let (origin, at_ms) = (&comparison.origin, comparison.at_ms);
    while let Some(pair) = pairs.next(&mut stop).await? {
        // What could not be looked at is named by the restore itself.
        pairs.take_faults();
        let (None, Now::OnDisk { key, .. }) = (pair.then, pair.now) else {
            continue;
        };
        let was_there = key.may_be_elsewhere(&origin.prefix)
            && current_of(store, origin, &key, at_ms, &mut stop)
                .await?
                .is_some();
        if !was_there {
            let slash = if key.is_folder() { "/" } else { "" };
            alone.push(format!("{}{slash}", key.path()));
        }
    }
    Ok(alone)
}
