//! Tracks swaps: two files that change places change them at one moment.
//!
//! Each file is read at a moment of its own. Between the two, a content would stand under
//! neither name. So a file that takes over the place of another counts from the same
//! moment as the other file's new name; whichever is read first sets that moment. A moved
//! file is recognised by its inode and content. The tracker is kept in memory, bounded,
//! for a short while: what it forgets costs the agreement of two times, nothing else.

use crate::index::SourceId;
use crate::transfer::Content;
use crate::types::{ContentHash, Fingerprint, Kind, Record, RelPath, WallMs};
use parking_lot::{Mutex, MutexGuard};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// How long a place that was taken over is remembered: the other half of a swap is
/// stored within seconds.
const KEPT_MS: i64 = 2 * 60 * 1000;

/// A file that came to its place (its status change says when) later than this
/// after it left the former one was elsewhere meanwhile: moved out and in again.
/// A swap is three renames by one program.
const AWAY_MAX_MS: i64 = 10_000;

/// Places remembered; at 150 bytes each 3 MB. A swap of two folders with more
/// files than that within the time is two moments for the rest.
const PLACES_MAX: usize = 20_000;

/// One file, known by its inode.
struct Place {
    content: ContentHash,
    /// Tells it from a new file of the same content that was given its inode.
    mtime_ns: i128,
    /// From when on it counts where it is; of one that has left and was not found
    /// yet, from when on its former place has held something else.
    since_ms: WallMs,
    /// Where it was found, with the mode it had. If it goes on from there, that is
    /// another move.
    home: Option<(RelPath, u32)>,
    noted_ms: WallMs,
}

#[derive(Default)]
struct State {
    places: HashMap<(SourceId, u64), Place>,
    /// In the order in which they came, with the time.
    order: VecDeque<((SourceId, u64), WallMs)>,
}

/// Places that were taken over lately, of all sources. Handle; cheap to clone.
#[derive(Clone, Default)]
pub struct SwapTracker(Arc<Mutex<State>>);

impl SwapTracker {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }

    /// From when on the content counts that was read at a path whose record is
    /// `old`: from its reading, or from the moment at which its own former place
    /// was found taken. Notes that the place of `old` is taken from then on. Times are
    /// by the server's clock; where nobody knows that of the reading, nobody knows this.
    /// `folders_ms`: when the last of the folders above came to its place; asked for
    /// where there is a [`SwapTracker::left_until_ms`], and 0 elsewhere.
    pub fn since_ms(
        &self,
        source: SourceId,
        path: &RelPath,
        content: &Content,
        old: Option<&Record>,
        folders_ms: WallMs,
    ) -> Option<WallMs> {
        let (read_ms, file) = (content.seen_ms?, &content.fingerprint);
        let came_ms = folders_ms.max(file.ctime_ms());
        if !may_have_moved(file) {
            return Some(read_ms);
        }
        let mut state = self.state();
        let home = Some((path.clone(), file.mode));
        // Exactly then, also when this was read a moment before: the other one may
        // be on its way with that time.
        let since_ms = match state.places.get(&(source, file.inode)) {
            Some(place)
                if place.holds(content)
                    && read_ms - place.since_ms < KEPT_MS
                    && match &place.home {
                        None => came_ms - place.since_ms <= AWAY_MAX_MS,
                        known => *known == home,
                    } =>
            {
                place.since_ms
            }
            _ => read_ms,
        };
        let here = Place {
            content: content.hash,
            mtime_ns: file.mtime_ns,
            since_ms,
            home,
            noted_ms: read_ms,
        };
        state.note((source, file.inode), here);
        let old = old.and_then(|old| Some((old.fingerprint, old.content?)));
        if let Some((was, hash)) = old
            && may_have_moved(&was)
            && was.inode != file.inode
        {
            let left = Place {
                content: hash,
                mtime_ns: was.mtime_ns,
                since_ms,
                home: None,
                noted_ms: read_ms,
            };
            state.leaves((source, was.inode), path, left);
        }
        Some(since_ms)
    }
}

