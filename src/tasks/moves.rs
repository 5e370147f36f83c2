//! Two files that change places change them at one moment.
//!
//! Each is stored when a worker comes to it, and read at a moment of its own. So
//! that no moment between shows a content under neither name, what takes over the
//! place of a file that has itself moved on counts from the same moment as that
//! file's new name: whichever comes here first sets it. A file that moved is known
//! by its inode and content together. In memory alone, bounded and for a short
//! while: what is forgotten costs the agreement of two times, nothing else.

use crate::model::{ContentHash, Fingerprint, Kind, Record, RelPath};
use crate::transfer::Content;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How long a place that was taken over is remembered: the other half of a swap is
/// stored within seconds. Who moves a file out and in again within it has it
/// under its new name a little early.
const KEPT_MS: i64 = 2 * 60 * 1000;

/// Places remembered; at 150 bytes each 3 MB. A swap of two folders with more
/// files than that within the time is two moments for the rest.
const PLACES_MAX: usize = 20_000;

/// A file that was found to have left its place.
struct Left {
    content: ContentHash,
    left_ms: i64,
    /// Where it was found first. If it goes on from there, that is another move.
    home: Option<RelPath>,
}

#[derive(Default)]
struct State {
    /// From when on a file's former place has held something else.
    left: HashMap<(usize, u64), Left>,
    /// In the order in which they came, with the time.
    order: VecDeque<((usize, u64), i64)>,
}

/// Places that were taken over of late, of all sources.
#[derive(Default)]
pub struct Moves(Mutex<State>);

impl Moves {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From when on the content counts that was read at a path whose record is
    /// `old`: from its reading, or from the moment at which its own former place
    /// was found taken. Notes that the place of `old` is taken from then on.
    pub fn since_ms(
        &self,
        source: usize,
        path: &RelPath,
        content: &Content,
        old: Option<&Record>,
    ) -> i64 {
        let (read_ms, file) = (content.seen_ms, &content.fingerprint);
        let mut state = self.state();
        let place = (source, file.inode);
        let left = state.left.get_mut(&place).filter(|_| may_have_moved(file));
        let since_ms = match left {
            // Exactly then, also when this was read a moment before: the other one
            // may be on its way with that time.
            Some(left)
                if left.content == content.hash
                    && read_ms - left.left_ms < KEPT_MS
                    && left.home.as_ref().is_none_or(|home| home == path) =>
            {
                left.home = Some(path.clone());
                left.left_ms
            }
            _ => read_ms,
        };
        let old = old.and_then(|old| Some((old.fingerprint, old.content?)));
        if let Some((was, hash)) = old
            && may_have_moved(&was)
            && was.inode != file.inode
        {
            state.note((source, was.inode), hash, since_ms, read_ms);
        }
        since_ms
    }
}

impl State {
    fn note(&mut self, place: (usize, u64), hash: ContentHash, left_ms: i64, now_ms: i64) {
        while let Some((oldest, noted_ms)) = self.order.front().copied() {
            let is_over = now_ms - noted_ms >= KEPT_MS || now_ms < noted_ms;
            if !is_over && self.order.len() < PLACES_MAX {
                break;
            }
            self.order.pop_front();
            self.left.remove(&oldest);
        }
        let left = Left {
            content: hash,
            left_ms,
            home: None,
        };
        self.left.insert(place, left);
        self.order.push_back((place, now_ms));
    }
}

