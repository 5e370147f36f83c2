//! Lists the bucket as a bounded stream of pages, ahead of the merge.

use crate::s3::{At, Listed, ListingGuard, Next, Store};
use crate::source::SourceRuntime;
use crate::types::{Fault, ForeignKey, RelKey};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Pages read ahead: enough that listing and walking overlap.
const PAGES_AHEAD: usize = 4;

/// Tries per page; the whole comparison is tried again later.
const TRIES: u32 = 3;

/// Whose object it is.
pub(crate) enum Owner {
    /// One of ours, at its place in the order of paths.
    Ours(RelKey),
    /// One of ours under a shortened key. The listing has it at another place than its
    /// path, so it has no part in the merge.
    Shortened(RelKey),
    /// Not written by Keepwatch, by its key.
    Foreign,
}

/// One object of the listing.
pub(crate) struct Entry {
    /// Whose it is.
    pub owner: Owner,
    /// The object as listed.
    pub listed: Listed,
}

/// A page of the listing, or its end. A listing that stops without an `End` shows nothing
/// as missing.
pub(crate) enum Page {
    /// Some entries, in key order.
    Entries(Vec<Entry>),
    /// That was all.
    End,
}

/// Pages in key order; a listing that broke off ends with a fault.
pub(crate) type Pages = mpsc::Receiver<Result<Page, Fault>>;

/// List the source's prefix in the background.
pub(crate) fn start(source: &Arc<SourceRuntime>, store: &Store) -> Pages {
    let (to, pages) = mpsc::channel(PAGES_AHEAD);
    let (source, store) = (Arc::clone(source), store.clone());
    tokio::spawn(async move {
        if let Err(fault) = list(&source, &store, &to).await {
            // The merge may have ended already.
            let _ = to.send(Err(fault)).await;
        }
    });
    pages
}

async fn list(
    source: &SourceRuntime,
    store: &Store,
    to: &mpsc::Sender<Result<Page, Fault>>,
) -> Result<(), Fault> {
    let settings = &source.config;
    let mut next = None;
    let mut guard = ListingGuard::default();
    loop {
        let page = page(source, store, next.as_deref()).await?;
        guard.objects(&page, &settings.bucket)?;
        let mut entries = Vec::with_capacity(page.items.len());
        for listed in page.items {
            let Some(rest) = listed.key.strip_prefix(&settings.prefix) else {
                continue;
            };
            if rest.is_empty() {
                continue; // the prefix's own folder object, made by a console
            }
            let owner = match RelKey::parse_at(rest, &settings.prefix) {
                Ok(key) => Owner::Ours(key),
                Err(ForeignKey::Shortened) => match full_key(source, store, &listed.key).await? {
                    Some(key) => Owner::Shortened(key),
                    None => Owner::Foreign,
                },
                // Manifests are compared with nothing.
                Err(ForeignKey::Own) => continue,
                Err(_) => Owner::Foreign,
            };
            entries.push(Entry { owner, listed });
        }
        if to.send(Ok(Page::Entries(entries))).await.is_err() {
            return Ok(());
        }
        match page.next {
            Some(token) => next = Some(token),
            None => {
                // The merge may have ended already.
                let _ = to.send(Ok(Page::End)).await;
                return Ok(());
            }
        }
    }
}

async fn page(
    source: &SourceRuntime,
    store: &Store,
    after: Option<&Next>,
) -> Result<crate::s3::Page<Listed>, Fault> {
    let settings = &source.config;
    let mut tries = 1;
    loop {
        let answer = store
            .list(
                &settings.bucket,
                &settings.prefix,
                after,
                crate::s3::PAGE_KEYS,
            )
            .await;
        match answer {
            Err(fault) if fault.class.is_transient() && tries < TRIES => tries += 1,
            answer => return answer,
        }
    }
}

/// The full key of a shortened one, from the object's metadata. It is believed only if it
/// shortens to this very key: anybody can write metadata.
async fn full_key(
    source: &SourceRuntime,
    store: &Store,
    key: &str,
) -> Result<Option<RelKey>, Fault> {
    let bucket = &source.config.bucket;
    let head = store.head(At { bucket, key }, None).await?;
    let full = head
        .and_then(|head| head.meta.ok())
        .and_then(|meta| meta.full_key)
        .zip(key.strip_prefix(source.config.prefix.as_str()))
        .and_then(|(full, within)| RelKey::parse_full(&full.at(within)).ok());
    Ok(full.filter(|full| source.bucket_key(full).key == key))
}
