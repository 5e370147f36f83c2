//! What was current of one path, asked for by name: no other key is listed.

use super::chooser::Chooser;
use super::legacy_keys::unless_newer;
use super::pages::Pages;
use super::timeline::chosen::{Chosen, Name};
use super::timeline::doubt::settle;
use super::timeline::question::Question;
use super::witness::Witness;
use crate::os::clock::wall_ms;
use crate::retry::Stop;
use crate::s3::Store;
use crate::types::{Fault, Origin, RelKey};

/// What was current of exactly this path's object, by its older key as well.
///
/// # Errors
/// The listing or the metadata that decides cannot be had.
pub(crate) async fn current_of(
    store: &Store,
    origin: &Origin,
    key: &RelKey,
    at_ms: Option<i64>,
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

/// What was current of exactly this full key, which has this name.
///
/// # Errors
/// The listing or the metadata that decides cannot be had.
async fn current_by(
    store: &Store,
    origin: &Origin,
    full: String,
    name: Name,
    at_ms: Option<i64>,
    stop: &mut Stop,
) -> Result<Option<Chosen>, Fault> {
    let mut chooser = Chooser::new(at_ms, store.server_now_ms(wall_ms()));
    // Keys that go back end the search: they are not this one.
    let mut pages = Pages::new(store, &origin.bucket, vec![full.clone()]);
    let pick = 'found: loop {
        let Some(page) = pages.next(stop).await? else {
            break chooser.end();
        };
        for version in page {
            if version.key != full {
                break 'found chooser.end();
            }
            if let [_, Some(pick)] = chooser.push(version) {
                break 'found Some(pick);
            }
        }
    };
    let chosen = |version| Chosen::of(version, name.clone());
    let Some(pick) = pick else {
        return Ok(None);
    };
    if let (Some(doubt), Some(at_ms)) = (pick.doubt, at_ms) {
        let mut witness = Witness::default();
        return settle(store, origin, at_ms, &name, doubt, &mut witness, stop).await;
    }
    let by_then = pick.by_then.map(chosen);
    let beneath = pick.beneath.map(chosen);
    let perhaps = pick.perhaps.into_iter();
    let perhaps = perhaps.map(|perhaps| {
        let chosen = chosen(perhaps.version.clone());
        (perhaps, chosen)
    });
    match at_ms {
        Some(at_ms) => {
            let question = Question {
                store: store.clone(),
                origin: origin.clone(),
                at_ms,
                perhaps: perhaps.collect(),
                by_then,
                beneath,
                stop: stop.clone(),
            };
            question.ask().await
        }
        None => Ok(by_then),
    }
}
