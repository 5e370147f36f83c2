//! Reads the listing once, before a restore, and counts what there is to bring.
//!
//! What it names is kept, up to a bound, so that an office's restore is not listed
//! twice. No body is opened. Only where space is scarce, the largest objects are asked
//! (HEAD) how much their files take: the listing has stored sizes alone, which are
//! compressed, and full for files with holes.

use super::replaced::{ASKED_AT_ONCE, Standing, Standings};
use super::summary::{Preflight, note_cold};
use crate::files::Target;
use crate::history::{Chosen, Name, Timeline};
use crate::restore::disk_space::RESERVE_BYTES;
use crate::restore::report::Event;
use crate::restore::request::Request;
use crate::retry::Stop;
use crate::s3::{At, Store};
use crate::types::{Cold, Fatal, RelPath, VersionId, chain};
use futures::stream;
use futures::stream::StreamExt as _;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

/// Versions that are kept for the restore. At 300 bytes each they take some 6 MB.
const KEPT_MAX: usize = 20_000;

/// Names that are looked up in the target in one go.
const LOOKS_AT_ONCE: usize = 1_000;

/// As a rule, compression shrinks files by this factor at most. With more space than
/// that, no object is asked. A file that turns out larger is refused by itself before
/// it is written.
const PACKED_AT_MOST: u64 = 16;

/// So many of the largest objects are asked for the size of their file when space is
/// scarce, with one request each.
const ASKED_MAX: usize = 256;

/// Smaller objects do not decide whether a disk is large enough.
const ASKED_BYTES_MIN: u64 = 64 * 1024;