impl SwapTracker {
    /// Of a file whose place was taken, and which nobody has found since: until when it
    /// may have come to a place at which it counts from then on.
    pub fn left_until_ms(&self, source: SourceId, content: &Content) -> Option<WallMs> {
        let state = self.state();
        let place = state.places.get(&(source, content.fingerprint.inode))?;
        let has_left = place.home.is_none() && place.holds(content);
        has_left.then(|| place.since_ms + AWAY_MAX_MS)
    }

    /// Where the file of `record`, which is gone from `path`, was found since: it was
    /// renamed and not deleted. `None` where that is not known (any more).
    pub fn went_to(&self, source: SourceId, path: &RelPath, record: &Record) -> Option<RelPath> {
        let was = &record.fingerprint;
        let state = self.state();
        let place = state.places.get(&(source, was.inode))?;
        let is_it = may_have_moved(was)
            && record.content == Some(place.content)
            && was.mtime_ns == place.mtime_ns;
        let (home, _) = place.home.as_ref().filter(|_| is_it)?;
        (home != path).then(|| home.clone())
    }
}

impl Place {
    fn holds(&self, content: &Content) -> bool {
        self.content == content.hash && self.mtime_ns == content.fingerprint.mtime_ns
    }
}

impl State {
    /// The file has left this path, unless it was found elsewhere before.
    fn leaves(&mut self, file: (SourceId, u64), path: &RelPath, left: Place) {
        let is_elsewhere = self.places.get(&file).is_some_and(|known| {
            let home = known.home.as_ref();
            known.content == left.content && home.is_some_and(|(home, _)| home != path)
        });
        if !is_elsewhere {
            self.note(file, left);
        }
    }

    fn note(&mut self, file: (SourceId, u64), place: Place) {
        let now_ms = place.noted_ms;
        while let Some((oldest, noted_ms)) = self.order.front().copied() {
            // Readings that ran side by side come in any order; a clock that was
            // set back makes all of them old.
            let is_over = (now_ms - noted_ms).saturating_abs() >= KEPT_MS;
            if !is_over && self.order.len() < PLACES_MAX {
                break;
            }
            self.order.pop_front();
            let known = self.places.get(&oldest);
            if known.is_some_and(|known| known.noted_ms == noted_ms) {
                self.places.remove(&oldest);
            }
        }
        self.places.insert(file, place);
        self.order.push_back((file, now_ms));
    }
}

