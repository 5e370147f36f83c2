//! Counts the files of a source: on disk, or in the index where nobody can look.
//!
//! Invariants: what cannot be seen counts as there; nothing counts twice; a file that is
//! on the disk under another name is not lost, however many of its old names the index
//! still has.

use super::deletion_guard::DeletionGuard;
use super::policy::Lacks;
use crate::files;
use crate::files::{Pulse, WalkFault};
use crate::index::{Index, SourceId};
use crate::types::{Fault, Fingerprint, Kind, RelKey, RelPath};
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

/// Files that one count can know again under another name: 64 MB at 16 bytes each. Any
/// further file counts as lost when its name is gone: that holds back too much and never
/// too little.
const MARKS_MAX: usize = 4_000_000;

/// The files and links of a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// On disk, or known and out of sight.
    pub on_disk: u64,
    /// Names that the index has.
    pub known: u64,
    /// Those of them that are gone.
    pub missing: u64,
    /// Those of the missing whose file is on the disk under another name.
    pub renamed: u64,
}

impl Counted {
    /// How many files there were, by the index.
    pub fn were(&self) -> u64 {
        self.known.saturating_sub(self.renamed)
    }
}

/// Count a source's files and links, and once more if they seem to have fallen: the walk
/// may miss a folder in both places when it is renamed meanwhile. `pulse` beats with the
/// walk.
pub(crate) fn count_surely(guard: &DeletionGuard, pulse: &Pulse) -> Result<Counted, Fault> {
    let first = count(guard, pulse)?;
    let has_fallen = {
        let mut state = guard.memory().saved.state.clone();
        state.raise(first.were(), guard.clock.now_ms());
        state.has_fallen(first.on_disk)
    };
    if !has_fallen {
        return Ok(first);
    }
    let second = count(guard, pulse)?;
    Ok(match second.on_disk > first.on_disk {
        true => second,
        false => first,
    })
}

/// Count the files that the index knows and the disk lacks, one by one: new files that
/// are not backed up yet make up for none of them. `pulse` beats with the walk.
pub(crate) fn lacks(guard: &DeletionGuard, pulse: &Pulse) -> Result<Lacks, Fault> {
    let counted = count_surely(guard, pulse)?;
    Ok(Lacks {
        files: counted.missing.saturating_sub(counted.renamed),
        of: counted.were(),
    })
}

fn count(guard: &DeletionGuard, pulse: &Pulse) -> Result<Counted, Fault> {
    pulse.beat();
    let root = RelKey::of_folder(&RelPath::root());
    let known = guard.index.range(guard.id, root.as_str(), None);
    // When a million files are gone, the index is read for minutes without the walk.
    let known = known.inspect(|_| pulse.beat());
    let known = known.filter_map(|entry| match entry {
        Ok((key, _)) if key.is_folder() => None,
        Ok((key, record)) => Some(Ok((key, record.fingerprint))),
        Err(fault) => Some(Err(fault)),
    });
    let walk = files::walk(&guard.source.path, &RelPath::root(), &guard.rules);
    let walk = walk.inspect(|_| pulse.beat());
    let found = walk.filter_map(|entry| match entry {
        Ok(entry) => match entry.fingerprint.kind {
            Kind::File | Kind::Symlink => Some(Ok((entry.key, entry.fingerprint))),
            Kind::Folder | Kind::Special => None,
        },
        Err(broken) => Some(Err(broken)),
    });
    join(found, known)
}

/// Join what the walk finds with what the index knows; both are in the order of keys.
fn join(
    found: impl Iterator<Item = Result<(RelKey, Fingerprint), WalkFault>>,
    known: impl Iterator<Item = Result<(RelKey, Fingerprint), Fault>>,
) -> Result<Counted, Fault> {
    let mut known = known.peekable();
    let mut join = Join::default();
    for entry in found {
        match entry {
            Err(broken) => join.out_of_sight.push(broken),
            Ok((key, file)) => {
                while known.peek().is_some_and(|entry| is_before(entry, &key)) {
                    join.missing(known.next().transpose()?);
                }
                let is_known = |entry: &Result<(RelKey, _), Fault>| {
                    entry.as_ref().is_ok_and(|(known, _)| *known == key)
                };
                join.counted.known += u64::from(known.next_if(is_known).is_some());
                join.found(&key, &file);
            }
        }
    }
    for entry in known {
        join.missing(Some(entry?));
    }
    Ok(join.end())
}

/// True for an error as well: it is dealt with at once.
fn is_before(entry: &Result<(RelKey, Fingerprint), Fault>, key: &RelKey) -> bool {
    entry.as_ref().map_or(true, |(known, _)| known < key)
}

#[derive(Default)]
struct Join {
    counted: Counted,
    /// What could not be looked at.
    out_of_sight: Vec<WalkFault>,
    hasher: RandomState,
    /// Marks of files on the disk.
    there: HashSet<u64>,
    /// Marks of known files whose names are gone.
    gone: Vec<u64>,
}

