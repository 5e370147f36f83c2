//! Mode, owner and time of folders that are not empty, given back when all that
//! belongs in them is there.

use super::looks::dressed;
use super::{Looks, Target};
use crate::error::Fault;
use crate::files::fault::{self, shown};
use crate::model::RelPath;
use crate::platform::{self, Dir, Trouble};
use std::io;

/// What [`Target::begin`] gives a folder that it has to create for somebody
/// else's file: such a folder still waits for its own mode.
const MODE_OF_MADE: u32 = 0o700;

impl Target {
    /// Give a folder that a restore has made its own mode, owner and time. One
    /// that has a mode of somebody's choice already keeps it, unless `overwrite`;
    /// with `only_made` all but those that this very target has created keep theirs.
    /// `Some` says what of it the disk would not take. Blocks.
    ///
    /// # Errors
    /// [`Fault`] when the folder cannot be looked at.
    pub fn finish_folder(
        &self,
        rel: &RelPath,
        mode: u32,
        mtime_ns: i64,
        owner: Option<(u32, u32)>,
        overwrite: bool,
        only_made: bool,
    ) -> Result<Option<Fault>, Fault> {
        if only_made && !self.has_made(rel) {
            return Ok(None);
        }
        let Some(dir) = self.inner(rel)? else {
            return Ok(None);
        };
        let now = self.existing(rel)?;
        if !overwrite && now.is_none_or(|now| now.mode != MODE_OF_MADE) {
            return Ok(None);
        }
        let looks = Looks {
            mode,
            mtime_ns,
            owner,
        };
        Ok(dressed(&dir, looks).fault(shown(rel)))
    }

    /// True for a folder with nothing in it. Blocks.
    ///
    /// # Errors
    /// [`Fault`] when it cannot be looked at.
    pub fn is_empty_folder(&self, rel: &RelPath) -> Result<bool, Fault> {
        let Some(dir) = self.inner(rel)? else {
            return Ok(false);
        };
        let mut is_empty = true;
        dir.list(|_, _| is_empty = false)
            .map_err(|error| fault::writing("finish the folder", shown(rel), &error))?;
        Ok(is_empty)
    }

    /// The folder; `None` when nothing of it was wanted, or something else has its
    /// name.
    fn inner(&self, rel: &RelPath) -> Result<Option<Dir>, Fault> {
        let failed = |error: &io::Error| fault::writing("finish the folder", shown(rel), error);
        let mut dir = self.dir.try_clone().map_err(|error| failed(&error))?;
        for name in rel.components() {
            dir = match dir.open_dir(name) {
                Ok(inner) => inner,
                Err(error) => match platform::trouble(&error) {
                    Trouble::Denied => return Err(failed(&error)),
                    _ => return Ok(None),
                },
            };
        }
        Ok(Some(dir))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

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
        let finish = |name: &str, overwrite| {
            let rel = RelPath::from_bytes(name).unwrap();
            target.finish_folder(&rel, 0o2755, 1_000_000_000, None, overwrite, false)
        };
        let mode = |name: &str| fs::metadata(temp.path().join(name)).unwrap().mode() & 0o7777;
        for (name, overwrite, want) in [
            ("made/in", false, 0o755),
            ("made", false, 0o755),
            ("chosen", false, 0o711),
            ("chosen", true, 0o755),
        ] {
            assert_eq!(finish(name, overwrite), Ok(None), "{name}");
            assert_eq!(mode(name), want, "{name}");
        }
        assert_eq!(fs::metadata(temp.path().join("made")).unwrap().mtime(), 1);
        for (name, want) in [
            ("made", false),
            ("made/in", true),
            ("file", false),
            ("link", false),
        ] {
            let rel = RelPath::from_bytes(name).unwrap();
            assert_eq!(target.is_empty_folder(&rel), Ok(want), "{name}");
        }
        // What is no folder, or none that a path of ours leads to, is nobody's.
        for name in ["missing", "file", "link", "link/in"] {
            assert_eq!(finish(name, true), Ok(None), "{name}");
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
            let done = target.finish_folder(&rel(name), 0o755, 1_000_000_000, None, true, true);
            assert_eq!((done, mode(name)), (Ok(None), want), "{name}");
        }
    }
}
