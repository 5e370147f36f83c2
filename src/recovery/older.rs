//! Files that earlier versions of Keepwatch stored below a folder of the user's
//! called `.keepwatch`, under that very name. Today such a name is escaped in the
//! key, since Keepwatch's own objects lie in a folder that is called so.
//!
//! Nothing is moved or marked: both keys stand for one path, and the new one
//! counts from its first version or deletion on.

use super::Origin;
use super::pages::Pages;
use super::retry::Stop;
use super::timeline::{Chosen, Name};
use crate::error::Fault;
use crate::store::Store;

/// A file by its older key counts until its path has anything under its own.
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
    while let Some(page) = pages.next(stop).await? {
        for version in page {
            if version.key != key {
                return Ok(Some(chosen));
            }
            if at_ms.is_none_or(|at_ms| version.modified_ms <= at_ms) {
                return Ok(None);
            }
        }
    }
    Ok(Some(chosen))
}
