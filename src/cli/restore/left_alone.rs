//! What a restore leaves alone.

use super::compare;
use super::part::Part;
use crate::cli::origins::Depot;
use crate::history::Selector;
use crate::restore::{Against, Bounded, Comparison, only_in_folder};
use crate::retry::Stop;
use crate::types::Fatal;
use std::sync::Arc;

/// What is in the folder and did not exist at the moment.
pub(crate) async fn left_alone(
    depot: &Depot,
    part: &Part,
    stop: &Stop,
) -> Result<Bounded<String>, Fatal> {
    if !part.to.is_dir() {
        return Ok(Bounded::default());
    }
    let comparison = Comparison {
        origin: part.named.origin.clone(),
        selector: Arc::new(Selector::of(&part.what)),
        at_ms: part.moment.map(|moment| moment.at_ms),
        against: Against::Folder {
            root: part.to.clone(),
            rules: compare::rules(depot, part)?,
        },
    };
    only_in_folder(&depot.store, &comparison, stop).await
}
