//! Finds the sources of a bucket by their manifests alone.
//!
//! It needs nothing but the bucket. Invariant: the search ends, however many folders the
//! bucket has, and says when it did not look everywhere.

use crate::manifest::{Header, Listing, OWNER_BYTES_MAX, Owner, folder, owner, read};
use crate::retry::{Retries, Stop, advise_rerun};
use crate::s3::{At, Next, Store};
use crate::types::{Class, Fatal, Fault, OWN_FOLDER, Origin};
use std::collections::VecDeque;

/// Folders within folders that are looked at: prefixes are short things.
pub const DEPTH_MAX: usize = 4;

/// Folders that are looked at in all, each for two requests or more.
const FOLDERS_MAX: usize = 500;

/// Pages of one place: a thousand names each, files among them.
const PAGES_MAX: usize = 10;

/// One source in a bucket.
#[derive(Debug, Clone)]
pub struct Found {
    /// Where it is.
    pub origin: Origin,
    /// Its manifests, oldest first.
    pub manifests: Vec<Listing>,
    /// The first line of the newest one that can be read.
    pub newest: Option<Header>,
    /// The record of its owner, where there is one that can be read.
    pub owner: Option<Owner>,
}

/// What a search found.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// The sources, in the order of their prefixes.
    pub found: Vec<Found>,
    /// There was more to look at than was looked at.
    pub cut: bool,
}

/// Look for sources in a bucket at a prefix and, down to `depth_max` folders,
/// below it.
///
/// # Errors
/// The bucket cannot be listed, or it was asked to stop.
pub async fn find(
    store: &Store,
    bucket: &str,
    prefix: &str,
    depth_max: usize,
    stop: &mut Stop,
) -> Result<Search, Fatal> {
    let mut search = Search::default();
    let mut places = VecDeque::from([(prefix.to_owned(), 0)]);
    let mut looked = 0;
    while let Some((place, depth)) = places.pop_front() {
        if stop.is_asked() {
            return Err(Fatal::interrupted("look for sources"));
        }
        looked += 1;
        let origin = Origin {
            bucket: bucket.to_owned(),
            prefix: place,
        };
        if let Some(found) = look(store, &origin, stop).await.map_err(advise_rerun)? {
            // Sources do not lie within each other.
            search.found.push(found);
            continue;
        }
        if depth == depth_max {
            continue;
        }
        let (folders, is_all) = below(store, &origin, stop).await.map_err(advise_rerun)?;
        search.cut |= !is_all;
        for folder in folders {
            match looked + places.len() < FOLDERS_MAX {
                true => places.push_back((folder, depth + 1)),
                false => search.cut = true,
            }
        }
    }
    search
        .found
        .sort_by(|a, b| a.origin.prefix.cmp(&b.origin.prefix));
    Ok(search)
}

/// The source right here, if there is one.
async fn look(store: &Store, origin: &Origin, stop: &mut Stop) -> Result<Option<Found>, Fault> {
    let manifests = read::list(store, origin, stop).await?;
    let mut newest = None;
    let believed = manifests.iter().rev().filter(|one| !one.is_ahead());
    for one in believed.take(read::PASSED_OVER_MAX) {
        // A damaged one has an older one behind it.
        if let Ok(header) = read::header(store, &origin.bucket, one, stop).await {
            newest = Some(header);
            break;
        }
    }
    let owner = owner_of(store, origin).await?;
    Ok((!manifests.is_empty() || owner.is_some()).then(|| Found {
        origin: origin.clone(),
        manifests,
        newest,
        owner,
    }))
}

/// What the record right here says. Who may not read it goes by the manifests.
async fn owner_of(store: &Store, origin: &Origin) -> Result<Option<Owner>, Fault> {
    let key = owner::key(&origin.prefix);
    let at = At {
        bucket: &origin.bucket,
        key: &key,
    };
    match store.read_record(at, OWNER_BYTES_MAX).await {
        Ok(record) => Ok(record.and_then(|(bytes, _)| Owner::from_json(&bytes))),
        Err(fault) if fault.class == Class::Denied => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// The folders right below, and whether they are all.
async fn below(
    store: &Store,
    origin: &Origin,
    stop: &mut Stop,
) -> Result<(Vec<String>, bool), Fault> {
    let own = folder(&origin.prefix);
    let (mut folders, mut next) = (Vec::new(), None::<Box<Next>>);
    for _ in 0..PAGES_MAX {
        let mut retries = Retries::default();
        let page = loop {
            let listing = store.list_folders(&origin.bucket, &origin.prefix, next.as_deref());
            match listing.await {
                Err(fault) if retries.again(&fault, stop).await => {}
                done => break done?,
            }
        };
        // Only what is really below: a server may send anything.
        let is_below = |found: &String| {
            let inner = found
                .strip_prefix(origin.prefix.as_str())
                .unwrap_or_default();
            inner.len() > 1 && !own.starts_with(found.as_str()) && inner != OWN_FOLDER
        };
        folders.extend(page.items.into_iter().filter(is_below));
        folders.truncate(FOLDERS_MAX);
        next = page.next;
        if next.is_none() {
            return Ok((folders, true));
        }
    }
    Ok((folders, false))
}
