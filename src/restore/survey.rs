//! Before the start: how much there is to bring, what of it is cold, and whether
//! the disk has room for it.
//!
//! The listing is read once for that. What it named is kept, up to a bound, so
//! that a restore of an office is not listed twice. It opens no object, save
//! where room is scarce: then the largest are asked how much their files take,
//! since the listing knows stored sizes only: compressed ones, and those of files
//! with holes in full.

use super::replaced::{Standing, Standings};
use super::request::Request;
use super::room::RESERVE_BYTES;
use super::tally::Event;
use crate::files::Target;
use crate::history::{Chosen, Name, Timeline};
use crate::retry::Stop;
use crate::s3::{At, Store};
use crate::types::{Cold, Fatal, Fault, RelPath, chain, text};
use futures::stream;
use futures::stream::StreamExt as _;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

/// What the listing named and is kept; at 300 bytes each, some 6 MB.
const KEPT_MAX: usize = 20_000;

/// Names that are looked up in the target in one go.
const LOOKS_AT_ONCE: usize = 1_000;

/// Nothing that people compress gets smaller than by this factor as a rule. With
/// more room than that nobody is asked; a file that is larger still is refused
/// by itself before it is written.
const PACKED_AT_MOST: u64 = 16;

/// Objects that are asked for the size of their file when room is scarce, the
/// largest of them; each is a request.
const ASKED_MAX: usize = 256;

/// Requests at once for that.
pub(crate) const ASKED_AT_ONCE: usize = 8;

/// Smaller ones change nothing about whether a disk is large enough.
const ASKED_BYTES_MIN: u64 = 64 * 1024;

/// Objects of one cold class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColdShare {
    /// Which.
    pub class: Cold,
    /// How many objects.
    pub objects: u64,
    /// Bytes as stored.
    pub bytes: u64,
}

/// What a restore has before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// Objects that were current.
    pub objects: u64,
    /// Bytes of them as stored.
    pub stored_bytes: u64,
    /// Those in cold storage, by class; classes without any are left out.
    pub cold: Vec<ColdShare>,
    /// Bytes that the disk needs at least, less what is there already.
    pub needed_bytes: u64,
    /// Bytes that the disk has; `None` when it does not say.
    pub free_bytes: Option<u64>,
    /// When the earliest version that was seen was stored.
    pub(crate) first_ms: Option<i64>,
    /// What became of files that belong to others.
    pub(crate) remarks: Vec<Fault>,
    /// All that was named, when that is few enough and in order.
    pub(crate) kept: Option<Vec<Chosen>>,
    pub(crate) is_fresh: bool,
}

impl Survey {
    /// That what several restores into one disk need fits there, as far as it
    /// can be known.
    ///
    /// # Errors
    /// [`Fatal`] with the numbers when it cannot.
    pub fn fits(all: &[Self], to: &std::path::Path) -> Result<(), Fatal> {
        let each = all.iter().map(|survey| survey.needed_bytes);
        let needed = each.fold(0, u64::saturating_add);
        let free = all.iter().filter_map(|survey| survey.free_bytes).min();
        let wanted = match needed {
            0 => 0,
            needed => needed.saturating_add(RESERVE_BYTES),
        };
        match free {
            Some(free) if wanted > free => Err(Fatal::new(
                format!("restore into {}", to.display()),
                format!(
                    "it needs at least {}, and {} beside that always stay free for other programs; the disk has {} left",
                    text::size(needed),
                    text::size(RESERVE_BYTES),
                    text::size(free)
                ),
                format!(
                    "free {}, restore to another disk with --to, or restore less at a time; --ignore-space tries all the same (for disks that compress)",
                    text::size(wanted - free)
                ),
            )),
            _ => Ok(()),
        }
    }
}

