//! Gives the keys of a bucket in S3's order (UTF-8 bytes), one folder at a time.
//!
//! A folder's names are read and sorted once, and kept while they are in use, so that a
//! listing costs no more than its pages. Memory is bounded by the names kept, or by the
//! largest folder where that is more. It knows only keys; the log knows whether one still
//! has a version.

use super::layout::{KeyPlace, Name};
use super::log::Log;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Names kept over all folders: about 25 MB.
const NAMES_KEPT_MAX: usize = 300_000;

/// How long names are believed while another process may be writing.
const FOREIGN_WRITER_TRUST: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Folder,
    Key,
}

/// One folder's names; those of folders end with `/`.
#[derive(Debug, Default)]
struct Names {
    sorted: BTreeMap<Box<str>, Kind>,
    read_at: Option<Instant>,
}

#[derive(Debug, Clone, Default)]
struct Shelf(Arc<Mutex<Names>>);

impl Shelf {
    fn lock(&self) -> parking_lot::MutexGuard<'_, Names> {
        self.0.lock()
    }
}

#[derive(Debug, Default)]
struct Kept {
    /// By folder beneath the hidden tree: when last used, how many names.
    shelves: HashMap<PathBuf, (Shelf, u64, usize)>,
    clock: u64,
}

/// The cache of folders' names.
#[derive(Debug, Default)]
pub(super) struct NameCache {
    kept: Mutex<Kept>,
    /// Folders read from the disk so far; tests count on it.
    pub(super) reads: AtomicU64,
}

impl NameCache {
    fn kept(&self) -> parking_lot::MutexGuard<'_, Kept> {
        self.kept.lock()
    }

    /// Forget everything (another process may have written).
    pub(super) fn clear(&self) {
        self.kept().shelves.clear();
    }

    /// Forget one bucket.
    pub(super) fn forget(&self, keys: &Path) {
        self.kept()
            .shelves
            .retain(|path, _| !path.starts_with(keys));
    }

    /// The names in `folder`, read from the disk unless they are known.
    fn shelf(&self, folder: &Path, prefix: &str, is_sole_writer: bool) -> io::Result<Shelf> {
        let shelf = {
            let mut kept = self.kept();
            kept.clock += 1;
            let now = kept.clock;
            let (shelf, used, _) = kept.shelves.entry(folder.to_owned()).or_default();
            *used = now;
            shelf.clone()
        };
        // Read while holding the lock: a key that is added meanwhile waits, and then adds
        // its name, so none is missed.
        let mut names = shelf.lock();
        let is_fresh = names
            .read_at
            .is_some_and(|at| is_sole_writer || at.elapsed() < FOREIGN_WRITER_TRUST);
        if !is_fresh {
            self.reads.fetch_add(1, Ordering::Relaxed);
            names.sorted = read(folder, prefix)?;
            names.read_at = Some(Instant::now());
            let count = names.sorted.len();
            drop(names);
            self.make_room(folder, count);
        } else {
            drop(names);
        }
        Ok(shelf)
    }

    /// Note how many names a folder has, and forget what was used longest ago.
    fn make_room(&self, folder: &Path, count: usize) {
        let mut kept = self.kept();
        if let Some(entry) = kept.shelves.get_mut(folder) {
            entry.2 = count;
        }
        let mut total: usize = kept.shelves.values().map(|(_, _, n)| n + 1).sum();
        while total > NAMES_KEPT_MAX && kept.shelves.len() > 1 {
            let oldest = kept
                .shelves
                .iter()
                .filter(|(path, _)| path.as_path() != folder)
                .min_by_key(|(_, (_, used, _))| *used)
                .map(|(path, (_, _, n))| (path.clone(), n + 1));
            let Some((path, n)) = oldest else { break };
            kept.shelves.remove(&path);
            total -= n;
        }
    }

    fn change(&self, folder: &Path, change: impl FnOnce(&mut BTreeMap<Box<str>, Kind>)) {
        let shelf = self
            .kept()
            .shelves
            .get(folder)
            .map(|(shelf, _, _)| shelf.clone());
        if let Some(shelf) = shelf {
            let mut names = shelf.lock();
            if names.read_at.is_some() {
                change(&mut names.sorted);
            }
        }
    }

    /// A key's log now exists on the disk.
    pub(super) fn added(&self, keys: &Path, key: &str) {
        for_each_name(keys, key, |folder, name, kind| {
            self.change(folder, |sorted| {
                sorted.insert(name.into(), kind);
            });
        });
    }

    /// A key's log was removed from the disk, and with it the folders that
    /// `is_gone` says are no longer there.
    pub(super) fn removed(&self, keys: &Path, key: &str, is_gone: impl Fn(&Path) -> bool) {
        for_each_name(keys, key, |folder, name, kind| {
            let child = match kind {
                Kind::Key => true,
                Kind::Folder => {
                    let part = KeyPlace::of(name).folders.into_iter().next();
                    part.is_some_and(|part| is_gone(&folder.join(part)))
                }
            };
            if child {
                self.change(folder, |sorted| {
                    sorted.remove(name);
                });
            }
        });
    }
}

