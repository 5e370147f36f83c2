//! Gives folders their mode, owner, time and attributes.
//!
//! Invariants: a folder that has an object of its own at the moment is as that
//! says, empty or not, whichever worker comes first; one without is as the
//! manifest says, and private where there is none. No folder is closed before
//! all that is in it is there. Folders in use keep what they have.

use super::content::PRIVATE_FOLDERS;
use super::request::Options;
use super::stats::RestoreStats;
use crate::files::{Committed, Keep, Looks, MODE_OF_MADE, Target};
use crate::types::{Attributes, Fault, RelPath};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;

/// Mode bits without which an owner can make nothing in a folder.
const MODE_OPEN: u32 = 0o300;

/// Folders that are closed at the end; at 200 bytes each 2 MB. Those beyond are
/// closed at once: what is in them may then not come back, and is named.
const CLOSED_MAX: usize = 10_000;

/// Folders of which is known that their own object was brought; at 200 bytes
/// each 20 MB. Beyond, the list alone says whether there is one, and that may be
/// another program's.
const BROUGHT_MAX: usize = 100_000;

/// The folders of one restore.
pub(crate) struct Folders {
    target: Arc<Target>,
    stats: Arc<RestoreStats>,
    /// Which folders keep what they have.
    keep: Keep,
    book: FolderBook,
}

/// What is remembered of folders until the end.
#[derive(Debug, Default)]
struct FolderBook {
    closed: Mutex<Vec<Waiting>>,
    brought: Mutex<HashSet<RelPath>>,
}

/// A folder that waits for its looks.
#[derive(Debug)]
struct Waiting {
    path: RelPath,
    looks: Looks,
    attributes: Attributes,
    keep: Keep,
}

impl FolderBook {
    fn note_brought(&self, path: &RelPath) {
        let mut brought = self.brought.lock();
        if brought.len() < BROUGHT_MAX {
            brought.insert(path.clone());
        }
    }

    /// Its own object has said what it is like; `is_listed` when the list has one.
    fn is_brought(&self, path: &RelPath, is_listed: bool) -> bool {
        let brought = self.brought.lock();
        brought.contains(path) || (is_listed && brought.len() == BROUGHT_MAX)
    }

    /// Remember the folder until the end; gives it back when it must be done at once.
    fn put_off(&self, folder: Waiting) -> Option<Waiting> {
        let mut closed = self.closed.lock();
        if is_open(folder.looks) || closed.len() >= CLOSED_MAX {
            return Some(folder);
        }
        closed.push(folder);
        None
    }
}

fn is_open(looks: Looks) -> bool {
    looks.mode & MODE_OPEN == MODE_OPEN
}

/// Which folders of the target keep what they have.
fn keep_of(options: &Options) -> Keep {
    match (options.in_place, options.overwrite) {
        (Some(_), _) => Keep::NotMade,
        (None, true) => Keep::Nothing,
        (None, false) => Keep::Chosen,
    }
}

impl Folders {
    pub(crate) fn new(target: Arc<Target>, stats: Arc<RestoreStats>, options: &Options) -> Self {
        Self {
            target,
            stats,
            keep: keep_of(options),
            book: FolderBook::default(),
        }
    }

    /// Bring a folder by its own object. Blocks.
    pub(crate) fn bring(
        &self,
        path: &RelPath,
        looks: Looks,
        attributes: Attributes,
    ) -> Result<Committed, Fault> {
        let mode = if is_open(looks) {
            looks.mode
        } else {
            MODE_OF_MADE
        };
        let first = Looks { mode, ..looks };
        // Given with the mode that it keeps.
        let at_once = match first == looks {
            true => attributes.clone(),
            false => Attributes::default(),
        };
        let committed = self.target.folder(path, first, &at_once, PRIVATE_FOLDERS)?;
        if matches!(committed, Committed::AlreadyThere) {
            self.is_there(path, looks, attributes);
            return Ok(committed);
        }
        self.book.note_brought(path);
        if first != looks {
            self.finish_in_turn(path, looks, attributes, Keep::Nothing);
        }
        Ok(committed)
    }

    /// A folder with an object of its own exists already, because of what is in it or
    /// because somebody else made it. Blocks.
    pub(crate) fn is_there(&self, path: &RelPath, looks: Looks, attributes: Attributes) {
        self.book.note_brought(path);
        self.finish_in_turn(path, looks, attributes, self.keep);
    }

    /// What the manifest says of a folder, for one without an object; `is_listed`
    /// when the list has something by its name. Blocks.
    pub(crate) fn by_manifest(
        &self,
        path: &RelPath,
        looks: Looks,
        attributes: Attributes,
        is_listed: bool,
    ) {
        if !self.book.is_brought(path, is_listed) {
            self.finish_in_turn(path, looks, attributes, self.keep);
        }
    }

    /// Now, or at the end where it would close.
    fn finish_in_turn(&self, path: &RelPath, looks: Looks, attributes: Attributes, keep: Keep) {
        let folder = Waiting {
            path: path.clone(),
            looks,
            attributes,
            keep,
        };
        if let Some(folder) = self.book.put_off(folder) {
            self.finish(&folder);
        }
    }

    fn finish(&self, folder: &Waiting) {
        let done =
            self.target
                .finish_folder(&folder.path, folder.looks, &folder.attributes, folder.keep);
        match done {
            Ok(None) => {}
            Ok(Some(fault)) | Err(fault) => self.stats.left_out(fault),
        }
    }

    /// Everything is there: close what was kept open. Blocks.
    pub(crate) fn close(&self) {
        let closed = &self.book.closed;
        let mut closed = std::mem::take(&mut *closed.lock());
        // What is inside comes before what it is in.
        closed.sort_by(|a, b| b.path.cmp(&a.path));
        for folder in &closed {
            self.finish(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str, mode: u32) -> Waiting {
        Waiting {
            path: RelPath::from_bytes(name).unwrap(),
            looks: Looks {
                mode,
                mtime_ns: 0,
                owner: None,
            },
            attributes: Attributes::default(),
            keep: Keep::Chosen,
        }
    }

    #[test]
    fn only_folders_that_would_keep_something_out_wait_and_so_many_of_them() {
        for (mode, waits) in [
            (0o700, false),
            (0o2755, false),
            (0o300, false),
            (0o500, true),
            (0o600, true),
            (0o077, true),
        ] {
            let now = FolderBook::default().put_off(folder("a", mode));
            assert_eq!(now.is_none(), waits, "{mode:o}");
        }
        let folders = FolderBook::default();
        for number in 0..CLOSED_MAX {
            let now = folders.put_off(folder(&number.to_string(), 0o500));
            assert!(now.is_none(), "{number}");
        }
        assert!(folders.put_off(folder("one more", 0o500)).is_some());
    }

    #[test]
    fn beyond_what_is_remembered_the_list_decides() {
        let folders = FolderBook::default();
        let path = |number: usize| RelPath::from_bytes(number.to_string()).unwrap();
        folders.note_brought(&path(0));
        for (number, is_listed, want) in [(0, false, true), (1, false, false), (1, true, false)] {
            assert_eq!(folders.is_brought(&path(number), is_listed), want);
        }
        for number in 1..=BROUGHT_MAX {
            folders.note_brought(&path(number));
        }
        let last = path(BROUGHT_MAX);
        assert!(!folders.is_brought(&last, false) && folders.is_brought(&last, true));
    }
}