/// Look at all that was current at the request's moment. A restore does so by
/// itself; whoever wants to know before gives the answer along with the request.
///
/// # Errors
/// [`Fatal`] when the listing cannot be had, or when told to stop.
pub async fn preflight(
    store: &Store,
    request: &Request,
    tell: &(dyn Fn(Event<'_>) + Sync),
    stop: &Stop,
) -> Result<Preflight, Fatal> {
    let mut stop = stop.clone();
    let target = request.target.clone();
    let is_fresh = blocking(move || target.is_empty()).await?;
    let mut scan = Scan {
        seen: Preflight {
            is_fresh,
            kept: Some(Vec::new()),
            ..Preflight::default()
        },
        unseen: Vec::new(),
        standing: Standings::default(),
        may_replace: request.options.overwrite,
        largest: BinaryHeap::new(),
    };
    let (origin, selector) = (&request.origin, &request.selector);
    let mut timeline = Timeline::new(store, origin, selector, request.at_ms);
    let (mut page, mut is_sure) = (0, true);
    while let Some(chosen) = timeline.next(&mut stop).await? {
        if timeline.pages() != page {
            page = timeline.pages();
            tell(Event::Found {
                objects: scan.seen.objects,
                stored_bytes: scan.seen.stored_bytes,
            });
        }
        scan.count(chosen);
        is_sure &= timeline.take_unsure().is_empty();
        if scan.unseen.len() >= LOOKS_AT_ONCE {
            scan.look_up(&request.target).await?;
        }
    }
    if stop.is_asked() {
        return Err(Fatal::interrupted("see what there is to restore"));
    }
    scan.look_up(&request.target).await?;
    scan.seen.first_ms = timeline.first_ms();
    scan.seen.remarks = timeline.take_remarks();
    is_sure &= timeline.take_unsure().is_empty();
    // The restore lists again then, asks again, and names what stays unsure.
    if !is_sure || !timeline.is_in_order() {
        scan.seen.kept = None;
    }
    let target = request.target.clone();
    // A disk that does not say how full it is gets the benefit of the doubt.
    scan.seen.free_bytes = blocking(move || target.free_bytes().ok()).await?;
    let in_place = request.options.in_place.is_some();
    scan.ask_about_standing(store, &origin.bucket, in_place)
        .await;
    scan.ask_the_largest(store, &origin.bucket, &request.target)
        .await;
    Ok(scan.seen)
}

/// The listing while it is read.
struct Scan {
    seen: Preflight,
    /// Not yet looked up in the target.
    unseen: Vec<Unseen>,
    /// Files that stand where others are to replace them.
    standing: Standings,
    may_replace: bool,
    /// The largest objects by their size.
    largest: BinaryHeap<Reverse<LargeObject>>,
}

/// An object that may decide whether there is space, ordered by size.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct LargeObject {
    bytes: u64,
    key: String,
    version: Option<VersionId>,
    /// Where it belongs, as far as its key says so.
    path: Option<RelPath>,
    identity: String,
}

/// An object whose place in the target has not been looked up.
struct Unseen {
    path: RelPath,
    bytes: u64,
    identity: String,
    key: String,
    version: Option<VersionId>,
}

impl Scan {
    fn count(&mut self, chosen: Chosen) {
        let seen = &mut self.seen;
        let bytes = chosen.stored_bytes;
        seen.objects += 1;
        seen.stored_bytes = seen.stored_bytes.saturating_add(bytes);
        if let Some(class) = Cold::of_class(&chosen.storage_class) {
            note_cold(&mut seen.cold, class, bytes);
        }
        seen.needed_bytes = seen.needed_bytes.saturating_add(bytes);
        if let Name::Path(key) | Name::Older(key) = &chosen.name
            && !seen.is_fresh
            && bytes > 0
        {
            self.unseen.push(Unseen {
                path: key.path(),
                bytes,
                identity: chosen.identity(),
                key: chosen.key.clone(),
                version: chosen.version_id.clone(),
            });
        }
        if bytes >= ASKED_BYTES_MIN {
            let path = match &chosen.name {
                Name::Path(key) | Name::Older(key) => Some(key.path()),
                Name::Shortened | Name::Foreign(_) => None,
            };
            self.largest.push(Reverse(LargeObject {
                bytes,
                key: chosen.key.clone(),
                version: chosen.version_id.clone(),
                path,
                identity: chosen.identity(),
            }));
            if self.largest.len() > ASKED_MAX {
                self.largest.pop();
            }
        }
        match &mut seen.kept {
            Some(kept) if kept.len() < KEPT_MAX => kept.push(chosen),
            // Listed again when its turn comes.
            kept => *kept = None,
        }
    }

    /// What stands in the target already need not be written again, nor what an
    /// earlier run has fetched of it.
    async fn look_up(&mut self, target: &Arc<Target>) -> Result<(), Fatal> {
        let unseen = std::mem::take(&mut self.unseen);
        let target = target.clone();
        let seen = blocking(move || {
            let saved_by = |one: Unseen| {
                let found = target.existing(&one.path).ok().flatten();
                let found_bytes = match &found {
                    Some(found) => found.size_bytes,
                    None => target.partial_bytes(&one.path, &one.identity),
                };
                let saved = found_bytes.min(one.bytes);
                let standing = found.filter(|_| saved >= ASKED_BYTES_MIN);
                let standing =
                    standing.map(|found| Standing::new(one.key, one.version, &found, saved));
                (saved, standing)
            };
            unseen.into_iter().map(saved_by).collect::<Vec<_>>()
        })
        .await?;
        for (saved, standing) in seen {
            self.seen.needed_bytes = self.seen.needed_bytes.saturating_sub(saved);
            if let Some(standing) = standing.filter(|_| self.may_replace) {
                self.standing.push(standing);
            }
        }
        Ok(())
    }

    /// Where it may decide: what of the files that stand there stays beside.
    async fn ask_about_standing(&mut self, store: &Store, bucket: &str, in_place: bool) {
        let standing = std::mem::take(&mut self.standing);
        let (needed, free) = (self.seen.needed_bytes, self.seen.free_bytes);
        if may_decide(needed, free, standing.bytes_max()) {
            let more = standing.more_bytes(store, bucket, in_place).await;
            self.seen.needed_bytes = needed.saturating_add(more);
        }
    }

    async fn ask_the_largest(&mut self, store: &Store, bucket: &str, target: &Arc<Target>) {
        if !is_scarce(self.seen.needed_bytes, self.seen.free_bytes) {
            return;
        }
        let is_fresh = self.seen.is_fresh;
        let (more, less) = stream::iter(std::mem::take(&mut self.largest))
            .map(|Reverse(one)| async move {
                let at = At {
                    bucket,
                    key: &one.key,
                };
                // What cannot be asked is told when it is fetched.
                let head = store.head(at, one.version.as_ref()).await.ok().flatten();
                let Some(meta) = head.and_then(|head| head.meta.ok()) else {
                    return (0, 0);
                };
                let on_disk = meta.disk_bytes();
                let is_smaller = on_disk < one.bytes;
                let is_new = !is_smaller || is_fresh || one.is_new_in(target).await;
                correction(one.bytes, on_disk, is_new)
            })
            .buffer_unordered(ASKED_AT_ONCE)
            .fold((0u64, 0u64), |(more, less), one| async move {
                (more.saturating_add(one.0), less.saturating_add(one.1))
            })
            .await;
        let needed_bytes = self.seen.needed_bytes.saturating_add(more);
        self.seen.needed_bytes = needed_bytes.saturating_sub(less);
    }
}

/// Whether `more_max` bytes on top of those needed may be what does not fit.
fn may_decide(needed: u64, free: Option<u64>, more_max: u64) -> bool {
    let wanted = |more: u64| needed.saturating_add(more).saturating_add(RESERVE_BYTES);
    free.is_some_and(|free| wanted(0) <= free && wanted(more_max) > free)
}

/// Unpacked, it may not fit.
fn is_scarce(needed: u64, free: Option<u64>) -> bool {
    free.is_some_and(|free| needed.saturating_mul(PACKED_AT_MOST) > free)
}

/// What the size of a file changes about its stored size: bytes more, bytes less. What
/// is there of it already has been taken off once.
fn correction(stored_bytes: u64, disk_bytes: u64, is_new: bool) -> (u64, u64) {
    match is_new {
        true => (
            disk_bytes.saturating_sub(stored_bytes),
            stored_bytes.saturating_sub(disk_bytes),
        ),
        false => (0, 0),
    }
}

impl LargeObject {
    /// Nothing stands in the target where it belongs, nor a part of it.
    async fn is_new_in(&self, target: &Arc<Target>) -> bool {
        let Some(path) = self.path.clone() else {
            return false;
        };
        let (target, identity) = (Arc::clone(target), self.identity.clone());
        let look = move || {
            target.partial_bytes(&path, &identity) == 0
                && target.existing(&path).is_ok_and(|found| found.is_none())
        };
        blocking(look).await.unwrap_or(false)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fatal> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Fatal::new("look at the folder to restore into", chain(&e), ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_is_asked_only_where_the_answer_may_decide() {
        const R: u64 = RESERVE_BYTES;
        for (needed, free, more_max, want) in [
            (10, Some(R + 20), 10, false),
            (10, Some(R + 20), 11, true),
            // It does not fit in any case.
            (30, Some(R + 20), 11, false),
            (10, None, u64::MAX, false),
            (10, Some(u64::MAX), u64::MAX, false),
        ] {
            assert_eq!(
                may_decide(needed, free, more_max),
                want,
                "{needed} {free:?}"
            );
        }
        for (needed, free, want) in [
            (10, Some(160), false),
            (10, Some(159), true),
            (u64::MAX, Some(5), true),
            (10, None, false),
        ] {
            assert_eq!(is_scarce(needed, free), want, "{needed} {free:?}");
        }
    }

    #[test]
    fn a_files_size_corrects_its_stored_size_both_ways() {
        for (stored, on_disk, is_new, want) in [
            (10, 25, true, (15, 0)),
            (25, 10, true, (0, 15)),
            (25, 10, false, (0, 0)),
            (7, 7, true, (0, 0)),
        ] {
            assert_eq!(
                correction(stored, on_disk, is_new),
                want,
                "{stored} {on_disk}"
            );
        }
    }
}
