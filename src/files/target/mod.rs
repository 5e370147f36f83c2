//! The folder that restore writes to.
//!
//! Invariants: nothing is written outside it, whatever the keys in the bucket
//! say and whatever links stand in it; a file has its name only when it is
//! whole; what is there is not replaced unless told. Folders are opened name by
//! name and links never followed, so that a link restored a moment ago is no
//! way out either.

mod beside;
mod partial;

pub use partial::Checkpoint;

use crate::error::{Class, Fatal, Fault, chain};
use crate::files::fault::{self, shown};
use crate::files::read;
use crate::files::temp::{TempFile, with_fresh_name};
use crate::model::{Fingerprint, RelPath};
use crate::platform::{self, Dir, Trouble};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

mod folders;

/// Set-user-id and set-group-id: only kept together with the owner they meant,
/// or a file of one account would run with the rights of another.
const MODE_SET_ID: u32 = 0o6000;

/// What a link or a folder has beside its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looks {
    /// Permission bits; a link has none.
    pub mode: u32,
    /// Nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Set only where this account may (root).
    pub owner: Option<(u32, u32)>,
}

/// A folder to restore into.
#[derive(Debug)]
pub struct Target {
    path: PathBuf,
    dir: Dir,
    /// Folders that were created on the way to a file, up to [`MADE_MAX`].
    made: Mutex<HashSet<RelPath>>,
    /// What counts as free, whatever the disk says.
    free_bytes: Option<u64>,
}

/// Folders that are known to have been created here; at 200 bytes each 20 MB.
/// Those beyond keep what they were created with, in a folder that is in use.
const MADE_MAX: usize = 100_000;

/// How a restored name ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// It is there now.
    Written {
        /// What of mode, owner or time the disk would not take (FAT, network
        /// disks); the content is whole all the same.
        left_out: Option<Fault>,
    },
    /// Something had the name and was left as it is.
    AlreadyThere,
}

/// A file on its way; dropped, it leaves nothing behind.
#[derive(Debug)]
pub struct Pending {
    temp: TempFile,
    name: Vec<u8>,
    subject: String,
    /// The name of the note about what is safe of it, where a later run may go on.
    note: Option<Vec<u8>>,
}

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
        platform::create_private_dir_all(dir).map_err(failed)?;
        let path = dir.canonicalize().map_err(failed)?;
        let dir = Dir::open(&path).map_err(failed)?;
        Ok(Self {
            path,
            dir,
            made: Mutex::default(),
            free_bytes: None,
        })
    }

    /// The same with so much room, whatever the disk says: how tests play a disk
    /// that is nearly full.
    #[must_use]
    pub fn with_free_bytes(self, bytes: u64) -> Self {
        Self {
            free_bytes: Some(bytes),
            ..self
        }
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
        platform::free_bytes(&self.path).map_err(|error| {
            fault::writing(
                "see how much space is free in",
                self.path.display().to_string(),
                &error,
            )
        })
    }

    /// What stands at `rel`, links described and not followed. Blocks.
    ///
    /// # Errors
    /// [`Fault`] when that cannot be told.
    pub fn existing(&self, rel: &RelPath) -> Result<Option<Fingerprint>, Fault> {
        read::stat(&self.path, rel)
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
            name: name.to_vec(),
            subject: shown(rel),
            note: None,
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
            dir.rename(&temp, name).inspect_err(|_| {
                // The rename's own error is the one worth telling.
                let _ = dir.remove_file(&temp);
            })
        } else {
            dir.create_link(target, name)
        };
        match made {
            Ok(()) => {}
            Err(error) if !overwrite && platform::trouble(&error) == Trouble::Exists => {
                return Ok(Committed::AlreadyThere);
            }
            Err(error) => return Err(failed(&error)),
        }
        let mut left_out = LeftOut::default();
        if let Some(owner) = looks.owner {
            left_out.note("owner", dir.set_link_owner(name, owner));
        }
        left_out.note("time", dir.set_link_mtime(name, looks.mtime_ns));
        Ok(left_out.committed(shown(rel)))
    }

    /// Create an (empty) folder; one that is there keeps its mode and time. Blocks.
    ///
    /// # Errors
    /// As [`Target::begin`].
    pub fn folder(
        &self,
        rel: &RelPath,
        looks: Looks,
        private_folders: bool,
    ) -> Result<Committed, Fault> {
        let (dir, name) = self.place(rel, private_folders)?;
        let failed = |error: &io::Error| fault::writing("create the folder", shown(rel), error);
        // For the owner alone until it has its own mode.
        match dir.create_dir(name, true) {
            Ok(()) => {}
            Err(error) if platform::trouble(&error) == Trouble::Exists => {
                return match dir.open_dir(name) {
                    Ok(_) => Ok(Committed::AlreadyThere),
                    Err(error) => Err(failed(&error)),
                };
            }
            Err(error) => return Err(failed(&error)),
        }
        let made = dir.open_dir(name).map_err(|error| failed(&error))?;
        Ok(dressed(&made, looks).committed(shown(rel)))
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
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.len() < MADE_MAX {
            made.insert(folder.clone());
        }
    }

    fn has_made(&self, folder: &RelPath) -> bool {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.contains(folder)
    }

    /// The open folder that `rel` belongs in, created where missing, and its
    /// name there.
    fn place<'a>(&self, rel: &'a RelPath, private_folders: bool) -> Result<(Dir, &'a [u8]), Fault> {
        let failed = |error: &io::Error| fault::writing("write", shown(rel), error);
        let mut dir = self.dir.try_clone().map_err(|error| failed(&error))?;
        let mut names = rel.components().peekable();
        let mut at = RelPath::root();
        while let Some(name) = names.next() {
            platform::writable_name(name)
                .map_err(|refused| failed(&io::Error::new(io::ErrorKind::InvalidInput, refused)))?;
            if names.peek().is_none() {
                return Ok((dir, name));
            }
            let (inner, is_made) =
                open_or_create(&dir, name, private_folders).map_err(|error| failed(&error))?;
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
        Err(error) if platform::trouble(&error) == Trouble::Missing => {}
        done => return done.map(|inner| (inner, false)),
    }
    let is_made = match dir.create_dir(name, private) {
        Ok(()) => true,
        // Another worker was quicker.
        Err(error) if platform::trouble(&error) == Trouble::Exists => false,
        Err(error) => return Err(error),
    };
    dir.open_dir(name).map(|inner| (inner, is_made))
}

