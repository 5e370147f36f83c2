//! Files that earlier versions of Keepwatch stored below a folder of the user's
//! called `.keepwatch`, under that very name. Today such a name is escaped in the
//! key, since Keepwatch's own objects lie in a folder that is called so.
//!
//! Nothing is moved or marked: both keys stand for one path, and the new one
//! counts from its first version or deletion on. What another program has put
//! there is neither.

use super::Origin;
use super::beneath::{OLDER_MAX, look, too_many};
use super::pages::Pages;
use super::retry::Stop;
use super::timeline::{Chosen, Name, current_by};
use crate::error::Fault;
use crate::model::RelKey;
use crate::model::meta::MetaRefused;
use crate::store::{Head, Store};

/// A file by its older key counts until Keepwatch has stored its path under its
/// own key, or deleted it there.
pub(super) async fn unless_newer(
    store: &Store,
    origin: &Origin,
    chosen: Chosen,
    at_ms: Option<i64>,
    stop: &mut Stop,
) -> Result<Option<Chosen>, Fault> {
    let Name::Older(key) = &chosen.name else {
        return Ok(Some(chosen));
    };
    let key = key.in_bucket(&origin.prefix).key;
    let mut pages = Pages::new(store, &origin.bucket, vec![key.clone()]);
    // As a rule the first decides.
    let mut looked = 0;
    while let Some(page) = pages.next(stop).await? {
        for version in page {
            if version.key != key {
                return Ok(Some(chosen));
            }
            if at_ms.is_some_and(|at_ms| version.modified_ms > at_ms) {
                continue;
            }
            if version.is_marker {
                return Ok(None);
            }
            if looked == OLDER_MAX {
                return Err(too_many(&chosen));
            }
            looked += 1;
            let looked_at = look(store, origin, version, stop.clone()).await;
            let (_, head) = looked_at.map_err(|fault| fault.about(chosen.subject()))?;
            if head.is_some_and(|head| is_ours(&head)) {
                return Ok(None);
            }
        }
    }
    Ok(Some(chosen))
}

/// Keepwatch wrote it, whether this version of it can read it or not.
fn is_ours(head: &Head) -> bool {
    !matches!(head.meta, Err(MetaRefused::Foreign))
}

/// What was current of exactly this path's object, by its older key as well.
///
/// # Errors
/// The listing or the metadata that decides cannot be had.
pub(super) async fn current_of(
    store: &Store,
    origin: &Origin,
    key: &RelKey,
    at_ms: Option<i64>,
    stop: &mut Stop,
) -> Result<Option<Chosen>, Fault> {
    let full = key.in_bucket(&origin.prefix).key;
    let name = Name::Path(key.clone());
    let current = current_by(store, origin, full, name, at_ms, stop).await?;
    let Some(older) = key.older().filter(|_| current.is_none()) else {
        return Ok(current);
    };
    let full = format!("{}{older}", origin.prefix);
    let name = Name::Older(key.clone());
    match current_by(store, origin, full, name, at_ms, stop).await? {
        Some(current) => unless_newer(store, origin, current, at_ms, stop).await,
        None => Ok(None),
    }
}
