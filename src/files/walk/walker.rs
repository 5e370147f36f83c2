//! The walk itself: one step after the other, from folder to folder.

use super::child::Child;
use super::found::{WalkEntry, WalkFault};
use super::noted::Noted;
use crate::files::fault;
use crate::files::fault::shown;
use crate::files::root::root_fault;
use crate::files::rules::{Chain, RULE_FILE_NAME, Rules};
use crate::os;
use crate::os::Dir;
use crate::types::{Class, Fault, Kind, RelKey, RelPath};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

/// Folders that one walk keeps open; deeper trees are opened again on the way
/// back up. Far below the 256 open files that macOS gives a process.
pub(super) const FOLDERS_OPEN_MAX: usize = 32;

/// The longest path that is walked into. Windows ends at 32,767 characters,
/// and Linux's calls take 4,096 bytes at a time: S3 holds no longer one, so the folder becomes a fault instead.
const PATH_BYTES_MAX: usize = 32 * 1024;

/// A walk in progress; see [`walk`].
#[derive(Debug)]
pub struct Walk<'r> {
    pub(super) rules: &'r Rules,
    pub(super) root: PathBuf,
    /// The subtree to walk, until the walk has begun.
    pub(super) start: Option<RelPath>,
    /// The open root, for opening folders again.
    pub(super) root_dir: Option<Dir>,
    /// The folders being walked, outermost first.
    pub(super) frames: Vec<Frame>,
    /// The path of the innermost one.
    pub(super) folder: RelPath,
    /// Its key, with which the keys of all that is in it begin.
    pub(super) folder_key: RelKey,
    /// The rule files that count in it.
    pub(super) chain: Chain,
    /// Found and not yet given out.
    pub(super) ready: VecDeque<Result<WalkEntry, WalkFault>>,
    /// What rules decided about, for whoever counts it.
    pub(super) noted: Option<RefCell<Vec<Noted>>>,
}

/// A folder being walked.
#[derive(Debug)]
pub(super) struct Frame {
    /// `None` when too many are open.
    pub(super) dir: Option<Dir>,
    /// What tells it from another folder put in its place.
    pub(super) id: (u64, u64),
    /// What is still to be looked at, the next one last.
    pub(super) rest: Vec<Child>,
    /// How many rule files count in the folder above.
    pub(super) chain_len: usize,
}

/// Walk what is at and below `subtree` and not left out by `rules`, in key
/// order: a folder (but the root) before what is in it, special files too.
/// Mount points are walked into. An error about a folder comes in its place.
///
/// What is not there, or is left out, gives nothing; so does a folder that
/// vanishes meanwhile, except the root, which is a fault. Each step blocks, and
/// `subtree` may be a single file.
pub fn walk<'r>(root: &Path, subtree: &RelPath, rules: &'r Rules) -> Walk<'r> {
    Walk {
        rules,
        root: root.to_owned(),
        start: Some(subtree.clone()),
        root_dir: None,
        frames: Vec::new(),
        folder: RelPath::root(),
        folder_key: RelKey::of_folder(&RelPath::root()),
        chain: Chain::default(),
        ready: VecDeque::new(),
        noted: None,
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<WalkEntry, WalkFault>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            if let Some(subtree) = self.start.take() {
                self.begin(&subtree);
                continue;
            }
            let frame = self.frames.last_mut()?;
            match frame.rest.pop() {
                Some(child) => self.visit(&child),
                None => self.leave(),
            }
        }
    }
}

