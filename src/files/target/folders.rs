//! Mode, owner and time of folders that exist already. They are set last, because a folder
//! that lets nobody in would keep out the files that belong in it.

use super::Target;
use super::looks::{Looks, dressed};
use super::opened::MODE_OPENED;
use crate::files::fault;
use crate::files::fault::shown;
use crate::os;
use crate::os::{Dir, Trouble};
use crate::types::{Attributes, Fault, RelPath};
use std::io;

/// What [`Target::begin`] gives a folder that it has to create for somebody
/// else's file: such a folder still waits for its own mode.
pub const MODE_OF_MADE: u32 = 0o700;

/// Which folders keep the mode, owner and time that they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Those with a mode that somebody chose: another than what a restore makes
    /// them with.
    Chosen,
    /// All that this very target has not created.
    NotMade,
    /// None.
    Nothing,
}

impl Target {
    /// Give a folder its own mode, owner, time and attributes, unless it keeps what it has.
    /// `Some` says what of it the disk would not take. Blocks.
    ///
    /// # Errors
    /// [`Fault`] when the folder cannot be looked at.
    pub fn finish_folder(
        &self,
        rel: &RelPath,
        looks: Looks,
        attributes: &Attributes,
        keep: Keep,
    ) -> Result<Option<Fault>, Fault> {
        if keep == Keep::NotMade && !self.has_made(rel) {
            return Ok(None);
        }
        let Some(dir) = self.inner(rel)? else {
            return Ok(None);
        };
        let Some(now) = self.existing(rel)? else {
            return Ok(None);
        };
        let before = self.mode_before(rel);
        if keep == Keep::Chosen && !waits(before, now.mode, looks.mode) {
            return Ok(None);
        }
        let done = dressed(&dir, looks, attributes, self.has_made(rel)).fault(shown(rel));
        self.forget_opened(rel);
        Ok(done)
    }

    /// The folder; `None` when nothing of it was wanted, or something else has its
    /// name.
    pub(super) fn inner(&self, rel: &RelPath) -> Result<Option<Dir>, Fault> {
        let failed = |error: &io::Error| fault::writing("finish the folder", shown(rel), error);
        let mut dir = self.dir.try_clone().map_err(|error| failed(&error))?;
        let mut at = RelPath::root();
        for name in rel.components() {
            self.open_to_pass(&dir, &at);
            at = at.join(name).unwrap_or_else(|_| rel.clone());
            dir = match dir.open_dir(&os::storable_name(name)) {
                Ok(inner) => inner,
                Err(error) => match os::trouble(&error) {
                    Trouble::Denied => return Err(failed(&error)),
                    _ => return Ok(None),
                },
            };
        }
        Ok(Some(dir))
    }
}

/// A folder still waits for its own mode: it has the one that a restore makes folders
/// with, or it was opened, now or by a restore that was killed, and had its own.
fn waits(before: Option<u32>, now: u32, own: u32) -> bool {
    match before {
        Some(before) => before == own || before == MODE_OF_MADE,
        None => now == MODE_OF_MADE || (now != own && now == own | MODE_OPENED),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    fn looks(mode: u32) -> Looks {
        Looks {
            mode,
            mtime_ns: 1_000_000_000,
            owner: None,
        }
    }

    #[test]
    fn made_folders_get_their_mode_and_chosen_ones_keep_theirs() {
        let temp = tempfile::tempdir().unwrap();
        let target = Target::open(temp.path()).unwrap();
        for (name, mode) in [("made", 0o700), ("made/in", 0o700), ("chosen", 0o711)] {
            fs::create_dir(temp.path().join(name)).unwrap();
            fs::set_permissions(temp.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        std::os::unix::fs::symlink("made", temp.path().join("link")).unwrap();
        fs::write(temp.path().join("file"), "x").unwrap();
        let finish = |name: &str, keep| {
            let rel = RelPath::from_bytes(name).unwrap();
            target.finish_folder(&rel, looks(0o2755), &Attributes::default(), keep)
        };
        let mode = |name: &str| fs::metadata(temp.path().join(name)).unwrap().mode() & 0o7777;
        for (name, keep, want) in [
            ("made/in", Keep::Chosen, 0o755),
            ("made", Keep::Chosen, 0o755),
            ("chosen", Keep::Chosen, 0o711),
            ("chosen", Keep::NotMade, 0o711),
            ("chosen", Keep::Nothing, 0o755),
        ] {
            assert_eq!(finish(name, keep), Ok(None), "{name}");
            assert_eq!(mode(name), want, "{name}");
        }
        assert_eq!(fs::metadata(temp.path().join("made")).unwrap().mtime(), 1);
        // What is no folder, or none that a path of ours leads to, is nobody's.
        for name in ["missing", "file", "link", "link/in"] {
            assert_eq!(finish(name, Keep::Nothing), Ok(None), "{name}");
        }
        assert_eq!(mode("file") & 0o111, 0);
    }

    #[test]
    fn in_a_folder_in_use_only_those_that_were_made_here_get_a_mode() {
        let temp = tempfile::tempdir().unwrap();
        let target = Target::open(temp.path()).unwrap();
        let theirs = temp.path().join("closed by its owner");
        fs::create_dir(&theirs).unwrap();
        fs::set_permissions(&theirs, fs::Permissions::from_mode(0o700)).unwrap();
        let rel = |name: &str| RelPath::from_bytes(name).unwrap();
        drop(target.begin(&rel("closed by its owner/new/f"), true));
        let mode = |name: &str| fs::metadata(temp.path().join(name)).unwrap().mode() & 0o7777;
        for (name, want) in [
            ("closed by its owner/new", 0o755),
            ("closed by its owner", 0o700),
        ] {
            let done = target.finish_folder(
                &rel(name),
                looks(0o755),
                &Attributes::default(),
                Keep::NotMade,
            );
            assert_eq!((done, mode(name)), (Ok(None), want), "{name}");
        }
    }
}