/// Systems without inodes give 0 for all.
fn may_have_moved(file: &Fingerprint) -> bool {
    file.inode != 0 && file.kind != Kind::Folder
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::BootMs;
    use crate::types::Look;

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
            seen_at: BootMs(0),
            seen_ms: Some(WallMs(seen_ms)),
            bytes: None,
            is_torn: false,
            racy: false,
            look: Look::Unknown,
            segments: Arc::new([]),
            sparse_bytes: None,
            attributes: crate::files::ReadAttributes::default(),
        }
    }

    fn since_ms(
        swaps: &SwapTracker,
        source: SourceId,
        path: &RelPath,
        content: &Content,
        old: Option<&Record>,
    ) -> i64 {
        let since_ms = swaps.since_ms(source, path, content, old, WallMs(0));
        since_ms.unwrap().0
    }

    fn p(text: &str) -> RelPath {
        RelPath::from_bytes(text).unwrap()
    }

    fn record(inode: u64, text: &str) -> Record {
        let content = content(inode, text, 0);
        Record {
            content: Some(content.hash),
            ..Record::unverified(content.fingerprint)
        }
    }

    #[test]
    fn what_was_renamed_is_known_by_where_it_went() {
        let swaps = SwapTracker::default();
        since_ms(
            &swaps,
            SourceId(0),
            &p("new/a"),
            &content(7, "a", 1_000),
            None,
        );
        let went = |source, inode, text: &str, path: &str| {
            swaps.went_to(source, &p(path), &record(inode, text))
        };
        assert_eq!(went(SourceId(0), 7, "a", "old/a"), Some(p("new/a")));
        // Itself, another file, another content, another source; and no inodes.
        assert_eq!(went(SourceId(0), 7, "a", "new/a"), None);
        assert_eq!(went(SourceId(0), 8, "a", "old/a"), None);
        assert_eq!(went(SourceId(0), 7, "b", "old/a"), None);
        assert_eq!(went(SourceId(1), 7, "a", "old/a"), None);
        assert_eq!(went(SourceId(0), 0, "a", "old/a"), None);
    }

    #[test]
    fn what_changes_places_counts_from_one_moment() {
        for first in ["a", "b"] {
            let swaps = SwapTracker::default();
            // Inode 1 stood at a, inode 2 at b.
            let at = |path: &str, ms| match path {
                "a" => since_ms(
                    &swaps,
                    SourceId(0),
                    &p("a"),
                    &content(2, "two", ms),
                    Some(&record(1, "one")),
                ),
                _ => since_ms(
                    &swaps,
                    SourceId(0),
                    &p("b"),
                    &content(1, "one", ms),
                    Some(&record(2, "two")),
                ),
            };
            let second = if first == "a" { "b" } else { "a" };
            assert_eq!((at(first, 1_000), at(second, 1_900)), (1_000, 1_000));
            // Tried again, it stays so.
            assert_eq!(at(first, 5_000), 1_000);
        }
    }

    #[test]
    fn a_file_that_goes_on_from_its_new_place_is_not_there_early() {
        let swaps = SwapTracker::default();
        since_ms(
            &swaps,
            SourceId(0),
            &p("a"),
            &content(3, "three", 1_000),
            Some(&record(1, "one")),
        );
        assert_eq!(
            since_ms(
                &swaps,
                SourceId(0),
                &p("b"),
                &content(1, "one", 2_000),
                None
            ),
            1_000
        );
        assert_eq!(
            since_ms(
                &swaps,
                SourceId(0),
                &p("c"),
                &content(1, "one", 9_000),
                None
            ),
            9_000
        );
    }

    #[test]
    fn what_was_found_before_its_place_was_taken_is_not_there_early_elsewhere() {
        let swaps = SwapTracker::default();
        // A swap of a and b: b is looked at first, and then a.
        let one_at_b = content(1, "one", 1_000);
        assert_eq!(
            since_ms(
                &swaps,
                SourceId(0),
                &p("b"),
                &one_at_b,
                Some(&record(2, "two"))
            ),
            1_000
        );
        let two_at_a = content(2, "two", 1_100);
        assert_eq!(
            since_ms(
                &swaps,
                SourceId(0),
                &p("a"),
                &two_at_a,
                Some(&record(1, "one"))
            ),
            1_000
        );
        // It goes on from b.
        assert_eq!(
            since_ms(
                &swaps,
                SourceId(0),
                &p("c"),
                &content(1, "one", 5_000),
                None
            ),
            5_000
        );
    }

    #[test]
    fn a_file_that_was_moved_out_and_in_again_is_not_there_early() {
        for (back_ms, want_ms) in [(9_000, 1_000), (30_000, 31_000)] {
            let swaps = SwapTracker::default();
            let new = content(3, "three", 1_000);
            since_ms(&swaps, SourceId(0), &p("a"), &new, Some(&record(1, "one")));
            let mut back = content(1, "one", back_ms + 1_000);
            back.fingerprint.ctime_ns = back_ms * 1_000_000;
            assert_eq!(since_ms(&swaps, SourceId(0), &p("b"), &back, None), want_ms);
        }
    }

    /// Found by the random history, seed 128183: moving a folder changes the times of
    /// nothing that is in it.
    #[test]
    fn a_file_whose_folder_was_moved_out_and_in_again_is_not_there_early() {
        for (back_ms, want_ms) in [(9_000, 1_000), (30_000, 31_000)] {
            let swaps = SwapTracker::default();
            let new = content(3, "three", 1_000);
            since_ms(
                &swaps,
                SourceId(0),
                &p("d/a"),
                &new,
                Some(&record(1, "one")),
            );
            let back = content(1, "one", back_ms + 1_000);
            assert_eq!(
                swaps.left_until_ms(SourceId(0), &back),
                Some(WallMs(11_000))
            );
            assert_eq!(swaps.left_until_ms(SourceId(1), &back), None);
            let since_ms = swaps.since_ms(SourceId(0), &p("e/a"), &back, None, WallMs(back_ms));
            assert_eq!(since_ms, Some(WallMs(want_ms)));
            assert_eq!(swaps.left_until_ms(SourceId(0), &back), None, "it is found");
        }
    }

    /// Found by the random history, seed 158295: two links of one target.
    #[test]
    fn a_new_file_with_the_inode_and_content_of_one_that_went_is_not_there_early() {
        let swaps = SwapTracker::default();
        let taker = content(3, "three", 1_000);
        since_ms(
            &swaps,
            SourceId(0),
            &p("a"),
            &taker,
            Some(&record(1, "one")),
        );
        let mut new = content(1, "one", 2_000);
        new.fingerprint.mtime_ns = 2;
        assert_eq!(since_ms(&swaps, SourceId(0), &p("b"), &new, None), 2_000);
    }

    #[test]
    fn readings_side_by_side_come_in_any_order() {
        let swaps = SwapTracker::default();
        let at = |path: &str, new, old, ms| {
            let old = record(old, &format!("of {old}"));
            let new = content(new, &format!("of {new}"), ms);
            since_ms(&swaps, SourceId(0), &p(path), &new, Some(&old))
        };
        // Two swaps: 1 and 2 at y and x, 3 and 4 at y3 and x3.
        assert_eq!(at("y", 1, 2, 89), 89);
        assert_eq!(at("x3", 4, 3, 83), 83);
        assert_eq!(at("x", 2, 1, 84), 89);
    }

    #[test]
    fn a_new_time_or_mode_counts_from_its_own_reading() {
        let swaps = SwapTracker::default();
        let at = |mtime_ns, ms| {
            let mut content = content(1, "one", ms);
            content.fingerprint.mtime_ns = mtime_ns;
            since_ms(
                &swaps,
                SourceId(0),
                &p("a"),
                &content,
                Some(&record(1, "one")),
            )
        };
        assert_eq!((at(1, 1_000), at(2, 3_000)), (1_000, 3_000));
    }

    #[test]
    fn only_the_same_file_with_the_same_content_and_not_for_ever() {
        for (name, source, new, want) in [
            ("moved", SourceId(0), content(1, "one", 2_000), 1_000),
            (
                "edited since",
                SourceId(0),
                content(1, "more", 2_000),
                2_000,
            ),
            ("a copy", SourceId(0), content(7, "one", 2_000), 2_000),
            (
                "another source",
                SourceId(1),
                content(1, "one", 2_000),
                2_000,
            ),
            (
                "long after",
                SourceId(0),
                content(1, "one", 1_000 + KEPT_MS),
                1_000 + KEPT_MS,
            ),
            ("read before", SourceId(0), content(1, "one", 900), 1_000),
        ] {
            let swaps = SwapTracker::default();
            // The place of inode 1 is taken by inode 3.
            since_ms(
                &swaps,
                SourceId(0),
                &p("b"),
                &content(3, "three", 1_000),
                Some(&record(1, "one")),
            );
            assert_eq!(
                since_ms(&swaps, source, &p("b"), &new, None),
                want,
                "{name}"
            );
        }
        // Saved in place: nobody has moved.
        let swaps = SwapTracker::default();
        since_ms(
            &swaps,
            SourceId(0),
            &p("b"),
            &content(1, "new", 1_000),
            Some(&record(1, "one")),
        );
        assert_eq!(
            since_ms(
                &swaps,
                SourceId(0),
                &p("b"),
                &content(1, "one", 2_000),
                None
            ),
            2_000
        );
        // No inodes.
        since_ms(
            &swaps,
            SourceId(0),
            &p("b"),
            &content(5, "new", 1_000),
            Some(&record(0, "one")),
        );
        assert_eq!(
            since_ms(
                &swaps,
                SourceId(0),
                &p("b"),
                &content(0, "one", 2_000),
                None
            ),
            2_000
        );
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let swaps = SwapTracker::default();
        for number in 1..=PLACES_MAX as u64 + 10 {
            let new = content(1_000_000 + number, "new", 1_000);
            since_ms(
                &swaps,
                SourceId(0),
                &p("b"),
                &new,
                Some(&record(number, "old")),
            );
        }
        let state = swaps.state();
        assert_eq!(
            (state.places.len(), state.order.len()),
            (PLACES_MAX, PLACES_MAX)
        );
    }
}
