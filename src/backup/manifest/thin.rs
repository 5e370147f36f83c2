//! Old manifests that a later one stands for.
//!
//! Invariant: what is marked as deleted is a manifest by its very key, and its
//! versions stay.

use crate::destination;
use crate::destination::Deed;
use crate::manifest::{format, retention};
use crate::s3::{At, ListingGuard, Next, PAGE_KEYS, Store};
use crate::source::SourceRuntime;
use crate::types::{Fault, WallMs};

/// Pages of old manifests that are looked at when they are thinned: ten years
/// of daily ones, should they never have been.
const THINNING_PAGES_MAX: usize = 4;

/// Old manifests that are marked after one writing; the next one goes on.
const THINNED_MAX: usize = 200;

/// Mark old manifests as deleted that a later one stands for. Their versions
/// stay, like everybody's.
pub(crate) async fn thin(
    store: &Store,
    source: &SourceRuntime,
    server_now_ms: WallMs,
) -> Result<(), Fault> {
    let settings = &source.config;
    let folder = format::folder(&settings.prefix);
    let (mut moments_ms, mut next, mut guard) = (Vec::new(), None, ListingGuard::default());
    for _ in 0..THINNING_PAGES_MAX {
        let after: Option<Box<Next>> = next.take();
        let page = store
            .list(&settings.bucket, &folder, after.as_deref(), PAGE_KEYS)
            .await?;
        guard.objects(&page, &settings.bucket)?;
        let ours = page.items.iter();
        moments_ms.extend(ours.filter_map(|o| format::moment_of(&settings.prefix, &o.key)));
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    let superseded = retention::superseded(&moments_ms, server_now_ms);
    for moment_ms in superseded.into_iter().take(THINNED_MAX) {
        let key = format::key(&settings.prefix, moment_ms);
        let at = At {
            bucket: &settings.bucket,
            key: &key,
        };
        if !destination::may_mark(&source.destination).await? {
            return Ok(());
        }
        let id = store.mark_deleted(at).await?;
        destination::heard(&source.destination, Deed::Marked, id.as_ref()).await;
    }
    Ok(())
}
