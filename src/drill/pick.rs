//! Whom chance chooses.
//!
//! Two draws in three are of files that are there now: each of a source's files
//! has the same chance (one pass over the index, no requests), each source has
//! one turn, and the other turns go by their numbers of files. One draw in three
//! is of what is deleted now: one page of the list of versions behind a random
//! place, and of the deleted files on it any one. Of a file, each version on its
//! first page of the list (the newest thousand) has the same chance, and the
//! moment is any of the time in which that version was current.
//!
//! The bias, on purpose: deleted files in the neighbourhood of many living ones
//! are drawn more often than those that lie far from any, beyond a thousand
//! entries behind the nearest place nearly never; the oldest versions of files
//! with more than a thousand never; what is larger than the budget never.
//! `keepwatch verify --deep --all-versions` has none of these gaps.

use super::candidate::{Candidate, Drawn};
use super::rehearse::{current_at, is_a_files, life_of, page_behind};
use super::try_one::{Trial, origin_of};
use super::why::Why;
use crate::index::Index;
use crate::os::blocking::blocking;
use crate::retry::Stop;
use crate::s3::{ListedVersion, Page};
use crate::source::{SourceRuntime, Sources};
use crate::types::{Fault, Origin, RelKey, WallMs};
use std::collections::VecDeque;
use std::sync::Arc;

/// One draw in so many is of what is deleted now.
const DELETED_EVERY: usize = 3;

/// Records between two looks whether to stop.
const LOOK_EVERY: u64 = 1_024;

/// Keys drawn from the index, source by source.
pub(crate) struct Picks {
    each: Vec<PicksOf<Arc<SourceRuntime>>>,
    turn: usize,
}

/// Those of one source.
struct PicksOf<S> {
    source: S,
    /// In random order; taken from the front, and put back at the end, since each has
    /// several versions.
    drawn: VecDeque<RelKey>,
    /// How many files it has.
    files: u64,
}

impl Picks {
    /// One pass over the index: so many of each source's records, each record
    /// with the same chance.
    pub(crate) async fn draw(
        sources: &Sources,
        index: &Index,
        of_each: usize,
        stop: &Stop,
    ) -> Result<Self, Fault> {
        let (sources, index, stop) = (Arc::clone(sources), index.clone(), stop.clone());
        blocking(move || {
            let mut each = Vec::new();
            for source in sources.iter() {
                let mut sample = Sample::new(of_each);
                for entry in index.range(source.id, "", None) {
                    let (key, record) = entry?;
                    if record.content.is_some() {
                        sample.offer(key);
                    }
                    if sample.offered.is_multiple_of(LOOK_EVERY) && stop.is_asked() {
                        break;
                    }
                }
                each.push(PicksOf {
                    source: Arc::clone(source),
                    files: sample.offered,
                    drawn: sample.into_items(),
                });
            }
            Ok(Self { each, turn: 0 })
        })
        .await
    }

    /// The backup has files.
    pub(crate) fn has_files(&self) -> bool {
        self.each.iter().any(|picks| picks.files > 0)
    }
}

/// Whose turn it is: each source's once, then by their numbers of files. `None` when
/// there are no sources.
fn whose_turn<S>(each: &mut [PicksOf<S>], turn: usize) -> Option<&mut PicksOf<S>> {
    if turn < each.len() {
        return each.get_mut(turn);
    }
    let all: u64 = each.iter().map(|picks| picks.files).sum();
    let mut place = fastrand::u64(0..all.max(1));
    let by_files = each.iter().position(|picks| {
        let is_it = place < picks.files;
        place = place.saturating_sub(picks.files);
        is_it
    });
    let any = fastrand::usize(0..each.len().max(1));
    each.get_mut(by_files.unwrap_or(any))
}

/// A fair sample of a stream (reservoir sampling).
struct Sample<T> {
    items: Vec<T>,
    items_max: usize,
    offered: u64,
}

impl<T> Sample<T> {
    fn new(items_max: usize) -> Self {
        Self {
            items: Vec::new(),
            items_max,
            offered: 0,
        }
    }

    fn offer(&mut self, item: T) {
        self.offered += 1;
        if self.items.len() < self.items_max {
            self.items.push(item);
            return;
        }
        let place = fastrand::u64(0..self.offered);
        let place = usize::try_from(place).ok();
        if let Some(slot) = place.and_then(|place| self.items.get_mut(place)) {
            *slot = item;
        }
    }

