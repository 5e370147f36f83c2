//! The walk through a source, in the order of the index and of the bucket.
//!
//! It holds one folder's names per level and a bounded number of open folders,
//! never follows a link, and never goes silent: what it could not see, it
//! names, so that nothing there is taken for deleted.

mod child;
pub(crate) mod found;
pub(crate) mod noted;

use super::fault;
use crate::os;
use found::{WalkEntry, WalkFault};
use noted::Noted;

use super::fault::shown;
use super::root::root_fault;
use super::rules::{Chain, RULE_FILE_NAME, Rules};
use crate::os::Dir;
use crate::types::{Class, Fault, Kind, RelKey, RelPath};
use child::Child;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

/// Folders that one walk keeps open; deeper trees are opened again on the way
/// back up. Far below the 256 open files that macOS gives a process.
const FOLDERS_OPEN_MAX: usize = 32;

/// The longest path that is walked into. Windows ends at 32,767 characters,
/// and Linux's calls take 4,096 bytes at a time: S3 holds no longer one, so the folder becomes a fault instead.
const PATH_BYTES_MAX: usize = 32 * 1024;

/// A walk in progress; see [`walk`].
#[derive(Debug)]
pub struct Walk<'r> {
    rules: &'r Rules,
    root: PathBuf,
    /// The subtree to walk, until the walk has begun.
    start: Option<RelPath>,
    /// The open root, for opening folders again.
    root_dir: Option<Dir>,
    /// The folders being walked, outermost first.
    frames: Vec<Frame>,
    /// The path of the innermost one.
    folder: RelPath,
    /// Its key, with which the keys of all that is in it begin.
    folder_key: RelKey,
    /// The rule files that count in it.
    chain: Chain,
    /// Found and not yet given out.
    ready: VecDeque<Result<WalkEntry, WalkFault>>,
    /// What rules decided about, for whoever counts it.
    noted: Option<RefCell<Vec<Noted>>>,
}

/// A folder being walked.
#[derive(Debug)]
struct Frame {
    /// `None` when too many are open.
    dir: Option<Dir>,
    /// What tells it from another folder put in its place.
    id: (u64, u64),
    /// What is still to be looked at, the next one last.
    rest: Vec<Child>,
    /// How many rule files count in the folder above.
    chain_len: usize,
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

    /// Open the root and go down to the folder that the subtree is in.
    fn begin(&mut self, subtree: &RelPath) {
        let opened = Dir::open(&self.root).and_then(|dir| Ok((dir.try_clone()?, dir)));
        let mut dir = match opened {
            Ok((kept, dir)) => {
                self.root_dir = Some(kept);
                dir
            }
            Err(error) => {
                // Everything: a narrower folder key would not cover a subtree
                // that is a file.
                let fault = root_fault("list", &self.root, &error);
                return self.lost(fault, RelKey::of_folder(&RelPath::root()));
            }
        };
        if subtree.is_root() {
            return match dir.stat_self() {
                Ok(found) => self.enter(dir, subtree.clone(), found, None),
                Err(error) => {
                    let fault = root_fault("list", &self.root, &error);
                    self.lost(fault, RelKey::of_folder(subtree));
                }
            };
        }
        let mut names = subtree.components().peekable();
        while let Some(name) = names.next() {
            if let Some(file) = self.rules.load(&dir, &self.folder) {
                self.chain.push(&self.folder, file);
            }
            if names.peek().is_none() {
                return self.begin_in(dir, name);
            }
            let Ok(next) = self.folder.join(name) else {
                return;
            };
            if self.rules.leaves_out(&self.chain, next.as_bytes(), true) {
                return;
            }
            dir = match dir.open_dir(name) {
                Ok(next) => next,
                Err(error) if os::trouble(&error).is_no_folder() => return,
                Err(error) => {
                    let fault = fault::reading("list", shown(&next), &error);
                    return self.lost(fault, RelKey::of_folder(&next));
                }
            };
            self.set_folder(next);
        }
    }

    /// Go on in that folder; gives the one before.
    fn set_folder(&mut self, folder: RelPath) -> RelPath {
        self.folder_key = RelKey::of_folder(&folder);
        std::mem::replace(&mut self.folder, folder)
    }