/// Look at all that was current at the request's moment. A restore does so by
/// itself; whoever wants to know before gives the answer along with the request.
///
/// # Errors
/// [`Fatal`] when the listing cannot be had, or when told to stop.
pub async fn survey(
    store: &Store,
    request: &Request,
    tell: &(dyn Fn(Event<'_>) + Sync),
    stop: &Stop,
) -> Result<Survey, Fatal> {
    let mut stop = stop.clone();
    let target = request.target.clone();
    let is_fresh = blocking(move || target.is_empty()).await?;
    let mut look = Look {
        survey: Survey {
            is_fresh,
            kept: Some(Vec::new()),
            ..Survey::default()
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
                objects: look.survey.objects,
                stored_bytes: look.survey.stored_bytes,
            });
        }
        look.count(chosen);
        is_sure &= timeline.take_unsure().is_empty();
        if look.unseen.len() >= LOOKS_AT_ONCE {
            look.see(&request.target).await?;
        }
    }
    if stop.is_asked() {
        return Err(Fatal::interrupted("see what there is to restore"));
    }
    look.see(&request.target).await?;
    look.survey.first_ms = timeline.first_ms();
    look.survey.remarks = timeline.take_remarks();
    is_sure &= timeline.take_unsure().is_empty();
    // The restore lists again then, asks again, and names what stays unsure.
    if !is_sure || !timeline.is_in_order() {
        look.survey.kept = None;
    }
    let target = request.target.clone();
    // A disk that does not say how full it is gets the benefit of the doubt.
    look.survey.free_bytes = blocking(move || target.free_bytes().ok()).await?;
    let in_place = request.options.in_place.is_some();
    look.ask_about_standing(store, &origin.bucket, in_place)
        .await;
    look.ask_the_largest(store, &origin.bucket, &request.target)
        .await;
    Ok(look.survey)
}

struct Look {
    survey: Survey,
    /// Not yet looked up in the target.
    unseen: Vec<Unseen>,
    /// Files that stand where others are to replace them.
    standing: Standings,
    may_replace: bool,
    /// The largest objects by their size.
    largest: BinaryHeap<Reverse<LargeObject>>,
}

/// An object that may decide whether there is room; the order is that of its size.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct LargeObject {
    bytes: u64,
    key: String,
    version: String,
    /// Where it belongs, as far as its key says so.
    path: Option<RelPath>,
    identity: String,
}

/// An object whose place in the target has not been looked at.
struct Unseen {
    path: RelPath,
    bytes: u64,
    identity: String,
    key: String,
    version: String,
}

impl Look {
    fn count(&mut self, chosen: Chosen) {
        let survey = &mut self.survey;
        let bytes = chosen.stored_bytes;
        survey.objects += 1;
        survey.stored_bytes = survey.stored_bytes.saturating_add(bytes);
        if let Some(class) = Cold::of_class(&chosen.storage_class) {
            note_cold(&mut survey.cold, class, bytes);
        }
        survey.needed_bytes = survey.needed_bytes.saturating_add(bytes);
        if let Name::Path(key) | Name::Older(key) = &chosen.name
            && !survey.is_fresh
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
        match &mut survey.kept {
            Some(kept) if kept.len() < KEPT_MAX => kept.push(chosen),
            // Listed again when its turn comes.
            kept => *kept = None,
        }
    }

    /// What stands in the target already need not be written again, nor what an
    /// earlier run has fetched of it.
    async fn see(&mut self, target: &Arc<Target>) -> Result<(), Fatal> {
        let unseen = std::mem::take(&mut self.unseen);
        let target = target.clone();
        let seen = blocking(move || {
            let there = |one: Unseen| {
                let found = target.existing(&one.path).ok().flatten();
                let there = match &found {
                    Some(found) => found.size_bytes,
                    None => target.partial_bytes(&one.path, &one.identity),
                };
                let saved = there.min(one.bytes);
                let standing = found.filter(|_| saved >= ASKED_BYTES_MIN);
                let standing =
                    standing.map(|found| Standing::new(one.key, one.version, &found, saved));
                (saved, standing)
            };
            unseen.into_iter().map(there).collect::<Vec<_>>()
        })
        .await?;
        for (saved, standing) in seen {
            self.survey.needed_bytes = self.survey.needed_bytes.saturating_sub(saved);
            if let Some(standing) = standing.filter(|_| self.may_replace) {
                self.standing.push(standing);
            }
        }
        Ok(())
    }

