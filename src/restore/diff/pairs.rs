//! What a moment has and what it is compared with, path by path.
//!
//! Invariant: each path comes once, in the order of keys; shortened keys stand
//! elsewhere in a listing than their paths, and come when their turn is there.

use super::difference::{Against, Comparison};
use crate::files;
use crate::files::{Rules, WalkEntry, WalkFault};
use crate::history::{Chosen, Name, Timeline};
use crate::retry::Stop;
use crate::s3::Store;
use crate::types::{Class, Fatal, Fault, Fingerprint, Kind, RelKey, RelPath, WallMs, chain};
use std::path::PathBuf;
use std::sync::Arc;
use std::vec;
use tokio::sync::mpsc;

/// Entries of the walk handed over at a time.
const BATCH: usize = 256;

/// Batches that the walk may be ahead: with those in hand 300 KB.
const BATCHES_AHEAD: usize = 4;

/// One path on both sides.
pub(crate) struct Pair {
    /// What the moment has.
    pub(crate) then: Option<Chosen>,
    /// What it is compared with.
    pub(crate) now: Now,
}

/// The other side.
pub(crate) enum Now {
    /// Nothing stands there.
    Nothing,
    /// This stands in the folder.
    OnDisk {
        key: RelKey,
        found: Fingerprint,
        /// For a folder: nothing that counts is in it.
        empty: bool,
    },
    /// The other moment has this.
    Chosen(Chosen),
    /// Nobody has looked yet.
    Unseen,
}

/// Both sides, merged.
pub(crate) struct Pairs<'a> {
    comparison: &'a Comparison,
    then: Peeked<'a>,
    other: Other<'a>,
    faults: Vec<Fault>,
}

enum Other<'a> {
    Folder(Box<Walked>),
    Moment(Box<Peeked<'a>>),
    /// Each path is looked at by itself.
    Alone,
}

/// A timeline that can be looked ahead in.
struct Peeked<'a> {
    timeline: Timeline<'a>,
    next: Option<Chosen>,
    ended: bool,
}

impl<'a> Peeked<'a> {
    fn new(store: &'a Store, comparison: &'a Comparison, at_ms: Option<WallMs>) -> Self {
        let (origin, selector) = (&comparison.origin, comparison.selector.as_ref());
        Self {
            timeline: Timeline::new(store, origin, selector, at_ms),
            next: None,
            ended: false,
        }
    }

    async fn peek(
        &mut self,
        stop: &mut Stop,
        faults: &mut Vec<Fault>,
    ) -> Result<Option<&Chosen>, Fatal> {
        if self.next.is_none() && !self.ended {
            self.next = self.timeline.next(stop).await?;
            self.ended = self.next.is_none();
            faults.extend(self.timeline.take_unsure());
            if !self.timeline.is_in_order() {
                return Err(out_of_order().into());
            }
        }
        Ok(self.next.as_ref())
    }
}

fn out_of_order() -> Fault {
    Fault::new(
        Class::Refused,
        "compare",
        "the bucket's list of versions",
        "the server does not list its keys in order, so nobody can say what is missing",
    )
    .hint("restore into an empty folder and compare that")
}

impl<'a> Pairs<'a> {
    pub(crate) fn new(store: &'a Store, comparison: &'a Comparison) -> Self {
        let other = match &comparison.against {
            Against::Folder { root, rules } => {
                Other::Folder(Box::new(Walked::start(root.clone(), rules.clone())))
            }
            Against::Target(_) => Other::Alone,
            Against::Moment(at_ms) => {
                Other::Moment(Box::new(Peeked::new(store, comparison, *at_ms)))
            }
        };
        Self {
            comparison,
            then: Peeked::new(store, comparison, comparison.at_ms),
            other,
            faults: Vec::new(),
        }
    }