    /// Begin with the one child `name` of the folder `dir`.
    fn begin_in(&mut self, dir: Dir, name: &[u8]) {
        let mut rest = Vec::new();
        self.sort_in(&dir, name, None, &mut rest);
        let id = match dir.stat_self() {
            Ok(found) => (found.dev, found.fingerprint.inode),
            Err(error) => {
                let fault = fault::reading("list", shown(&self.folder), &error);
                let subtree = RelKey::of_folder(&self.folder);
                return self.lost(fault, subtree);
            }
        };
        rest.sort_unstable_by(|a, b| b.cmp(a));
        self.frames.push(Frame {
            dir: Some(dir),
            id,
            rest,
            chain_len: 0,
        });
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
    fn enter(&mut self, dir: Dir, path: RelPath, found: os::Found, key: Option<RelKey>) {
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
        let rule_file = self.rules.load(&dir, &self.folder);
        let rule_fault = rule_file.as_ref().and_then(|file| file.fault.clone());
        if let Some(file) = rule_file {
            if let Some(noted) = &self.noted {
                let lines = file.lines.iter();
                noted
                    .borrow_mut()
                    .extend(lines.map(|line| Noted::seen(&self.folder, line)));
            }
            self.chain.push(&self.folder, file);
        }
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

    /// The names that count in the folder `dir`, the first one last, and
    /// whether none of them can be stored.
    fn list(&self, dir: &Dir) -> io::Result<(Vec<Child>, bool)> {
        let mut rest = Vec::new();
        let mut empty = true;
        dir.list(|name, kind| {
            let before = rest.len();
            let kind = self.sort_in(dir, name, kind, &mut rest);
            empty &= rest.len() == before || kind == Some(Kind::Special);
        })?;
        rest.sort_unstable_by(|a, b| b.cmp(a));
        Ok((rest, empty))
    }

    /// Add a name to the children unless it is left out; gives its kind.
    fn sort_in(
        &self,
        dir: &Dir,
        name: &[u8],
        kind: Option<Kind>,
        rest: &mut Vec<Child>,
    ) -> Option<Kind> {
        let kind = match kind {
            Some(kind) => kind,
            None => match dir.stat(name) {
                Ok(found) => found.fingerprint.kind,
                Err(error) => {
                    let is_gone = os::trouble(&error).is_no_folder();
                    for is_folder in [false, true] {
                        if !is_gone && !self.leaves_out(name, is_folder) {
                            rest.push(Child::new(name, is_folder, true));
                        }
                    }
                    return None;
                }
            },
        };
        if !self.leaves_out(name, kind == Kind::Folder) {
            rest.push(Child::new(name, kind == Kind::Folder, false));
        }
        Some(kind)
    }

    /// Whether a child of the innermost folder is left out.
    fn leaves_out(&self, name: &[u8], is_folder: bool) -> bool {
        if !self.rules.have_patterns(&self.chain) {
            return self.rules.leaves_out(&self.chain, name, is_folder);
        }
        // The system's own names are single components: this cannot fail.
        self.folder.join(name).is_ok_and(|path| {
            let is_out = self
                .rules
                .leaves_out(&self.chain, path.as_bytes(), is_folder);
            if let Some(noted) = &self.noted {
                let decided = self.rules.decided(&self.chain, path.as_bytes(), is_folder);
                let decided = decided.filter(|decided| decided.takes_in != is_out);
                noted
                    .borrow_mut()
                    .extend(decided.map(|decided| Noted::decided(&path, is_folder, &decided)));
            }
            is_out
        })
    }

    /// Put a child that has become a folder in its place.
    fn insert(&mut self, child: Child) {
        if let Some(frame) = self.frames.last_mut()
            && let Err(at) = frame.rest.binary_search_by(|other| child.cmp(other))
        {
            frame.rest.insert(at, child);
        }
    }

    fn leave(&mut self) {
        if let Some(frame) = self.frames.pop() {
            self.chain.truncate(frame.chain_len);
            self.set_folder(self.folder.parent().unwrap_or_default());
        }
    }

    fn lost(&mut self, fault: Fault, subtree: RelKey) {
        self.ready.push_back(Err(WalkFault { fault, subtree }));
    }

    /// The innermost folder, opened again when it had to be closed. `None` when
    /// that fails: the rest of the folder is then given up, and said to be
    /// unknown unless it is simply gone.
    fn current_dir(&mut self) -> Option<&Dir> {
        if self.frames.last()?.dir.is_none()
            && let Err(error) = self.reopen()
        {
            if let Some(frame) = self.frames.last_mut() {
                frame.rest.clear();
            }
            if !os::trouble(&error).is_no_folder() {
                let fault = fault::reading("list", shown(&self.folder), &error);
                let subtree = RelKey::of_folder(&self.folder);
                self.lost(fault, subtree);
            }
        }
        self.frames.last()?.dir.as_ref()
    }

    /// Open the innermost folder again from the root down, and on the way the
    /// ones above it that will be needed next.
    fn reopen(&mut self) -> io::Result<()> {
        let Some(root) = &self.root_dir else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let depth = self.folder.components().count();
        // The frames are the innermost levels of the path.
        let is_wanted = |level| depth - level < self.frames.len().min(FOLDERS_OPEN_MAX);
        let mut dir = root.try_clone()?;
        let mut opened = Vec::new();
        if is_wanted(0) {
            opened.push(dir.try_clone()?);
        }
        for (above, name) in self.folder.components().enumerate() {
            dir = dir.open_dir(name)?;
            if is_wanted(above + 1) {
                opened.push(dir.try_clone()?);
            }
        }
        for (up, dir) in opened.into_iter().rev().enumerate() {
            let at = self.frames.len() - 1 - up;
            let found = dir.stat_self()?;
            if self.frames[at].id == (found.dev, found.fingerprint.inode) {
                self.frames[at].dir = Some(dir);
            } else if up == 0 {
                // Renamed meanwhile, and another one put in its place.
                return Err(io::Error::other("another folder has taken its place"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