/// Systems without inodes give 0 for all.
fn may_have_moved(file: &Fingerprint) -> bool {
    file.inode != 0 && file.kind != Kind::Folder
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Look;
    use std::sync::Arc;

    fn content(inode: u64, text: &str, seen_ms: i64) -> Content {
        Content {
            fingerprint: Fingerprint {
                kind: Kind::File,
                size_bytes: text.len() as u64,
                mtime_ns: 1,
                ctime_ns: 1,
                inode,
                mode: 0o644,
                owner: None,
            },
            hash: ContentHash::of(text.as_bytes()),
            seen_ms,
            bytes: None,
            unrested: false,
            racy: false,
            look: Look::Unknown,
            segments: Arc::new([]),
        }
    }

    fn p(text: &str) -> RelPath {
        RelPath::from_bytes(text).unwrap()
    }

    fn record(inode: u64, text: &str) -> Record {
        let content = content(inode, text, 0);
        Record {
            fingerprint: content.fingerprint,
            content: Some(content.hash),
            version_id: String::new(),
            etag: String::new(),
            stored_bytes: 0,
            stored_at_ms: 0,
            racy: false,
            look: Look::Unknown,
        }
    }

    #[test]
    fn what_changes_places_counts_from_one_moment() {
        for first in ["a", "b"] {
            let moves = Moves::default();
            // Inode 1 stood at a, inode 2 at b.
            let at = |path: &str, ms| match path {
                "a" => moves.since_ms(0, &p("a"), &content(2, "two", ms), Some(&record(1, "one"))),
                _ => moves.since_ms(0, &p("b"), &content(1, "one", ms), Some(&record(2, "two"))),
            };
            let second = if first == "a" { "b" } else { "a" };
            assert_eq!((at(first, 1_000), at(second, 1_900)), (1_000, 1_000));
            // Tried again, it stays so.
            assert_eq!(at(first, 5_000), 1_000);
        }
    }

    #[test]
    fn a_file_that_goes_on_from_its_new_place_is_not_there_early() {
        let moves = Moves::default();
        moves.since_ms(
            0,
            &p("a"),
            &content(3, "three", 1_000),
            Some(&record(1, "one")),
        );
        assert_eq!(
            moves.since_ms(0, &p("b"), &content(1, "one", 2_000), None),
            1_000
        );
        assert_eq!(
            moves.since_ms(0, &p("c"), &content(1, "one", 9_000), None),
            9_000
        );
    }

    #[test]
    fn only_the_same_file_with_the_same_content_and_not_for_ever() {
        for (name, source, new, want) in [
            ("moved", 0, content(1, "one", 2_000), 1_000),
            ("edited since", 0, content(1, "more", 2_000), 2_000),
            ("a copy", 0, content(7, "one", 2_000), 2_000),
            ("another source", 1, content(1, "one", 2_000), 2_000),
            (
                "long after",
                0,
                content(1, "one", 1_000 + KEPT_MS),
                1_000 + KEPT_MS,
            ),
            ("read before", 0, content(1, "one", 900), 1_000),
        ] {
            let moves = Moves::default();
            // The place of inode 1 is taken by inode 3.
            moves.since_ms(
                0,
                &p("b"),
                &content(3, "three", 1_000),
                Some(&record(1, "one")),
            );
            assert_eq!(moves.since_ms(source, &p("b"), &new, None), want, "{name}");
        }
        // Saved in place: nobody has moved.
        let moves = Moves::default();
        moves.since_ms(
            0,
            &p("b"),
            &content(1, "new", 1_000),
            Some(&record(1, "one")),
        );
        assert_eq!(
            moves.since_ms(0, &p("b"), &content(1, "one", 2_000), None),
            2_000
        );
        // No inodes.
        moves.since_ms(
            0,
            &p("b"),
            &content(5, "new", 1_000),
            Some(&record(0, "one")),
        );
        assert_eq!(
            moves.since_ms(0, &p("b"), &content(0, "one", 2_000), None),
            2_000
        );
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let moves = Moves::default();
        for number in 1..=PLACES_MAX as u64 + 10 {
            let new = content(1_000_000 + number, "new", 1_000);
            moves.since_ms(0, &p("b"), &new, Some(&record(number, "old")));
        }
        let state = moves.state();
        assert_eq!(
            (state.left.len(), state.order.len()),
            (PLACES_MAX, PLACES_MAX)
        );
    }
}