impl Walk<'_> {
    /// Note what rules decide about; see [`Walk::take_noted`].
    pub fn noting(mut self) -> Self {
        self.noted = Some(RefCell::default());
        self
    }

    /// What rules have decided about since the last call: at most what is in the
    /// folders between two entries.
    pub fn take_noted(&mut self) -> Vec<Noted> {
        self.noted.as_ref().map(RefCell::take).unwrap_or_default()
    }

    /// Go on in that folder; gives the one before.
    pub(super) fn set_folder(&mut self, folder: RelPath) -> RelPath {
        self.folder_key = RelKey::of_folder(&folder);
        std::mem::replace(&mut self.folder, folder)
    }

    /// Give out one child of the innermost folder, or go into it.
    fn visit(&mut self, child: &Child) {
        let name = child.name();
        let key = self.folder_key.child(child.key());
        let Some(dir) = self.current_dir() else {
            return;
        };
        if child.is_folder() && !child.is_lost {
            let path = key.path();
            let opened = dir.open_dir(&name).and_then(|sub| {
                let found = sub.stat_self()?;
                Ok((sub, found))
            });
            return match opened {
                Ok((sub, found)) => self.enter(sub, path, found, Some(key)),
                Err(error) if os::trouble(&error).is_no_folder() => {
                    self.no_folder_any_more(&name, &path);
                }
                Err(error) => self.lost(fault::reading("list", shown(&path), &error), key),
            };
        }
        match dir.stat(&name) {
            Ok(found) if found.fingerprint.kind == Kind::Folder => {
                // Its place among the keys is further on, or it is there already.
                if !child.is_lost && !self.leaves_out(&name, true) {
                    self.insert(Child::new(&name, true, false));
                }
                if child.is_lost && child.is_folder() {
                    self.visit(&Child::new(&name, true, false));
                }
            }
            Ok(_) if child.is_folder() => {}
            Ok(found) => self.ready.push_back(Ok(WalkEntry {
                key,
                fingerprint: found.fingerprint,
                empty: false,
                mounted: false,
                dev: found.dev,
                links: found.links,
            })),
            Err(error) if os::trouble(&error).is_no_folder() => {}
            Err(error) => {
                let fault = fault::reading("look at", shown(&key.path()), &error);
                self.lost(fault, key);
            }
        }
    }

    /// What was listed as a folder is none. Gone is gone; but a file or link
    /// in its place has a key that the walk has passed: say so.
    fn no_folder_any_more(&mut self, name: &[u8], path: &RelPath) {
        let Some(dir) = self.current_dir() else {
            return;
        };
        if matches!(dir.stat(name), Err(e) if os::trouble(&e).is_no_folder()) {
            return;
        }
        let fault = Fault::new(
            Class::Changed,
            "list",
            shown(path),
            "it was a folder a moment ago and is none any more",
        );
        self.lost(fault, RelKey::of_file(path));
    }

    /// List the open folder `dir` and go on in it.
    pub(super) fn enter(&mut self, dir: Dir, path: RelPath, found: os::Found, key: Option<RelKey>) {
        let subtree = RelKey::of_folder(&path);
        if path.as_bytes().len() > PATH_BYTES_MAX {
            let fault = Fault::new(
                Class::Unstorable,
                "list",
                shown(&path),
                format!("its path is longer than {PATH_BYTES_MAX} bytes"),
            )
            .hint("move it to a place with a shorter path");
            return self.lost(fault, subtree);
        }
        let chain_len = self.chain.len();
        let parent = self.set_folder(path);
        let rule_fault = self.take_rule_file(&dir);
        let (rest, empty) = match self.list(&dir) {
            Ok(listed) => listed,
            Err(error) => {
                self.chain.truncate(chain_len);
                let path = self.set_folder(parent);
                return match key {
                    None => self.lost(root_fault("list", &self.root, &error), subtree),
                    Some(_) if os::trouble(&error).is_no_folder() => {}
                    Some(_) => self.lost(fault::reading("list", shown(&path), &error), subtree),
                };
            }
        };
        if let Some(key) = key {
            let above = self.frames.last();
            self.ready.push_back(Ok(WalkEntry {
                key,
                fingerprint: found.fingerprint,
                empty,
                mounted: above.is_some_and(|above| above.id.0 != found.dev),
                dev: found.dev,
                links: found.links,
            }));
        }
        if let Some(fault) = rule_fault {
            let rule_file = self.folder.join(RULE_FILE_NAME.as_bytes());
            let unknown = rule_file.unwrap_or_else(|_| self.folder.clone());
            self.lost(fault, RelKey::of_file(&unknown));
        }
        self.frames.push(Frame {
            dir: Some(dir),
            id: (found.dev, found.fingerprint.inode),
            rest,
            chain_len,
        });
        if let Some(far) = self.frames.len().checked_sub(FOLDERS_OPEN_MAX + 1) {
            self.frames[far].dir = None;
        }
    }

    /// Let the innermost folder's rule file count; gives what is wrong with it.
    fn take_rule_file(&mut self, dir: &Dir) -> Option<Fault> {
        let file = self.rules.load(dir, &self.folder)?;
        if let Some(noted) = &self.noted {
            let lines = file.lines.iter();
            noted
                .borrow_mut()
                .extend(lines.map(|line| Noted::seen(&self.folder, line)));
        }
        let fault = file.fault.clone();
        self.chain.push(&self.folder, file);
        fault
    }

    fn leave(&mut self) {
        if let Some(frame) = self.frames.pop() {
            self.chain.truncate(frame.chain_len);
            self.set_folder(self.folder.parent().unwrap_or_default());
        }
    }

    pub(super) fn lost(&mut self, fault: Fault, subtree: RelKey) {
        self.ready.push_back(Err(WalkFault { fault, subtree }));
    }
}

#[cfg(test)]
#[path = "walker_tests.rs"]
mod tests;
