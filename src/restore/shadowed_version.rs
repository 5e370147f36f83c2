//! Keepwatch's own version under an object that another program has put over a file.
//!
//! A program that writes into the same bucket, or copies its objects without
//! their metadata, makes a version that is not ours the newest of a key that is.
//! The file is not gone then: its newest own version is still there, shadowed by the
//! other. Invariants: only versions of exactly that key are considered, from the
//! shadowing one towards older ones; a deletion among them ends the search, since the
//! file was deleted then; no body is opened.

use super::faults::gone;
use super::ownership;
use super::report::Covered;
use crate::history::{Chosen, Name, OLDER_MAX, list_page, look, too_many};
use crate::retry::Stop;
use crate::s3::{Head, ListedVersion, ListingGuard, Next, Store};
use crate::types::{Fault, MetaRefused, Origin, shown};
use futures::stream;
use futures::stream::StreamExt as _;

/// Requests at once. As a rule the first older version is ours, and asking about the
/// others is in vain.
const LOOKS_AT_ONCE: usize = 4;

/// Keepwatch's newest version under another program's.
pub(crate) struct ShadowedVersion {
    pub(crate) chosen: Chosen,
    pub(crate) head: Head,
}

/// The newest version older than `over`, which is not ours, that Keepwatch wrote;
/// `None` when there is none, or when the file was deleted before `over` came.
pub(crate) async fn find(
    store: &Store,
    origin: &Origin,
    over: &Chosen,
    stop: &mut Stop,
) -> Result<Option<ShadowedVersion>, Fault> {
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
                return Ok(Some(ShadowedVersion { chosen, head }));
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
    let (mut older, mut is_past_it) = (Vec::new(), false);
    let (mut after, mut guard) = (None::<Box<Next>>, ListingGuard::default());
    loop {
        let page = list_page(store, bucket, &over.key, after.as_deref(), stop).await?;
        // Keys that go back end the search: they are not this one.
        guard.versions(&page, bucket)?;
        for version in page.items {
            let is_end = version.key != over.key || (is_past_it && version.is_marker);
            if is_end && is_past_it {
                return Ok((older, true));
            }
            if is_end {
                return Err(gone(over));
            }
            if older.len() == OLDER_MAX {
                return Ok((older, false));
            }
            if is_past_it {
                older.push(version);
            } else {
                is_past_it = version.version_id == over.version_id;
            }
        }
        after = page.next;
        match (&after, is_past_it) {
            (None, true) => return Ok((older, true)),
            (None, false) => return Err(gone(over)),
            (Some(_), _) => {}
        }
    }
}

/// What `over` covers, by name and with its dates.
pub(crate) fn covered(origin: &Origin, over: &Chosen, shadowed: &ShadowedVersion) -> Covered {
    let key = shadowed.head.meta.as_ref().ok();
    let key = key.and_then(|meta| ownership::true_key(origin, &shadowed.chosen, meta).ok());
    Covered {
        path: key.map_or_else(|| shown(&over.key), |key| key.path().to_string()),
        covered_at_ms: over.modified_ms,
        stored_at_ms: shadowed.chosen.modified_ms,
    }
}