    /// What could not be looked at since the last call.
    pub(crate) fn take_faults(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.faults)
    }

    /// When the earliest version seen so far was stored.
    pub(crate) fn first_ms(&self) -> Option<WallMs> {
        self.then.timeline.first_ms()
    }

    /// The next path; `None` at the end, or when told to stop.
    pub(crate) async fn next(&mut self, stop: &mut Stop) -> Result<Option<Pair>, Fatal> {
        let then = self.then.peek(stop, &mut self.faults).await?;
        match &mut self.other {
            Other::Alone => {
                let then = self.then.next.take();
                Ok(then.map(|then| Pair {
                    then: Some(then),
                    now: Now::Unseen,
                }))
            }
            Other::Moment(other) => {
                let now = other.peek(stop, &mut self.faults).await?;
                let (takes_then, takes_now) = match (then, now) {
                    (None, None) => return Ok(None),
                    (Some(then), Some(now)) => (then.key <= now.key, now.key <= then.key),
                    (then, now) => (then.is_some(), now.is_some()),
                };
                let then = self.then.next.take_if(|_| takes_then);
                let now = other.next.take_if(|_| takes_now);
                Ok(Some(Pair {
                    then,
                    now: now.map_or(Now::Nothing, Now::Chosen),
                }))
            }
            Other::Folder(_) => self.next_with_folder(stop).await,
        }
    }

    async fn next_with_folder(&mut self, stop: &mut Stop) -> Result<Option<Pair>, Fatal> {
        let Other::Folder(walked) = &mut self.other else {
            return Ok(None);
        };
        loop {
            let then = self.then.peek(stop, &mut self.faults).await?;
            let entry = match walked.peek(&mut self.faults).await {
                Some(_) if stop.is_asked() => None,
                entry => entry,
            };
            let key = match then.map(|then| &then.name) {
                // No place in the order of paths.
                Some(Name::Older(_) | Name::Shortened | Name::Foreign(_)) => {
                    return Ok(self.then.next.take().map(|then| Pair {
                        then: Some(then),
                        now: Now::Unseen,
                    }));
                }
                Some(Name::Path(key)) => Some(key),
                None => None,
            };
            let (takes_then, takes_now) = match (key, entry) {
                (None, None) => return Ok(None),
                (Some(key), Some(entry)) => (*key <= entry.key, entry.key <= *key),
                (key, entry) => (key.is_some(), entry.is_some()),
            };
            if takes_now && !takes_then {
                let is_told = entry.is_some_and(|entry| {
                    // A folder that had something in it then was there then.
                    let was_there = key.is_some_and(|key| {
                        entry.key.is_folder() && key.as_str().starts_with(entry.key.as_str())
                    });
                    let is_asked_for = self.comparison.selector.matches(&entry.path());
                    tells_by_itself(entry) && !was_there && is_asked_for
                });
                if !is_told {
                    walked.next = None;
                    continue;
                }
            }
            let then = self.then.next.take_if(|_| takes_then);
            let now = walked.next.take_if(|_| takes_now);
            return Ok(Some(Pair {
                then,
                now: now.map_or(Now::Nothing, |entry| Now::OnDisk {
                    key: entry.key,
                    found: entry.fingerprint,
                    empty: entry.empty,
                }),
            }));
        }
    }
}

/// Folders are known by what is in them; sockets and the like are never stored.
fn tells_by_itself(entry: &WalkEntry) -> bool {
    match entry.fingerprint.kind {
        Kind::Folder => entry.empty,
        Kind::Special => false,
        Kind::File | Kind::Symlink => true,
    }
}

type Item = Result<WalkEntry, WalkFault>;

/// A walk on a thread of its own, a little ahead. Dropped, it ends.
struct Walked {
    batches: mpsc::Receiver<Vec<Item>>,
    batch: vec::IntoIter<Item>,
    next: Option<WalkEntry>,
    walking: Option<tokio::task::JoinHandle<()>>,
}

impl Walked {
    fn start(root: PathBuf, rules: Arc<Rules>) -> Self {
        let (to, batches) = mpsc::channel(BATCHES_AHEAD);
        let walking = tokio::task::spawn_blocking(move || {
            let mut batch = Vec::with_capacity(BATCH);
            for item in files::walk(&root, &RelPath::root(), &rules) {
                batch.push(item);
                if batch.len() == BATCH {
                    let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
                    if to.blocking_send(full).is_err() {
                        return;
                    }
                }
            }
            // Whoever does not listen any more needs no rest.
            let _ = to.blocking_send(batch);
        });
        Self {
            batches,
            batch: Vec::new().into_iter(),
            next: None,
            walking: Some(walking),
        }
    }

    async fn peek(&mut self, faults: &mut Vec<Fault>) -> Option<&WalkEntry> {
        while self.next.is_none() {
            match self.batch.next() {
                Some(Ok(entry)) => self.next = Some(entry),
                Some(Err(broken)) => faults.push(broken.fault),
                None => match self.batches.recv().await {
                    Some(batch) => self.batch = batch.into_iter(),
                    None => {
                        // A walk that broke off has not seen everything.
                        if let Some(Err(error)) = self.end().await {
                            let cause = chain(&error);
                            faults.push(Fault::new(Class::Local, "read", "the folder", cause));
                        }
                        return None;
                    }
                },
            }
        }
        self.next.as_ref()
    }

    async fn end(&mut self) -> Option<Result<(), tokio::task::JoinError>> {
        match self.walking.take() {
            Some(walking) => Some(walking.await),
            None => None,
        }
    }
}
