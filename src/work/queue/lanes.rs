//! The lanes of one source: which path is next, and where a path stands.

use super::item::Lane;
use crate::types::{MonotonicMs, RelPath};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Want {
    pub(crate) lane: Lane,
    pub(crate) since_ms: MonotonicMs,
    pub(crate) deadline: bool,
}

impl Want {
    pub(crate) fn merge(self, other: Want) -> Want {
        Want {
            lane: if self.lane == Lane::Edit {
                Lane::Edit
            } else {
                other.lane
            },
            since_ms: self.since_ms.min(other.since_ms),
            deadline: self.deadline || other.deadline,
        }
    }
}

/// Where a path stands in its lane: how often it was given back (up to
/// [`TRIES_MAX`]), then when it came.
pub(crate) type Place = (u8, u64);

/// Paths that were given back stand behind those that were not, in this many
/// ranks at most: a path that fails must not be the next one tried.
pub(crate) const TRIES_MAX: u8 = 3;

/// Of so many paths one is the oldest of all, whatever the lane prefers: the
/// newest come first after an outage, and none waits for ever.
const OLDEST_EVERY: u64 = 4;

pub(crate) enum Entry {
    /// Waits in a lane; `came` is its ticket of when it was not here before.
    Waiting { want: Want, place: Place, came: u64 },
    /// In a worker; `again` when it was touched meanwhile.
    Running {
        lane: Lane,
        place: Place,
        came: u64,
        again: Option<Want>,
        was_deferred: bool,
    },
    /// Deferred; `ticket` says where.
    Deferred {
        want: Want,
        ticket: u64,
        deferred_ms: MonotonicMs,
    },
}

/// The waiting paths of one lane, in the order of places.
#[derive(Default)]
pub(crate) struct LanePaths {
    pub(crate) paths: BTreeMap<Place, RelPath>,
    /// Paths handed out so far.
    pub(crate) handed_out: u64,
    pub(crate) running: usize,
}

impl LanePaths {
    /// The place that is next: among those least often given back, the newest
    /// edit or the oldest of the backlog; now and then the oldest of all.
    fn next(&self, lane: Lane) -> Option<Place> {
        let (first, _) = self.paths.first_key_value()?;
        if self.handed_out % OLDEST_EVERY == OLDEST_EVERY - 1 {
            return self.oldest();
        }
        match lane {
            Lane::Backlog => Some(*first),
            Lane::Edit => {
                let rank = self.paths.range((first.0, 0)..=(first.0, u64::MAX));
                rank.last().map(|(place, _)| *place)
            }
        }
    }

    /// What has waited for the longest time, however often it was given back.
    fn oldest(&self) -> Option<Place> {
        let oldest_of = |tries: u8| self.paths.range((tries, 0)..=(tries, u64::MAX)).next();
        let oldest = (0..=TRIES_MAX).filter_map(oldest_of);
        oldest.map(|(place, _)| *place).min_by_key(|place| place.1)
    }
}

/// The paths that were deferred before `below` come when all is done that came
/// before `after`: both are tickets.
#[derive(Clone, Copy)]
pub(crate) struct Barrier {
    pub(crate) below: u64,
    pub(crate) after: u64,
    pub(crate) given_back: u64,
}

#[derive(Default)]
pub(crate) struct Lanes {
    pub(crate) edits: LanePaths,
    pub(crate) backlog: LanePaths,
    pub(crate) paths: HashMap<RelPath, Entry>,
    /// Deferred paths, in the order in which they were deferred.
    pub(crate) deferred: BTreeMap<u64, RelPath>,
    /// Waiting in a lane, or in a worker, after they were deferred.
    pub(crate) released: HashSet<RelPath>,
    /// When those came that wait in the lanes and are in a worker: whatever
    /// becomes of their places, until they are done or deferred.
    came: BTreeSet<u64>,
    /// Behind which the deferred paths come that wait for nothing else.
    pub(crate) barrier: Option<Barrier>,
}

impl Lanes {
    /// What waits behind the edits.
    pub(crate) fn backlog_len(&self) -> usize {
        self.backlog.paths.len() + self.deferred.len()
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.backlog_len() == 0 && self.backlog.running == 0 && self.released.is_empty()
    }

    pub(crate) fn has_recent(&self) -> bool {
        let is_edit = |path: &RelPath| match self.paths.get(path) {
            Some(Entry::Deferred { want, .. }) => want.lane == Lane::Edit,
            _ => false,
        };
        let has_backlog = !self.backlog.paths.is_empty() || self.backlog.running > 0;
        !self.edits.paths.is_empty()
            || self.edits.running > 0
            || (!has_backlog && self.deferred.values().any(is_edit))
    }

    /// When the oldest came of what waits in the lanes and is in a worker.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.came.first().copied()
    }

    /// A worker is done with it, however.
    pub(crate) fn remove_running(&mut self, path: &RelPath) -> Option<Entry> {
        if !matches!(self.paths.get(path), Some(Entry::Running { .. })) {
            return None;
        }
        let entry = self.paths.remove(path)?;
        if let Entry::Running {
            lane,
            came,
            was_deferred,
            ..
        } = &entry
        {
            self.lane(*lane).running -= 1;
            self.came.remove(came);
            if *was_deferred {
                self.released.remove(path);
            }
        }
        Some(entry)
    }

    pub(crate) fn lane(&mut self, lane: Lane) -> &mut LanePaths {
        match lane {
            Lane::Edit => &mut self.edits,
            Lane::Backlog => &mut self.backlog,
        }
    }

    pub(crate) fn running(&self) -> usize {
        self.edits.running + self.backlog.running
    }

    pub(crate) fn enqueue(&mut self, path: RelPath, want: Want, place: Place, came: u64) {
        self.lane(want.lane).paths.insert(place, path.clone());
        self.came.insert(came);
        self.paths
            .insert(path, Entry::Waiting { want, place, came });
    }

    /// The path that is next in the lane.
    pub(crate) fn peek(&mut self, lane: Lane) -> Option<(RelPath, Want)> {
        let paths = self.lane(lane);
        let path = paths.paths.get(&paths.next(lane)?)?.clone();
        match self.paths.get(&path) {
            Some(Entry::Waiting { want, .. }) => Some((path, *want)),
            _ => None,
        }
    }

    /// Hand out the path that [`Lanes::peek`] showed.
    /// True when it was deferred before.
    pub(crate) fn start(&mut self, lane: Lane, path: &RelPath) -> bool {
        let Some(Entry::Waiting { place, came, .. }) = self.paths.get(path) else {
            return false;
        };
        let (place, came) = (*place, *came);
        let paths = self.lane(lane);
        paths.paths.remove(&place);
        paths.handed_out += 1;
        paths.running += 1;
        let again = None;
        let was_deferred = self.released.contains(path);
        let running = Entry::Running {
            lane,
            place,
            came,
            again,
            was_deferred,
        };
        self.paths.insert(path.clone(), running);
        was_deferred
    }

    /// What was given back counts as untried again.
    pub(crate) fn forget_tries(&mut self) {
        for (path, entry) in &mut self.paths {
            let Entry::Waiting { want, place, .. } = entry else {
                continue;
            };
            if place.0 > 0 {
                let paths = match want.lane {
                    Lane::Edit => &mut self.edits,
                    Lane::Backlog => &mut self.backlog,
                };
                paths.paths.remove(place);
                place.0 = 0;
                paths.paths.insert(*place, path.clone());
            }
        }
    }
}
