//! The folder that a restore writes to.
//!
//! Invariants: nothing is written outside it, whatever the keys in the bucket say and whatever
//! links are in it; a file gets its name only when it is whole; an existing file is replaced
//! only when that was asked for. Folders are opened name by name and links are never followed,
//! so that a link restored a moment ago does not lead outside either.

mod beside;
pub(crate) mod folders;
mod given;
mod holes;
pub(crate) mod left_out;
pub(crate) mod looks;
mod opened;
pub(crate) mod partial;
pub(crate) mod pending;

use super::{fault, path_stat};
use crate::os;
use left_out::{Aspect, Committed, LeftOut};
use looks::{Looks, dressed};
use pending::Pending;

use super::fault::shown;
use super::temp::{TempFile, with_fresh_name};
use crate::os::{Dir, Trouble};
use crate::types::{Attributes, Class, Fatal, Fault, Fingerprint, RelPath};
use parking_lot::Mutex;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

/// A folder to restore into.
#[derive(Debug)]
pub struct Target {
    path: PathBuf,
    dir: Dir,
    /// Folders that were created on the way to a file, up to [`MADE_MAX`].
    made: Mutex<HashSet<RelPath>>,
    /// Folders that were opened for writing, with the mode that each had.
    opened: Mutex<BTreeMap<RelPath, u32>>,
    /// What counts as free, whatever the disk says.
    free_bytes: Option<u64>,
}

/// Folders that are known to have been created here; at 200 bytes each 20 MB.
/// Those beyond keep what they were created with, in a folder that is in use.
const MADE_MAX: usize = 100_000;

impl Target {
    /// Take a folder to restore into, created (for its owner alone) when it is
    /// not there. Links in `dir` itself are followed. Blocks.
    ///
    /// # Errors
    /// [`Fatal`] when it is no folder or cannot be used.
    pub fn open(dir: &Path) -> Result<Self, Fatal> {
        let failed = |error: io::Error| {
            Fatal::from(fault::writing(
                "restore into",
                dir.display().to_string(),
                &error,
            ))
        };
        os::create_target_dir_all(dir).map_err(failed)?;
        let path = os::real_path(dir).map_err(failed)?;
        let dir = Dir::open(&path).map_err(failed)?;
        Ok(Self {
            path,
            dir,
            made: Mutex::default(),
            opened: Mutex::default(),
            free_bytes: None,
        })
    }

    /// The same with so much room, whatever the disk says: how tests play a disk
    /// that is nearly full.
    #[must_use]
    pub fn with_free_bytes(mut self, bytes: u64) -> Self {
        self.free_bytes = Some(bytes);
        self
    }

    /// The folder, absolute and without links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// True when nothing at all is in it; what cannot be told counts as
    /// something. Blocks.
    pub fn is_empty(&self) -> bool {
        let mut is_empty = true;
        let listed = self.dir.list(|_, _| is_empty = false);
        listed.is_ok() && is_empty
    }

    /// Bytes that can still be written there. Blocks.
    ///
    /// # Errors
    /// [`Fault`] when the disk does not say.
    pub fn free_bytes(&self) -> Result<u64, Fault> {
        if let Some(bytes) = self.free_bytes {
            return Ok(bytes);
        }
        os::free_bytes(&self.path).map_err(|error| {
            fault::writing(
                "see how much space is free in",
                self.path.display().to_string(),
                &error,
            )
        })
    }

