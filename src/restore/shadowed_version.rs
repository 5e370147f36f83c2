//! What Keepwatch has beneath an object that another program has put over a file.
//!
//! A program that writes into the same bucket, or copies its objects without
//! their metadata, makes a version that is not ours the newest of a key that is.
//! The file is then not gone: its newest own version lies beneath. Invariants:
//! only versions of exactly that key are looked at, from the one that covers
//! them towards the older ones; a deletion among them ends the search, since
//! the file was deleted then; no body is opened.

use super::request::Pass;
use super::shop::{Outcome, Shop};
use super::tally::Covered;
use super::{object, ownership, shop};
use crate::history::{Chosen, Name, OLDER_MAX, list_page, look, too_many};
use crate::retry::Stop;
use crate::s3::{Course, Head, ListedVersion, Next, Store};
use crate::types::{Fault, MetaRefused, Origin, shown};
use futures::stream;
use futures::stream::StreamExt as _;
use std::sync::Arc;

/// Requests at once: the first version beneath is ours as a rule, and the others
/// are asked in vain then.
const LOOKS_AT_ONCE: usize = 4;

/// Keepwatch's newest version beneath.
pub(crate) struct Ours {
    pub(crate) chosen: Chosen,
    pub(crate) head: Head,
}

/// The newest version beneath `over`, which is not ours, that Keepwatch wrote;
/// `None` when there is none, or when the file was deleted before `over` came.
pub(crate) async fn ours(
    store: &Store,
    origin: &Origin,
    over: &Chosen,
    stop: &mut Stop,
) -> Result<Option<Ours>, Fault> {
    // No path of ours has such a key.
    if matches!(over.name, Name::Foreign(_)) {
        return Ok(None);
    }
    let (older, is_all) = older(store, origin, over, stop).await?;
    let mut looks = stream::iter(older)
        .map(|version| look(store, origin, version, stop.clone()))
        .buffered(LOOKS_AT_ONCE);
    while let Some(looked) = looks.next().await {
        let (version, head) = looked.map_err(|fault| fault.about(over.subject()))?;
        match head {
            // Removed a moment ago, or another of theirs.
            None => {}
            Some(head) if matches!(head.meta, Err(MetaRefused::Foreign)) => {}
            Some(head) => {
                let chosen = Chosen::of(version, over.name.clone());
                return Ok(Some(Ours { chosen, head }));
            }
        }
    }
    match is_all {
        true => Ok(None),
        false => Err(too_many(over)),
    }
}

/// Versions of the key that are older than `over`, newest first, up to the first
/// deletion, and whether those are all.
async fn older(
    store: &Store,
    origin: &Origin,
    over: &Chosen,
    stop: &mut Stop,
) -> Result<(Vec<ListedVersion>, bool), Fault> {
    let bucket = &origin.bucket;
    let (mut older, mut is_beneath) = (Vec::new(), false);
    let (mut after, mut course) = (None::<Box<Next>>, Course::default());
    loop {
        let page = list_page(store, bucket, &over.key, after.as_deref(), stop).await?;
        // Keys that go back end the search: they are not this one.
        course.versions(&page, bucket)?;
        for version in page.items {
            let is_end = version.key != over.key || (is_beneath && version.is_marker);
            if is_end && is_beneath {
                return Ok((older, true));
            }
            if is_end {
                return Err(shop::gone(over));
            }
            if older.len() == OLDER_MAX {
                return Ok((older, false));
            }
            if is_beneath {
                older.push(version);
            } else {
                is_beneath = version.version_id == over.version_id;
            }
        }
        after = page.next;
        match (&after, is_beneath) {
            (None, true) => return Ok((older, true)),
            (None, false) => return Err(shop::gone(over)),
            (Some(_), _) => {}
        }
    }
}

/// What `over` covers, by name and with its dates.
pub(crate) fn covered(origin: &Origin, over: &Chosen, ours: &Ours) -> Covered {
    let key = ours.head.meta.as_ref().ok();
    let key = key.and_then(|meta| ownership::true_key(origin, &ours.chosen, meta).ok());
    Covered {
        path: key.map_or_else(|| shown(&over.key), |key| key.path().to_string()),
        covered_at_ms: over.modified_ms,
        stored_at_ms: ours.chosen.modified_ms,
    }
}

/// The object is not ours: bring what is beneath it, and say so.
pub(crate) async fn bring(shop: &Arc<Shop>, over: &Chosen, pass: Pass) -> Result<Outcome, Fault> {
    let mut stop = shop.stop.clone();
    let Some(ours) = ours(&shop.store, &shop.origin, over, &mut stop).await? else {
        let is_folder = matches!(&over.name, Name::Path(key) | Name::Older(key) if key.is_folder());
        // Each is counted once, when it is its turn.
        return Ok(match (pass, is_folder) {
            (Pass::LinksAndFolders, false) => Outcome::Passed,
            _ => Outcome::Foreign,
        });
    };
    let outcome = object::bring_exactly(shop, &ours.chosen, pass).await?;
    Ok(match outcome {
        Outcome::Written { .. } | Outcome::Identical => {
            Outcome::Covered(Box::new(outcome), covered(&shop.origin, over, &ours))
        }
        // Not there yet, or not at all.
        outcome => outcome,
    })
}
