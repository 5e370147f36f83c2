//! Which version of one path was current, found without listing other keys.

use super::legacy_keys::unless_newer;
use super::pages::Pages;
use super::timeline::chosen::{Chosen, Name};
use super::timeline::doubt::settle;
use super::timeline::question::MetadataQuestion;
use super::version_selector::VersionSelector;
use super::witness::Witness;
use crate::os::clock::wall_ms;
use crate::retry::Stop;
use crate::s3::Store;
use crate::types::{Fault, Origin, RelKey, WallMs};

/// The current version of exactly this path, under its key or its older key.
///
/// # Errors
/// The listing or the metadata that decides cannot be had.
pub(crate) async fn current_of(
    store: &Store,
    origin: &Origin,
    key: &RelKey,
    at_ms: Option<WallMs>,
    stop: &mut Stop,
) -> Result<Option<Chosen>, Fault> {
    let full = key.in_bucket(&origin.prefix).key;
    let name = Name::Path(key.clone());
    let current = current_by(store, origin, full, name, at_ms, stop).await?;
    let Some(older) = key.older(&origin.prefix).filter(|_| current.is_none()) else {
        return Ok(current);
    };
    let name = Name::Older(key.clone());
    match current_by(store, origin, older, name, at_ms, stop).await? {
        Some(current) => unless_newer(store, origin, current, at_ms, stop).await,
        None => Ok(None),
    }
}

/// The current version of exactly this full key, which has this name.
///
/// # Errors
/// The listing or the metadata that decides cannot be had.
async fn current_by(
    store: &Store,
    origin: &Origin,
    full: String,
    name: Name,
    at_ms: Option<WallMs>,
    stop: &mut Stop,
) -> Result<Option<Chosen>, Fault> {
    let mut version_selector = VersionSelector::new(at_ms, store.server_now_ms(wall_ms()));
    // Keys that go back are not this one: the search ends.
    let mut pages = Pages::new(store, &origin.bucket, vec![full.clone()]);
    let candidate = 'found: loop {
        let Some(page) = pages.next(stop).await? else {
            break version_selector.end();
        };
        for version in page {
            if version.key != full {
                break 'found version_selector.end();
            }
            if let [_, Some(candidate)] = version_selector.push(version) {
                break 'found Some(candidate);
            }
        }
    };
    let chosen = |version| Chosen::of(version, name.clone());
    let Some(candidate) = candidate else {
        return Ok(None);
    };
    if let (Some(doubt), Some(at_ms)) = (candidate.doubt, at_ms) {
        let mut witness = Witness::default();
        return settle(store, origin, at_ms, &name, doubt, &mut witness, stop).await;
    }
    let by_then = candidate.by_then.map(chosen);
    let previous = candidate.previous.map(chosen);
    let undecided = candidate.undecided.into_iter();
    let undecided = undecided.map(|undecided| {
        let chosen = chosen(undecided.version.clone());
        (undecided, chosen)
    });
    match at_ms {
        Some(at_ms) => {
            let question = MetadataQuestion {
                store: store.clone(),
                origin: origin.clone(),
                at_ms,
                undecided: undecided.collect(),
                by_then,
                previous,
                stop: stop.clone(),
            };
            question.ask().await
        }
        None => Ok(by_then),
    }
}
