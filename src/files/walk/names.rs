//! The names in one folder that count: sorted in key order, without what is left out.

use super::child::Child;
use super::noted::Noted;
use super::walker::Walk;
use crate::os;
use crate::os::Dir;
use crate::types::Kind;
use std::io;

impl Walk<'_> {
    /// The names that count in the folder `dir`, the first one last, and
    /// whether none of them can be stored.
    pub(super) fn list(&self, dir: &Dir) -> io::Result<(Vec<Child>, bool)> {
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
    pub(super) fn sort_in(
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
    pub(super) fn leaves_out(&self, name: &[u8], is_folder: bool) -> bool {
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
    pub(super) fn insert(&mut self, child: Child) {
        if let Some(frame) = self.frames.last_mut()
            && let Err(at) = frame.rest.binary_search_by(|other| child.cmp(other))
        {
            frame.rest.insert(at, child);
        }
    }
}
