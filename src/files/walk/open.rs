//! Which folders a walk has open: down to where it begins, and again what had to be
//! closed.

use super::walker::{FOLDERS_OPEN_MAX, Frame, Walk};
use crate::files::fault;
use crate::files::fault::shown;
use crate::files::root::root_fault;
use crate::os;
use crate::os::Dir;
use crate::types::{RelKey, RelPath};
use std::io;

impl Walk<'_> {
    /// Open the root and go down to the folder that the subtree is in.
    pub(super) fn begin(&mut self, subtree: &RelPath) {
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

    /// Begin with the one child `name` of the folder `dir`.
    pub(super) fn begin_in(&mut self, dir: Dir, name: &[u8]) {
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

    /// The innermost folder, opened again when it had to be closed. `None` when
    /// that fails: the rest of the folder is then given up, and said to be
    /// unknown unless it is simply gone.
    pub(super) fn current_dir(&mut self) -> Option<&Dir> {
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
    pub(super) fn reopen(&mut self) -> io::Result<()> {
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