    fn into_items(mut self) -> VecDeque<T> {
        fastrand::shuffle(&mut self.items);
        self.items.into()
    }
}

/// The next draw; `None` when it fell on nothing that can be restored.
pub(crate) async fn next(
    trial: &mut Trial<'_>,
    picks: &mut Picks,
) -> Result<Option<Candidate>, Why> {
    let wants_deleted = picks.turn % DELETED_EVERY == DELETED_EVERY - 1;
    let turn = picks.turn;
    picks.turn += 1;
    let Some(picks) = whose_turn(&mut picks.each, turn) else {
        return Ok(None);
    };
    let source = Arc::clone(&picks.source);
    let origin = origin_of(&source);
    picks.drawn.rotate_left(picks.drawn.len().min(1));
    let drawn = picks.drawn.back().cloned();
    let mut stop = trial.stop.clone();
    let store = trial.store.clone();
    if wants_deleted || drawn.is_none() {
        let place = place_near(&origin, drawn.as_ref());
        let page = page_behind(&store, &origin, place.as_deref(), &mut stop).await;
        let page = page.map_err(|fault| trial.ends(fault))?;
        trial.budget.listed(page.items.len());
        if let Some(life) = some_deleted(&origin, page) {
            let drawn = some_version(&life, trial.clock.now_ms(), true);
            return Ok(drawn.map(|drawn| Candidate::of(&source, drawn)));
        }
    }
    let Some(key) = drawn else {
        return Ok(None);
    };
    let (key, older) = (key.in_bucket(&origin.prefix).key, key.older(&origin.prefix));
    let life = life_of(&store, &origin, &key, &mut stop).await;
    let (mut life, listed) = life.map_err(|fault| trial.ends(fault))?;
    trial.budget.listed(listed);
    if let Some(older) = older.filter(|_| life.is_empty()) {
        let by_older = life_of(&store, &origin, &older, &mut stop).await;
        let (by_older, listed) = by_older.map_err(|fault| trial.ends(fault))?;
        trial.budget.listed(listed);
        life = by_older;
    }
    if life.iter().all(|version| version.is_marker) {
        return Ok(Some(Candidate::missing(&source, &key)));
    }
    let drawn = some_version(&life, trial.clock.now_ms(), false);
    Ok(drawn.map(|drawn| Candidate::of(&source, drawn)))
}

/// A random place in the list: right behind a file's key, or somewhere in the
/// gap before it. Without one, anywhere by its first letter.
fn place_near(origin: &Origin, drawn: Option<&RelKey>) -> Option<String> {
    let Some(key) = drawn else {
        // Half the time the beginning, so that a small source is seen whole.
        return fastrand::bool().then(|| format!("{}{}", origin.prefix, any_char()));
    };
    let mut place = format!("{}{}", origin.prefix, key.as_str());
    if fastrand::bool() {
        let kept = fastrand::usize(origin.prefix.len()..=place.len());
        place.truncate(place.floor_char_boundary(kept));
        place.push(any_char());
    }
    Some(place)
}

fn any_char() -> char {
    fastrand::char('!'..='z')
}

/// One of the files on the page that are deleted now, with its versions as far
/// as the page has them; any.
fn some_deleted(origin: &Origin, page: Page<ListedVersion>) -> Option<Vec<ListedVersion>> {
    let is_cut = page.next.is_some();
    let mut lives: Vec<Vec<ListedVersion>> = Vec::new();
    for version in page.items {
        match lives.last_mut() {
            Some(life) if life.first().is_some_and(|v| v.key == version.key) => life.push(version),
            _ => lives.push(vec![version]),
        }
    }
    if is_cut && lives.len() > 1 {
        // It may go on behind the page.
        lives.pop();
    }
    lives.retain(|life| {
        let is_deleted = life.first().is_some_and(|newest| {
            newest.is_marker && newest.is_latest && is_a_files(origin, &newest.key)
        });
        is_deleted && life.iter().any(|version| !version.is_marker)
    });
    let at = fastrand::usize(0..lives.len().max(1));
    lives.into_iter().nth(at)
}