    /// Where it may decide: what of the files that stand there stays beside.
    async fn ask_about_standing(&mut self, store: &Store, bucket: &str, in_place: bool) {
        let standing = std::mem::take(&mut self.standing);
        let needed = self.survey.needed_bytes;
        let wanted = |more: u64| needed.saturating_add(more).saturating_add(RESERVE_BYTES);
        let decides = |free| wanted(0) <= free && wanted(standing.bytes_max()) > free;
        if self.survey.free_bytes.is_some_and(decides) {
            let more = standing.more_bytes(store, bucket, in_place).await;
            self.survey.needed_bytes = needed.saturating_add(more);
        }
    }

    async fn ask_the_largest(&mut self, store: &Store, bucket: &str, target: &Arc<Target>) {
        let needed = self.survey.needed_bytes;
        let is_scarce = self
            .survey
            .free_bytes
            .is_some_and(|free| needed.saturating_mul(PACKED_AT_MOST) > free);
        if !is_scarce {
            return;
        }
        let is_fresh = self.survey.is_fresh;
        let (more, less) = stream::iter(std::mem::take(&mut self.largest))
            .map(|Reverse(one)| async move {
                let at = At {
                    bucket,
                    key: &one.key,
                };
                // What cannot be asked is told when it is fetched.
                let head = store.head(at, Some(&one.version)).await.ok().flatten();
                let Some(meta) = head.and_then(|head| head.meta.ok()) else {
                    return (0, 0);
                };
                let on_disk = meta.disk_bytes();
                let less = one.bytes.saturating_sub(on_disk);
                // What is there of it already has been taken off once.
                match less == 0 || is_fresh || one.is_new_in(target).await {
                    true => (on_disk.saturating_sub(one.bytes), less),
                    false => (0, 0),
                }
            })
            .buffer_unordered(ASKED_AT_ONCE)
            .fold((0u64, 0u64), |(more, less), one| async move {
                (more.saturating_add(one.0), less.saturating_add(one.1))
            })
            .await;
        let needed_bytes = self.survey.needed_bytes.saturating_add(more);
        self.survey.needed_bytes = needed_bytes.saturating_sub(less);
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

fn note_cold(cold: &mut Vec<ColdShare>, class: Cold, bytes: u64) {
    let place = cold.iter().position(|share| share.class == class);
    let place = place.unwrap_or_else(|| {
        cold.push(ColdShare {
            class,
            objects: 0,
            bytes: 0,
        });
        cold.len() - 1
    });
    cold[place].objects += 1;
    cold[place].bytes += bytes;
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
    use std::path::Path;

    const R: u64 = RESERVE_BYTES;

    #[test]
    fn room_is_said_with_numbers_and_only_where_it_is_known_to_lack() {
        let need = |needed_bytes, free_bytes| Survey {
            needed_bytes,
            free_bytes,
            ..Survey::default()
        };
        for (all, want) in [
            (vec![need(10, Some(R + 10))], true),
            (vec![need(11, Some(R + 10))], false),
            // Nothing to write needs no room.
            (vec![need(0, Some(0))], true),
            (vec![need(u64::MAX / 4, None)], true),
            // Two into one disk.
            (vec![need(6, Some(R + 10)), need(6, Some(R + 10))], false),
            (vec![need(u64::MAX, Some(R)), need(1, Some(R))], false),
            (vec![], true),
        ] {
            assert_eq!(
                Survey::fits(&all, Path::new("/to")).is_ok(),
                want,
                "{all:?}"
            );
        }
        let all = [need(5_000_000_000, Some(2_000_000_000))];
        let fatal = Survey::fits(&all, Path::new("/to"))
            .unwrap_err()
            .to_string();
        for words in [
            "at least 5.0 GB",
            "has 2.0 GB",
            "free 3.0 GB",
            "16.8 MB beside that always stay free",
            "--to",
        ] {
            assert!(fatal.contains(words), "{fatal}");
        }
    }

    #[test]
    fn cold_objects_are_summed_by_class() {
        let mut cold = Vec::new();
        for (class, bytes) in [
            (Cold::Glacier, 5),
            (Cold::DeepArchive, 7),
            (Cold::Glacier, 6),
        ] {
            note_cold(&mut cold, class, bytes);
        }
        let seen: Vec<_> = cold.iter().map(|c| (c.class, c.objects, c.bytes)).collect();
        assert_eq!(seen, [(Cold::Glacier, 2, 11), (Cold::DeepArchive, 1, 7)]);
    }
}