/// Call `visit` for every level of a key: the folder on the disk and the name in it.
fn for_each_name(keys: &Path, key: &str, mut visit: impl FnMut(&Path, &str, Kind)) {
    let mut folder = keys.to_owned();
    let mut rest = key;
    for part in KeyPlace::of(key).folders {
        let cut = rest.find('/').map_or(rest.len(), |at| at + 1);
        visit(&folder, &rest[..cut], Kind::Folder);
        folder.push(part);
        rest = &rest[cut..];
    }
    visit(&folder, rest, Kind::Key);
}

/// Read one folder of logs. `prefix` is the text of the keys' common head.
fn read(folder: &Path, prefix: &str) -> io::Result<BTreeMap<Box<str>, Kind>> {
    let mut names = BTreeMap::new();
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(names),
        Err(e) => return Err(e),
    };
    for entry in entries {
        let file = entry?.file_name();
        match file.to_str().and_then(Name::parse) {
            Some(Name::Folder(name)) => names.insert(name.into(), Kind::Folder),
            Some(Name::Key(name)) => names.insert(name.into(), Kind::Key),
            Some(Name::Hashed) => {
                // Its name is in the log; without a first line no version was ever completed.
                let head = match Log::open(&folder.join(&file))? {
                    Some(log) => log.head()?,
                    None => None,
                };
                let name = head.as_deref().and_then(|key| key.strip_prefix(prefix));
                name.and_then(|name| names.insert(name.into(), Kind::Key))
            }
            None => None,
        };
    }
    Ok(names)
}

/// Goes through a bucket's keys in order.
#[derive(Debug)]
pub(super) struct Walker<'a> {
    cache: &'a NameCache,
    keys: PathBuf,
    is_sole_writer: bool,
    /// The folders being walked, outermost first.
    stack: Vec<Level>,
}

#[derive(Debug)]
struct Level {
    shelf: Shelf,
    folder: PathBuf,
    prefix: String,
    after: Bound<Box<str>>,
}

impl<'a> Walker<'a> {
    /// A walk that begins at `start`.
    pub(super) fn new(
        cache: &'a NameCache,
        keys: &Path,
        is_sole_writer: bool,
        start: Bound<&str>,
    ) -> io::Result<Self> {
        let mut walker = Self {
            cache,
            keys: keys.to_owned(),
            is_sole_writer,
            stack: Vec::new(),
        };
        walker.seek(start)?;
        Ok(walker)
    }

    /// Go on from `start`, forwards or backwards.
    pub(super) fn seek(&mut self, start: Bound<&str>) -> io::Result<()> {
        let (mut rest, is_included) = match start {
            Bound::Included(key) => (key, true),
            Bound::Excluded(key) => (key, false),
            Bound::Unbounded => ("", true),
        };
        self.stack.clear();
        self.enter(self.keys.clone(), String::new())?;
        // Enter the folders that the bound lies in. No other folder can hold
        // keys on both sides of it.
        while let Some(cut) = rest.find('/') {
            let name = &rest[..=cut];
            let Some(level) = self.stack.last_mut() else {
                break;
            };
            if level.shelf.lock().sorted.get(name) != Some(&Kind::Folder) {
                break;
            }
            level.after = Bound::Excluded(name.into());
            let (folder, prefix) = child(level, name);
            self.enter(folder, prefix)?;
            rest = &rest[cut + 1..];
        }
        if let Some(level) = self.stack.last_mut() {
            level.after = if is_included {
                Bound::Included(rest.into())
            } else {
                Bound::Excluded(rest.into())
            };
        }
        Ok(())
    }

