//! Opens folders that keep their own owner out, for the time of writing.
//!
//! A restore sets the modes of folders at its end, so a restore that was interrupted may have
//! left folders that accept no files any more. An account other than root could then never
//! complete it. Invariants: only folders of this account are opened, and each gets its own mode
//! back, or that of the backup, at the latest when the target is dropped.

use super::Target;
use crate::files::fault;
use crate::files::fault::shown;
use crate::os;
use crate::os::Dir;
use crate::types::RelPath;

/// What an owner needs to make something in a folder, and to list it.
pub(super) const MODE_OPENED: u32 = 0o700;

/// To make something in it, and to reach what is in it.
const MODE_TO_WRITE: u32 = 0o300;
const MODE_TO_PASS: u32 = 0o100;

/// Folders that are open at once; at 200 bytes each 20 MB. Those beyond stay closed,
/// and what belongs in them is named.
const OPENED_MAX: usize = 100_000;

impl Target {
    /// The mode that a folder had before it was opened.
    pub(super) fn mode_before(&self, rel: &RelPath) -> Option<u32> {
        self.opened.lock().get(rel).copied()
    }

    /// It has its mode: nothing is to be given back.
    pub(super) fn forget_opened(&self, rel: &RelPath) {
        self.opened.lock().remove(rel);
    }

    /// Let this account write in a folder, if it is its own. What cannot be done
    /// shows when something is written. Blocks.
    pub(super) fn open_to_write(&self, dir: &Dir, at: &RelPath) {
        self.open_for(dir, at, MODE_TO_WRITE);
    }

    /// The same for reaching what is in it.
    pub(super) fn open_to_pass(&self, dir: &Dir, at: &RelPath) {
        self.open_for(dir, at, MODE_TO_PASS);
    }

    fn open_for(&self, dir: &Dir, at: &RelPath, needed: u32) {
        if os::is_privileged() {
            return;
        }
        let Ok(found) = dir.stat_self() else {
            return;
        };
        let mode = found.fingerprint.mode;
        if mode & needed == needed || !os::is_own(&found.fingerprint) {
            return;
        }
        let mut opened = self.opened.lock();
        if opened.len() >= OPENED_MAX && !opened.contains_key(at) {
            return;
        }
        if dir.set_self_mode(mode | MODE_OPENED).is_ok() {
            opened.entry(at.clone()).or_insert(mode);
        }
    }

    /// Make the way to a path passable. Blocks.
    pub(super) fn open_the_way(&self, rel: &RelPath) {
        let Ok(mut dir) = self.dir.try_clone() else {
            return;
        };
        let mut at = RelPath::root();
        for name in rel.components() {
            self.open_to_pass(&dir, &at);
            let (Ok(inner), Ok(next)) = (dir.open_dir(&os::storable_name(name)), at.join(name))
            else {
                return;
            };
            (dir, at) = (inner, next);
        }
    }

    /// Give every folder that is still open the mode that it had. Blocks.
    pub(super) fn close_opened(&self) {
        self.close_once();
        // What had to be opened on the way there.
        self.close_once();
    }

    fn close_once(&self) {
        let opened = std::mem::take(&mut *self.opened.lock());
        // What is inside comes before what it is in.
        for (rel, mode) in opened.iter().rev() {
            let done = match self.inner(rel) {
                Ok(Some(dir)) => dir.set_self_mode(*mode),
                Ok(None) | Err(_) => continue,
            };
            if let Err(error) = done {
                let fault = fault::writing("close the folder", shown(rel), &error);
                tracing::warn!("{fault}");
            }
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.close_opened();
    }
}
