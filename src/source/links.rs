//! Files that have several names (hard links): an event names one of them, and
//! all have changed.
//!
//! In memory alone, filled by the scans and by what is heard, and bounded: a name
//! that is not known here is found to have changed by the next scan.

use crate::files::WalkEntry;
use crate::index::SourceId;
use crate::os::Found;
use crate::types::{Fingerprint, Kind, MonotonicMs, RelPath};
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;

/// Names remembered; at 250 bytes each 25 MB. An office has few; backups by hard
/// links and package stores have hundreds of thousands, and hardly change.
const NAMES_MAX: usize = 100_000;

/// Time between two scans for names that are not known, milliseconds.
const SEARCH_MS: i64 = 5 * 60 * 1000;

/// One file, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId {
    dev: u64,
    inode: u64,
}

impl FileId {
    fn new(file: &Fingerprint, dev: u64, links: u64) -> Option<Self> {
        let is_linked = file.kind == Kind::File && file.inode != 0 && links > 1;
        is_linked.then_some(Self {
            dev,
            inode: file.inode,
        })
    }

    /// Of a file that has several names.
    pub fn of_linked(found: &Found) -> Option<Self> {
        Self::new(&found.fingerprint, found.dev, found.links)
    }

    /// The same of one that a walk came to.
    pub fn of_entry(entry: &WalkEntry) -> Option<Self> {
        Self::new(&entry.fingerprint, entry.dev, entry.links)
    }
}

/// One name of a file.
#[derive(Debug)]
struct Name {
    source: SourceId,
    path: RelPath,
    /// The round in which it was seen last.
    round: u64,
}

#[derive(Debug, Default)]
struct State {
    files: HashMap<FileId, Vec<Name>>,
    names: usize,
    round: u64,
    searched_ms: Option<MonotonicMs>,
}

/// What noting a name came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noted {
    /// The name was not known.
    pub is_new: bool,
    /// Names that are known of the file.
    pub names: u64,
}

/// The known names of files that have several, of all sources.
#[derive(Debug, Default)]
pub struct HardLinks(Mutex<State>);

impl HardLinks {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }

    /// The file has this name.
    pub fn note(&self, file: FileId, source: SourceId, path: &RelPath) -> Noted {
        let mut state = self.state();
        let State {
            files,
            names: count,
            round,
            ..
        } = &mut *state;
        let has_room = *count < NAMES_MAX;
        let mut is_new = false;
        let names = match files.get_mut(&file) {
            Some(names) => names,
            None if has_room => files.entry(file).or_default(),
            None => {
                return Noted {
                    is_new: false,
                    names: 0,
                };
            }
        };
        let known = names
            .iter_mut()
            .find(|name| name.source == source && name.path == *path);
        match known {
            Some(name) => name.round = *round,
            None if has_room => {
                is_new = true;
                *count += 1;
                names.push(Name {
                    source,
                    path: path.clone(),
                    round: *round,
                });
            }
            None => {}
        }
        Noted {
            is_new,
            names: names.len() as u64,
        }
    }

    /// Its names in a source, as far as they are known, but `path`.
    pub fn others(&self, file: FileId, source: SourceId, path: Option<&RelPath>) -> Vec<RelPath> {
        let state = self.state();
        let names = state.files.get(&file).into_iter().flatten();
        names
            .filter(|name| name.source == source && Some(&name.path) != path)
            .map(|name| name.path.clone())
            .collect()
    }

    /// A whole scan of a source begins, which notes all of its names anew.
    pub fn begin(&self) -> u64 {
        let mut state = self.state();
        state.round += 1;
        state.round
    }

    /// It has ended and has seen everything: what was not noted since `round` is a
    /// name no more.
    pub fn forget_before(&self, source: SourceId, round: u64) {
        let mut state = self.state();
        state.files.retain(|_, names| {
            names.retain(|name| name.source != source || name.round >= round);
            !names.is_empty()
        });
        state.names = state.files.values().map(Vec::len).sum();
        state.files.shrink_to_fit();
    }

    /// Whether to scan for names that are not known: a name that was just made
    /// tells nothing of the older ones. Not again and again while many are made.
    pub fn may_search(&self, now_ms: MonotonicMs) -> bool {
        let mut state = self.state();
        let rests = state
            .searched_ms
            .is_some_and(|at_ms| now_ms - at_ms < SEARCH_MS);
        if !rests {
            state.searched_ms = Some(now_ms);
        }
        !rests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(text: &str) -> RelPath {
        RelPath::from_bytes(text).unwrap()
    }

    fn file(inode: u64) -> FileId {
        FileId { dev: 1, inode }
    }

    #[test]
    fn all_names_of_a_file_are_known_together_and_gone_ones_forgotten() {
        let links = HardLinks::default();
        let noted = |is_new, names| Noted { is_new, names };
        assert_eq!(links.note(file(7), SourceId(0), &p("a")), noted(true, 1));
        assert_eq!(links.note(file(7), SourceId(0), &p("a")), noted(false, 1));
        assert_eq!(links.note(file(7), SourceId(1), &p("a")), noted(true, 2));
        links.note(file(8), SourceId(0), &p("other"));
        let others = |inode, source, path: Option<&str>| {
            let path = path.map(p);
            links.others(file(inode), SourceId(source), path.as_ref())
        };
        assert_eq!(others(7, 0, Some("a")), []);
        assert_eq!(others(7, 1, None), [p("a")]);
        assert_eq!(others(7, 0, Some("b")), [p("a")]);
        assert_eq!(others(9, 0, Some("a")), []);
        // The next scan of source 0 finds `b` and not `a`; `c` comes meanwhile.
        let round = links.begin();
        links.note(file(7), SourceId(0), &p("b"));
        links.note(file(7), SourceId(0), &p("c"));
        links.forget_before(SourceId(0), round);
        assert_eq!(others(7, 1, None), [p("a")]);
        assert_eq!(others(7, 0, Some("b")), [p("c")]);
        assert_eq!(others(8, 0, Some("x")), []);
        assert_eq!(links.state().names, 3);
    }

    #[test]
    fn only_files_with_several_names_count() {
        let found = |kind, inode, links| Found {
            fingerprint: Fingerprint {
                kind,
                inode,
                ..Fingerprint::UNSEEN
            },
            dev: 1,
            links,
        };
        assert_eq!(FileId::of_linked(&found(Kind::File, 7, 2)), Some(file(7)));
        for (kind, inode, links) in [
            (Kind::File, 7, 1),
            (Kind::Folder, 7, 2),
            (Kind::Symlink, 7, 2),
            (Kind::File, 0, 2),
        ] {
            assert_eq!(FileId::of_linked(&found(kind, inode, links)), None);
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let links = HardLinks::default();
        for inode in 1..=NAMES_MAX as u64 {
            links.note(file(inode), SourceId(0), &p("a"));
        }
        let more = links.note(file(1), SourceId(0), &p("b"));
        assert!(!more.is_new && links.state().names == NAMES_MAX);
        assert!(!links.note(file(u64::MAX), SourceId(0), &p("b")).is_new);
        let round = links.begin();
        links.forget_before(SourceId(0), round);
        assert!(links.note(file(1), SourceId(0), &p("b")).is_new);
    }

    #[test]
    fn names_that_are_not_known_are_not_searched_for_without_end() {
        let links = HardLinks::default();
        let asked: Vec<bool> = [0, 1, SEARCH_MS - 1, SEARCH_MS, SEARCH_MS + 1]
            .map(|now_ms| links.may_search(MonotonicMs(now_ms)))
            .into();
        assert_eq!(asked, [true, false, false, true, false]);
    }
}