impl Pending {
    /// Add to the file. Blocks.
    ///
    /// # Errors
    /// [`Fault`]: disk full, disk gone.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.temp
            .file
            .write_all(bytes)
            .map_err(|error| fault::writing("write", &self.subject, &error))
    }

    /// The file itself, open for reading and writing (to verify it).
    pub fn file(&mut self) -> &mut File {
        &mut self.temp.file
    }

    /// Give the file its mode, owner, time and name, when it is safely on the
    /// disk. The owner is set only where this account may (root). Without
    /// `overwrite`, what has the name stays as it is. Blocks.
    ///
    /// # Errors
    /// [`Fault`]; nothing of the file is left behind then.
    pub fn commit(
        self,
        overwrite: bool,
        mode: u32,
        mtime_ns: i64,
        owner: Option<(u32, u32)>,
    ) -> Result<Committed, Fault> {
        self.commit_after(overwrite, mode, mtime_ns, owner, || Ok(()))
    }

    /// The same; `make_way` comes when the file is safely on the disk, and nothing
    /// but the taking of its name after it. Blocks.
    ///
    /// # Errors
    /// [`Fault`]; nothing of the file is left behind then.
    pub fn commit_after(
        mut self,
        overwrite: bool,
        mode: u32,
        mtime_ns: i64,
        owner: Option<(u32, u32)>,
        make_way: impl FnOnce() -> Result<(), Fault>,
    ) -> Result<Committed, Fault> {
        let mut left_out = LeftOut::default();
        let file = &self.temp.file;
        // The owner first: changing that clears bits of the mode.
        let owned = owner.map(|owner| platform::set_owner(file, owner));
        let mode = left_out.mode_after(owned, mode);
        left_out.note("mode", platform::set_mode(file, mode));
        let modified = file.set_modified(platform::time_of_ns(mtime_ns));
        left_out.note("time", modified);
        let failed = |error: io::Error| fault::writing("write", &self.subject, &error);
        file.sync_all().map_err(failed)?;
        // From here on it is this name or none.
        self.forget_note();
        self.temp.give_up();
        make_way()?;
        let failed = |error: io::Error| fault::writing("write", &self.subject, &error);
        let (dir, temp) = (&self.temp.dir, &self.temp.name);
        let renamed = if overwrite {
            dir.rename(temp, &self.name).map(|()| true)
        } else {
            dir.rename_new(temp, &self.name)
        };
        if !renamed.map_err(failed)? {
            return Ok(Committed::AlreadyThere);
        }
        self.temp.keep();
        Ok(left_out.committed(std::mem::take(&mut self.subject)))
    }
}

/// Owner first: changing that clears bits of the mode. The mode last: it may not
/// let us in any more.
fn dressed(dir: &Dir, looks: Looks) -> LeftOut {
    let mut left_out = LeftOut::default();
    let owned = looks.owner.map(|owner| dir.set_self_owner(owner));
    let mode = left_out.mode_after(owned, looks.mode);
    left_out.note("mode and time", dir.set_self(mode, looks.mtime_ns));
    left_out
}

/// What a disk would not take of a file's metadata.
#[derive(Default)]
struct LeftOut(Vec<String>);

impl LeftOut {
    fn note(&mut self, what: &str, done: io::Result<()>) {
        if let Err(error) = done {
            self.0.push(format!("{what}: {}", chain(&error)));
        }
    }

    /// The mode to give after the owner was, or was not, given: without it, no
    /// bits that would let others run with its rights.
    fn mode_after(&mut self, owned: Option<io::Result<bool>>, mode: u32) -> u32 {
        let is_owned = match owned {
            Some(Ok(done)) => done,
            Some(Err(error)) => {
                self.note("owner", Err(error));
                false
            }
            None => false,
        };
        if is_owned { mode } else { mode & !MODE_SET_ID }
    }

    fn committed(self, subject: String) -> Committed {
        let left_out = self.fault(subject);
        Committed::Written { left_out }
    }

    fn fault(self, subject: String) -> Option<Fault> {
        (!self.0.is_empty()).then(|| {
            Fault::new(
                Class::Local,
                "keep mode, owner and time",
                subject,
                self.0.join("; "),
            )
            .hint(
                "the content is complete; restore to a disk with another file system if it matters",
            )
        })
    }
}

#[cfg(test)]
mod tests;