impl Join {
    fn found(&mut self, key: &RelKey, file: &Fingerprint) {
        self.counted.on_disk += 1;
        if self.there.len() < MARKS_MAX {
            self.there.insert(self.mark(key, file));
        }
    }

    /// The index knows a name that the walk has not found.
    fn missing(&mut self, entry: Option<(RelKey, Fingerprint)>) {
        let Some((key, file)) = entry else {
            return;
        };
        self.counted.known += 1;
        // Faults that cover no later key are dropped, so few are kept.
        self.out_of_sight
            .retain(|broken| broken.subtree > key || broken.covers(&key));
        if self.out_of_sight.iter().any(|broken| broken.covers(&key)) {
            self.counted.on_disk += 1;
            return;
        }
        self.counted.missing += 1;
        if self.gone.len() < MARKS_MAX {
            self.gone.push(self.mark(&key, &file));
        }
    }

    /// What a file keeps when it is renamed. Without inodes it is its name, which stays
    /// when its folder is renamed.
    fn mark(&self, key: &RelKey, file: &Fingerprint) -> u64 {
        let path = key.path();
        let name = (file.inode == 0).then(|| path.name());
        self.hasher
            .hash_one((file.inode, name, file.size_bytes, file.mtime_ns))
    }

    fn end(mut self) -> Counted {
        let is_there = |mark: &&u64| self.there.contains(mark);
        self.counted.renamed = self.gone.iter().filter(is_there).count() as u64;
        self.counted
    }
}

/// Files and links that the index knows below a folder.
pub fn known_below(index: &Index, id: SourceId, folder: &RelKey) -> Result<u64, Fault> {
    let mut files = 0;
    for entry in index.range(id, folder.as_str(), None) {
        let (key, _) = entry?;
        files += u64::from(!key.is_folder());
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Class;

    fn key(text: &str) -> RelKey {
        RelKey::parse_full(text).unwrap()
    }

    fn file(inode: u64, size_bytes: u64) -> Fingerprint {
        Fingerprint {
            kind: Kind::File,
            size_bytes,
            mtime_ns: 7,
            ctime_ns: 0,
            inode,
            mode: 0,
            owner: None,
        }
    }

    type Known<'a> = &'a [(&'a str, u64)];

    fn counted(found: Vec<Result<(&str, u64), &str>>, known: Known<'_>) -> (u64, u64, u64) {
        let mut walked = Vec::new();
        for entry in found {
            walked.push(match entry {
                Ok((name, inode)) => Ok((key(name), file(inode, 1))),
                Err(subtree) => Err(WalkFault {
                    fault: Fault::new(Class::Unreadable, "look at", "it", "no"),
                    subtree: key(subtree),
                }),
            });
        }
        let known = known
            .iter()
            .map(|(name, inode)| Ok((key(name), file(*inode, 1))));
        let Counted {
            on_disk,
            known,
            missing,
            renamed,
        } = join(walked.into_iter(), known).unwrap();
        assert!(renamed <= missing && missing <= known);
        (on_disk, known, renamed)
    }

    #[test]
    fn what_cannot_be_looked_at_counts_as_there_and_nothing_else_does() {
        let known = [
            ("a", 1),
            ("a.txt", 2),
            ("ab", 3),
            ("d/a", 4),
            ("d/b", 5),
            ("e", 6),
        ];
        for (broken, on_disk) in [("a", 1), ("d/", 2), ("x", 0)] {
            assert_eq!(
                counted(vec![Err(broken)], &known),
                (on_disk, 6, 0),
                "{broken}"
            );
        }
        let found = vec![Ok(("a", 1)), Err("d/"), Ok(("e", 6))];
        assert_eq!(counted(found, &known), (4, 6, 0));
    }

    #[test]
    fn a_file_that_is_there_under_another_name_is_not_lost() {
        let known = [("a/1", 1), ("a/2", 2), ("b/1", 1), ("b/2", 2), ("c/3", 3)];
        // Its newest name the index may have or not.
        for (folder, names) in [("b", 2), ("d", 4)] {
            let [one, two] = [1, 2].map(|number| format!("{folder}/{number}"));
            let found = vec![Ok((one.as_str(), 1)), Ok((two.as_str(), 2))];
            assert_eq!(counted(found, &known), (2, 5, names), "{folder}");
        }
        assert_eq!(counted(Vec::new(), &known), (0, 5, 0));
    }

    #[test]
    fn a_new_file_is_another_one_and_without_inodes_the_name_decides() {
        let other = Join::default();
        let mark = |name: &str, file| other.mark(&key(name), &file);
        assert_eq!(mark("a", file(1, 1)), mark("b/c", file(1, 1)));
        assert_ne!(mark("a", file(1, 1)), mark("a", file(2, 1)));
        assert_ne!(mark("a", file(1, 1)), mark("a", file(1, 2)));
        assert_eq!(mark("a", file(0, 1)), mark("b/a", file(0, 1)));
        assert_ne!(mark("a", file(0, 1)), mark("b", file(0, 1)));
    }
}
