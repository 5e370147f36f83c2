//! The bucket's listing as a bounded stream of pages, read ahead of the merge.

use crate::s3::{At, Course, Listed, Next};
use crate::source::Context;
use crate::types::{Fault, ForeignKey, RelKey};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Pages read ahead: enough that listing and walking overlap.
const PAGES_AHEAD: usize = 4;

/// Tries per page; the whole comparison is tried again later anyway.
const TRIES: u32 = 3;

/// Whose object it is.
pub(crate) enum Owner {
    /// One of ours, at its place in the order of paths.
    Ours(RelKey),
    /// One of ours under a shortened key: the listing has it at another place
    /// than its path, so it takes no part in the merge.
    Shortened(RelKey),
    /// Not written by Keepwatch, as far as the key shows.
    Foreign,
}

/// One object of the listing.
pub(crate) struct Entry {
    /// Whose it is.
    pub owner: Owner,
    /// What the bucket says of it.
    pub listed: Listed,
}

/// A page of the listing, or its end. A listing that just stops has no end: what
/// it did not show is not missing.
pub(crate) enum Page {
    /// Some entries, in key order.
    Entries(Vec<Entry>),
    /// That was all.
    End,
}

/// Pages of the listing, in key order, ending with a fault if it broke off.
pub(crate) type Pages = mpsc::Receiver<Result<Page, Fault>>;

/// List the source's prefix in the background.
pub(crate) fn start(ctx: &Arc<Context>, source: usize) -> Pages {
    let (to, pages) = mpsc::channel(PAGES_AHEAD);
    let ctx = Arc::clone(ctx);
    tokio::spawn(async move {
        if let Err(fault) = list(&ctx, source, &to).await {
            // The merge may have ended already.
            let _ = to.send(Err(fault)).await;
        }
    });
    pages
}

async fn list(
    ctx: &Context,
    source: usize,
    to: &mpsc::Sender<Result<Page, Fault>>,
) -> Result<(), Fault> {
    let settings = &ctx.sources[source].config;
    let mut next = None;
    let mut course = Course::default();
    loop {
        let page = page(ctx, source, next.as_deref()).await?;
        course.objects(&page, &settings.bucket)?;
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
                Err(ForeignKey::Shortened) => match full_key(ctx, source, &listed.key).await? {
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
    ctx: &Context,
    source: usize,
    after: Option<&Next>,
) -> Result<crate::s3::Page<Listed>, Fault> {
    let settings = &ctx.sources[source].config;
    let mut tries = 1;
    loop {
        let answer = ctx
            .store
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

/// A shortened key's full form is in the object's metadata. It is believed only
/// when it leads back to this very key: anybody can write metadata.
async fn full_key(ctx: &Context, source: usize, key: &str) -> Result<Option<RelKey>, Fault> {
    let source = &ctx.sources[source];
    let bucket = &source.config.bucket;
    let head = ctx.store.head(At { bucket, key }, None).await?;
    let full = head
        .and_then(|head| head.meta.ok())
        .and_then(|meta| meta.full_key)
        .zip(key.strip_prefix(source.config.prefix.as_str()))
        .and_then(|(full, within)| RelKey::parse_full(&full.at(within)).ok());
    Ok(full.filter(|full| source.bucket_key(full).key == key))
}