    /// Where in the folder a file of the backup is: at the same path, but for names that
    /// this system does not take.
    pub fn here<'a>(&self, rel: &'a RelPath) -> Cow<'a, RelPath> {
        os::storable_path(rel)
    }

    /// True when what stands at `rel` has a name that differs from it in capital letters
    /// alone, and this system takes them for one. Blocks.
    ///
    /// # Errors
    /// [`Fault`] when that cannot be told.
    pub fn is_spelled_otherwise(&self, rel: &RelPath) -> Result<bool, Fault> {
        if !os::NAMES_FOLD_CASE {
            return Ok(false);
        }
        let here = self.here(rel);
        let failed = |error: &io::Error| fault::writing("look at", shown(rel), error);
        match path_stat::parent_of(&self.path, &here, "look at")? {
            Some((dir, Some(name))) => dir.is_spelled_otherwise(name).map_err(|e| failed(&e)),
            _ => Ok(false),
        }
    }

    /// What stands at `rel`, links described and not followed. Blocks.
    ///
    /// # Errors
    /// [`Fault`] when that cannot be told.
    pub fn existing(&self, rel: &RelPath) -> Result<Option<Fingerprint>, Fault> {
        let here = self.here(rel);
        match path_stat::stat(&self.path, &here) {
            // A folder on the way lets nobody pass: one of ours is opened.
            Err(fault) if fault.class == Class::Unreadable => {
                self.open_the_way(rel);
                path_stat::stat(&self.path, &here)
            }
            done => done,
        }
    }

    /// Begin to write the file `rel`, under a temporary name beside it. Missing
    /// folders above it are created: for the owner alone when
    /// `private_folders`, as the account's defaults have it otherwise. Blocks.
    ///
    /// # Errors
    /// [`Fault`] when a file or a link stands where a folder is needed, when
    /// this system has no such names, or when it cannot write there.
    pub fn begin(&self, rel: &RelPath, private_folders: bool) -> Result<Pending, Fault> {
        let (dir, name) = self.place(rel, private_folders)?;
        let temp =
            TempFile::create(dir).map_err(|error| fault::writing("write", shown(rel), &error))?;
        Ok(Pending {
            temp,
            name: name.into_owned(),
            rel: rel.clone(),
            subject: shown(rel),
            note: None,
            holes: None,
            attributes: Attributes::default(),
        })
    }

    /// Write a link, with its target exactly as given; nothing is written
    /// through it. Blocks.
    ///
    /// # Errors
    /// As [`Target::begin`].
    pub fn symlink(
        &self,
        rel: &RelPath,
        target: &[u8],
        overwrite: bool,
        looks: Looks,
        private_folders: bool,
    ) -> Result<Committed, Fault> {
        let (dir, name) = self.place(rel, private_folders)?;
        let failed = |error: &io::Error| fault::writing("write the link", shown(rel), error);
        let made = if overwrite {
            let (temp, ()) = with_fresh_name(|temp| dir.create_link(target, temp))
                .map_err(|error| failed(&error))?;
            dir.rename(&temp, &name).inspect_err(|_| {
                // The rename's own error is the one worth telling.
                let _ = dir.remove_file(&temp);
            })
        } else {
            dir.create_link(target, &name)
        };
        match made {
            Ok(()) => {}
            Err(error) if !overwrite && os::trouble(&error) == Trouble::Exists => {
                return Ok(Committed::AlreadyThere);
            }
            Err(error) => return Err(failed(&error)),
        }
        let mut left_out = LeftOut::default();
        left_out.note_name(rel);
        if let Some(owner) = looks.owner {
            left_out.note(Aspect::Owner, dir.set_link_owner(&name, owner));
        }
        let done = dir.set_link_mtime(&name, looks.mtime_ns);
        let now = || Ok(dir.stat(&name)?.fingerprint.mtime_ns);
        left_out.note_time(&[], looks.mtime_ns, done, now);
        Ok(left_out.committed(shown(rel)))
    }

    /// Create an (empty) folder; one that is there keeps its mode, time and
    /// attributes. Blocks.
    ///
    /// # Errors
    /// As [`Target::begin`].
    pub fn folder(
        &self,
        rel: &RelPath,
        looks: Looks,
        attributes: &Attributes,
        private_folders: bool,
    ) -> Result<Committed, Fault> {
        let (dir, name) = self.place(rel, private_folders)?;
        let failed = |error: &io::Error| fault::writing("create the folder", shown(rel), error);
        // For the owner alone until it has its own mode.
        match dir.create_dir(&name, true) {
            Ok(()) => {}
            Err(error) if os::trouble(&error) == Trouble::Exists => {
                return match dir.open_dir(&name) {
                    Ok(_) => Ok(Committed::AlreadyThere),
                    Err(error) => Err(failed(&error)),
                };
            }
            Err(error) => return Err(failed(&error)),
        }
        let made = dir.open_dir(&name).map_err(|error| failed(&error))?;
        let mut left_out = dressed(&made, looks, attributes, true);
        left_out.note_name(rel);
        Ok(left_out.committed(shown(rel)))
    }

    /// Wait until everything restored is on the disk. Call it once, at the end. Blocks.
    ///
    /// # Errors
    /// [`Fault`] when the disk reports an error: then the restore is not complete.
    pub fn sync(&self) -> Result<(), Fault> {
        self.dir.sync_file_system().map_err(|error| {
            fault::writing("finish writing", self.path.display().to_string(), &error)
        })
    }

    fn note_made(&self, folder: &RelPath) {
        let mut made = self.made.lock();
        if made.len() < MADE_MAX {
            made.insert(folder.clone());
        }
    }

    /// It is a folder that was not there before and was made for what lies in it.
    pub fn has_made(&self, folder: &RelPath) -> bool {
        let made = self.made.lock();
        made.contains(folder)
    }

    /// The open folder that `rel` belongs in, created where missing, and its
    /// name there.
    fn place<'a>(
        &self,
        rel: &'a RelPath,
        private_folders: bool,
    ) -> Result<(Dir, Cow<'a, [u8]>), Fault> {
        let failed = |error: &io::Error| fault::writing("write", shown(rel), error);
        let mut dir = self.dir.try_clone().map_err(|error| failed(&error))?;
        let mut names = rel.components().peekable();
        let mut at = RelPath::root();
        while let Some(name) = names.next() {
            let here = os::storable_name(name);
            if names.peek().is_none() {
                self.open_to_write(&dir, &at);
                return Ok((dir, here));
            }
            self.open_to_pass(&dir, &at);
            let (inner, is_made) = match open_or_create(&dir, &here, private_folders) {
                Err(error) if os::trouble(&error) == Trouble::Denied => {
                    self.open_to_write(&dir, &at);
                    open_or_create(&dir, &here, private_folders)
                }
                done => done,
            }
            .map_err(|error| failed(&error))?;
            dir = inner;
            at = at.join(name).unwrap_or_else(|_| rel.clone());
            if is_made {
                self.note_made(&at);
            }
        }
        Err(Fault::new(
            Class::Damaged,
            "write",
            self.path.display().to_string(),
            "the name is empty: it would replace the folder itself",
        ))
    }
}

/// The folder `name`, created when nothing has that name, and whether it was. A
/// link is refused.
fn open_or_create(dir: &Dir, name: &[u8], private: bool) -> io::Result<(Dir, bool)> {
    match dir.open_dir(name) {
        Err(error) if os::trouble(&error) == Trouble::Missing => {}
        done => return done.map(|inner| (inner, false)),
    }
    let is_made = match dir.create_dir(name, private) {
        Ok(()) => true,
        // Another worker was quicker.
        Err(error) if os::trouble(&error) == Trouble::Exists => false,
        Err(error) => return Err(error),
    };
    dir.open_dir(name).map(|inner| (inner, is_made))
}

#[cfg(test)]
mod tests;
