//! Files that earlier versions of Keepwatch stored under other keys. There are two kinds:
//! files in a user's folder named `.keepwatch` (its name is escaped today, because
//! Keepwatch's own objects are in a folder of that name), and files whose keys some servers
//! refuse (longer than 1,006 bytes, or `soap`).
//!
//! Nothing is moved or marked. Both keys stand for one path, and the new key counts from its
//! first version or deletion on. An object that another program has put under either key
//! does not count.

use super::head::{OLDER_MAX, head, too_many, with_head};
use super::pages::Pages;
use crate::history::timeline::chosen::{Chosen, Name};
use crate::retry::Stop;
use crate::s3::{Head, Store};
use crate::types::{
    Fault, MetaRefused, NEW_KEY_BYTES_MAX, Origin, RelKey, WallMs, shortened_begin, unshortened,
};

/// A file by its older key counts until Keepwatch has stored its path under its
/// own key, or deleted it there.
pub(crate) async fn unless_newer(
    store: &Store,
    origin: &Origin,
    chosen: Chosen,
    at_ms: Option<WallMs>,
    stop: &mut Stop,
) -> Result<Option<Chosen>, Fault> {
    let key = match &chosen.name {
        Name::Older(key) => Some(key.clone()),
        Name::Shortened if may_be_older(&chosen) => {
            by_metadata(store, origin, &chosen, stop).await?
        }
        Name::Path(_) | Name::Shortened | Name::Foreign(_) => None,
    };
    let Some(key) = key else {
        return Ok(Some(chosen));
    };
    let places = key.places(&origin.prefix);
    if places.contains(&chosen.key) {
        return Ok(Some(chosen));
    }
    let Some(first) = places.first() else {
        return Ok(Some(chosen));
    };
    // They differ in their hashes alone.
    let begin = match places.len() {
        1 => first.as_str(),
        _ => shortened_begin(first),
    };
    let mut pages = Pages::new(store, &origin.bucket, vec![begin.to_owned()]);
    // Usually the first one decides.
    let mut looked = 0;
    while let Some(page) = pages.next(stop).await? {
        for version in page {
            if !places.contains(&version.key) {
                match places.len() {
                    // Longer keys with the same beginning come after it.
                    1 => return Ok(Some(chosen)),
                    _ => continue,
                }
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
            let looked_at = with_head(store, origin, version, stop.clone()).await;
            let (_, head) = looked_at.map_err(|fault| fault.about(chosen.subject()))?;
            if head.is_some_and(|head| is_ours(&head)) {
                return Ok(None);
            }
        }
    }
    Ok(Some(chosen))
}

/// Whether earlier versions of Keepwatch may have shortened it.
pub(crate) fn may_be_older(chosen: &Chosen) -> bool {
    match chosen.name {
        Name::Older(_) => true,
        Name::Shortened => chosen.key.len() > NEW_KEY_BYTES_MAX,
        Name::Path(_) | Name::Foreign(_) => false,
    }
}

/// The path of a shortened key; `None` where the metadata does not have it, which the
/// restore reports.
async fn by_metadata(
    store: &Store,
    origin: &Origin,
    chosen: &Chosen,
    stop: &mut Stop,
) -> Result<Option<RelKey>, Fault> {
    let head = head(store, origin, chosen, stop).await?;
    let full = head.and_then(|head| head.meta.ok()?.full_key);
    Ok(full.and_then(|full| unshortened(&origin.prefix, &chosen.key, &full)))
}

/// Whether Keepwatch wrote it, readable to this version or not.
fn is_ours(head: &Head) -> bool {
    !matches!(head.meta, Err(MetaRefused::Foreign))
}