    fn enter(&mut self, folder: PathBuf, prefix: String) -> io::Result<()> {
        let shelf = self.cache.shelf(&folder, &prefix, self.is_sole_writer)?;
        self.stack.push(Level {
            shelf,
            folder,
            prefix,
            after: Bound::Unbounded,
        });
        Ok(())
    }

    /// The next key.
    pub(super) fn next_key(&mut self) -> io::Result<Option<String>> {
        while let Some(level) = self.stack.last_mut() {
            let next = {
                let names = level.shelf.lock();
                let after = level.after.as_ref().map(|name| &**name);
                names
                    .sorted
                    .range::<str, _>((after, Bound::Unbounded))
                    .next()
                    .map(|(name, &kind)| (name.clone(), kind))
            };
            match next {
                None => {
                    self.stack.pop();
                }
                Some((name, kind)) => {
                    let key = format!("{}{name}", level.prefix);
                    let (folder, prefix) = child(level, &name);
                    level.after = Bound::Excluded(name);
                    if kind == Kind::Key {
                        return Ok(Some(key));
                    }
                    self.enter(folder, prefix)?;
                }
            }
        }
        Ok(None)
    }
}

/// The folder on the disk and the key prefix of the folder `name` in `level`.
fn child(level: &Level, name: &str) -> (PathBuf, String) {
    let mut folder = level.folder.clone();
    if let Some(part) = KeyPlace::of(name).folders.into_iter().next() {
        folder.push(part);
    }
    (folder, format!("{}{name}", level.prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Disk;
    use crate::record::{Entry, to_line};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// Put an empty log where the key belongs.
    fn place(keys: &Path, key: &str) {
        let place = KeyPlace::of(key);
        let mut path = keys.to_owned();
        path.extend(&place.folders);
        Disk::default().make_dirs(&path).unwrap();
        let head = Entry::Head {
            key: key.to_owned(),
        };
        std::fs::write(path.join(place.file), to_line(&head).unwrap()).unwrap();
    }

    fn all(walker: &mut Walker<'_>) -> Vec<String> {
        std::iter::from_fn(|| walker.next_key().unwrap()).collect()
    }

    fn key() -> impl Strategy<Value = String> {
        prop_oneof![
            8 => "[aAbé/. -]{1,8}",
            1 => "[ab]/[ab]{201,205}(/[ab]{1,2})?",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn keys_come_in_byte_order_from_any_start(
            before in proptest::collection::btree_set(key(), 0..25),
            later in proptest::collection::btree_set(key(), 0..10),
            starts in proptest::collection::vec((key(), any::<bool>()), 1..8),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let keys = folder.path().join("keys");
            std::fs::create_dir(&keys).unwrap();
            let cache = NameCache::default();
            before.iter().for_each(|key| place(&keys, key));
            let mut walker = Walker::new(&cache, &keys, true, Bound::Unbounded).unwrap();
            prop_assert_eq!(all(&mut walker), before.iter().cloned().collect::<Vec<_>>());
            // Names that come later are seen although the folders are in memory.
            for key in &later {
                place(&keys, key);
                cache.added(&keys, key);
            }
            let model: BTreeSet<String> = before.union(&later).cloned().collect();
            for (start, is_included) in starts {
                let bound = if is_included { Bound::Included(start.as_str()) } else { Bound::Excluded(start.as_str()) };
                walker.seek(bound).unwrap();
                let expected: Vec<String> = model.range::<str, _>((bound, Bound::Unbounded)).cloned().collect();
                prop_assert_eq!(all(&mut walker), expected, "from {:?}", bound);
            }
        }
    }

    #[test]
    fn turning_pages_reads_a_folder_once() {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys");
        std::fs::create_dir(&keys).unwrap();
        let names: Vec<String> = (0..200).map(|n| format!("flat/{n:04}")).collect();
        names.iter().for_each(|key| place(&keys, key));
        let cache = NameCache::default();
        for start in &names {
            let mut walker =
                Walker::new(&cache, &keys, true, Bound::Included(start.as_str())).unwrap();
            assert_eq!(walker.next_key().unwrap().as_ref(), Some(start));
        }
        assert_eq!(cache.reads.load(Ordering::Relaxed), 2);
    }
}
