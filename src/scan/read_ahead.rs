//! Walks the disk on a thread of its own, a little ahead of the merge. Blocking.
//!
//! So disk and index are read at the same time. Invariant: a walk that breaks off shows
//! nothing as missing; what it did not reach is unknown.

use crate::files::{Walk, WalkEntry, WalkFault};
use crate::types::{Class, Fault, RelKey, RelPath, chain};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, Scope};
use std::vec;

/// Entries per batch: each batch may cost a change of threads.
const BATCH: usize = 256;

/// Batches that the walk may be ahead; with those in hand they take 300 KB.
const BATCHES_AHEAD: usize = 4;

type Item = Result<WalkEntry, WalkFault>;

/// Entries of a walk. A walk that stops without an `End` has broken off.
enum Part {
    Entries(Vec<Item>),
    End,
}

/// The entries of a walk, in its order.
pub(crate) struct ReadAhead {
    parts: Option<Receiver<Part>>,
    entries: vec::IntoIter<Item>,
}

impl ReadAhead {
    /// Begin to walk.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        walk: Walk<'scope>,
    ) -> Result<Self, Fault> {
        let (to, parts) = sync_channel(BATCHES_AHEAD);
        Builder::new()
            .name("walk".into())
            .spawn_scoped(scope, move || carry(walk, &to))
            .map_err(|error| Fault::new(Class::Local, "begin", "a scan", chain(&error)))?;
        Ok(Self {
            parts: Some(parts),
            entries: Vec::new().into_iter(),
        })
    }
}

/// Send the entries on; stop when nobody takes them any more.
fn carry(walk: impl Iterator<Item = Item>, to: &SyncSender<Part>) {
    let mut entries = Vec::with_capacity(BATCH);
    for item in walk {
        entries.push(item);
        if entries.len() == BATCH {
            let full = std::mem::replace(&mut entries, Vec::with_capacity(BATCH));
            if to.send(Part::Entries(full)).is_err() {
                return;
            }
        }
    }
    // Nobody may be listening any more.
    let _ = to.send(Part::Entries(entries));
    let _ = to.send(Part::End);
}

impl Iterator for ReadAhead {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.entries.next() {
                return Some(item);
            }
            match self.parts.as_ref()?.recv() {
                Ok(Part::Entries(entries)) => self.entries = entries.into_iter(),
                Ok(Part::End) => {
                    self.parts = None;
                    return None;
                }
                Err(_) => {
                    self.parts = None;
                    return Some(Err(broken_off()));
                }
            }
        }
    }
}

/// Nothing is known of what was not handed out.
fn broken_off() -> WalkFault {
    WalkFault {
        fault: Fault::new(
            Class::Local,
            "list",
            "the folder",
            "the thread that reads it ended early",
        ),
        subtree: RelKey::of_folder(&RelPath::root()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Fingerprint, Kind};

    fn entry(number: usize) -> WalkEntry {
        let path = RelPath::from_bytes(format!("f{number:06}")).unwrap();
        WalkEntry {
            key: RelKey::of_file(&path),
            fingerprint: Fingerprint {
                kind: Kind::File,
                size_bytes: 1,
                mtime_ns: 1,
                ctime_ns: 1,
                inode: 1,
                mode: 0,
                owner: None,
            },
            empty: false,
            dev: 0,
            links: 1,
            mounted: false,
        }
    }

    /// What comes out of a walk of so many entries; one that breaks off does so
    /// without saying that it has ended.
    fn carried(count: usize, breaks_off: bool) -> Vec<Item> {
        let (to, parts) = sync_channel(BATCHES_AHEAD);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                if !breaks_off {
                    return carry((0..count).map(entry).map(Ok), &to);
                }
                for number in 0..count {
                    to.send(Part::Entries(vec![Ok(entry(number))])).unwrap();
                }
            });
            let walk = ReadAhead {
                parts: Some(parts),
                entries: Vec::new().into_iter(),
            };
            walk.collect()
        })
    }

    #[test]
    fn every_entry_comes_in_order_whatever_their_number() {
        for count in [0, 1, BATCH - 1, BATCH, BATCH * (BATCHES_AHEAD + 3) + 1] {
            let want: Vec<Item> = (0..count).map(entry).map(Ok).collect();
            assert_eq!(carried(count, false), want, "{count}");
        }
    }

    #[test]
    fn a_walk_that_breaks_off_leaves_everything_unknown() {
        let mut got = carried(3, true);
        let Some(Err(lost)) = got.pop() else {
            panic!("the end of {got:?} is not told");
        };
        assert_eq!(got, (0..3).map(entry).map(Ok).collect::<Vec<_>>());
        assert!(lost.covers(&RelKey::parse_full("any/thing").unwrap()));
        assert!(lost.covers(&RelKey::parse_full("thing").unwrap()));
    }

    #[test]
    fn a_walk_ends_when_nobody_takes_its_entries() {
        let (to, parts) = sync_channel(BATCHES_AHEAD);
        std::thread::scope(|scope| {
            let walking = scope.spawn(move || carry((0..1_000_000).map(entry).map(Ok), &to));
            drop(parts.recv());
            drop(parts);
            walking.join().unwrap();
        });
    }
}