/// One of the versions of a file, by a moment of its time.
fn some_version(life: &[ListedVersion], now_ms: WallMs, is_deleted_now: bool) -> Option<Drawn> {
    let times: Vec<(WallMs, WallMs)> = life
        .iter()
        .enumerate()
        .filter(|(_, version)| !version.is_marker)
        .map(|(at, version)| {
            let newer = at.checked_sub(1).and_then(|newer| life.get(newer));
            let until = newer.map_or(now_ms, |newer| newer.modified_ms - 1);
            (version.modified_ms, until.max(version.modified_ms))
        })
        .collect();
    let (from, until) = *times.get(fastrand::usize(0..times.len().max(1)))?;
    let at_ms = WallMs(fastrand::i64(from.0..=until.0));
    let version = current_at(life, at_ms)?;
    let newest = life.first()?;
    Some(Drawn {
        is_older: version.version_id != newest.version_id,
        is_deleted_now: is_deleted_now || newest.is_marker,
        version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::Next;
    use crate::types::VersionId;
    use std::collections::BTreeSet;

    fn version(key: &str, id: &str, modified_ms: i64, is_latest: bool) -> ListedVersion {
        ListedVersion {
            version_id: VersionId::new(id),
            is_latest,
            is_marker: id.starts_with('x'),
            modified_ms: WallMs(modified_ms),
            ..ListedVersion::unlisted(key)
        }
    }

    fn origin() -> Origin {
        Origin {
            bucket: "b".into(),
            prefix: "p/".into(),
        }
    }

    #[test]
    fn a_sample_is_bounded_and_anybody_can_be_in_it() {
        let mut seen = BTreeSet::new();
        for _ in 0..200 {
            let mut sample = Sample::new(3);
            (0..20).for_each(|n| sample.offer(n));
            assert_eq!(sample.offered, 20);
            let items = sample.into_items();
            assert_eq!(items.iter().collect::<BTreeSet<_>>().len(), 3);
            seen.extend(items);
        }
        // Left out by all 200 with a chance of 20 * (17/20)^200 < 1e-12.
        assert_eq!(seen.len(), 20);
    }

    #[test]
    fn every_version_has_its_turn_and_no_marker_has() {
        let life = [
            version("p/a", "x4", 40, true),
            version("p/a", "v3", 30, false),
            version("p/a", "v2", 20, false),
            version("p/a", "x1", 15, false),
            version("p/a", "v1", 10, false),
        ];
        let mut seen = BTreeSet::new();
        for _ in 0..300 {
            let drawn = some_version(&life, WallMs(100), true).unwrap();
            assert!(drawn.is_older && drawn.is_deleted_now);
            seen.insert(drawn.version.version_id.unwrap().to_string());
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["v1", "v2", "v3"]);
        assert!(some_version(&life[..1], WallMs(100), true).is_none());
        assert!(some_version(&[], WallMs(100), false).is_none());
        let alone = [version("p/a", "v1", 10, true)];
        let drawn = some_version(&alone, WallMs(5), false).unwrap();
        assert!(!drawn.is_older && !drawn.is_deleted_now, "a clock behind");
    }

    #[test]
    fn deleted_files_are_found_on_a_page_and_nothing_else_is() {
        let page = |next: Option<&str>| Page {
            items: vec![
                version("p/.keepwatch/m", "x9", 9, true),
                version("p/.keepwatch/m", "v1", 1, false),
                version("p/a", "v1", 1, true),
                version("p/b", "x2", 2, true),
                version("p/b", "v1", 1, false),
                version("p/c", "x2", 2, true),
                version("p/d", "x2", 2, true),
                version("p/d", "v1", 1, false),
            ],
            next: next.map(|key| Box::new(Next::after_key(key))),
            in_order: true,
        };
        let mut seen = BTreeSet::new();
        for _ in 0..100 {
            let life = some_deleted(&origin(), page(None)).unwrap();
            assert_eq!(life.len(), 2);
            seen.insert(life[0].key.clone());
            let cut = some_deleted(&origin(), page(Some("more"))).unwrap();
            assert_eq!(cut[0].key, "p/b", "the last one may go on");
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["p/b", "p/d"]);
    }

    #[test]
    fn places_stay_below_the_prefix() {
        let key = RelKey::parse("Büro/a.txt").unwrap();
        for _ in 0..200 {
            for drawn in [Some(&key), None] {
                let place = place_near(&origin(), drawn);
                assert!(place.is_none_or(|place| place.starts_with("p/")));
            }
        }
    }
}
