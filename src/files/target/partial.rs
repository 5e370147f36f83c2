//! A large file whose restore may take several runs.
//!
//! It grows under a name derived from its own name and its version's, so that a later run finds
//! it. A note beside it says how much of it was safely on the disk, and the hash of that part.
//! Only one process uses it at a time (it holds a lock). It is reused only if it is a plain file
//! of this account alone, and what is there is always hashed again.

use super::Target;
use super::pending::Pending;
use crate::files::fault::shown;
use crate::files::temp::TempFile;
use crate::files::{fault, temp};
use crate::os;
use crate::os::Dir;
use crate::types::{Attributes, ContentHash, Fault, Hasher, RelPath};
use std::fs::File;
use std::io;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

/// What a note begins with; another number, another meaning.
const NOTE_BEGIN: &str = "keepwatch-partial 1";

/// No note of ours is longer.
const NOTE_BYTES_MAX: u64 = 256;

/// Leftovers of one file that are cleared away at once: one per version that
/// somebody began to restore and did not finish, and its note.
const LEFTOVERS_MAX: usize = 64;

/// What is read back at a time.
const BUFFER_BYTES: usize = 1024 * 1024;

/// How much of a file is safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Bytes of the source that have become part of the file.
    pub source_bytes: u64,
    /// Bytes of the file that are on the disk.
    pub file_bytes: u64,
    /// What these hash to.
    pub hash: ContentHash,
}

impl Checkpoint {
    fn to_text(self) -> String {
        format!(
            "{NOTE_BEGIN} {} {} {}\n",
            self.source_bytes,
            self.file_bytes,
            self.hash.to_hex()
        )
    }

    fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(NOTE_BEGIN)?.strip_suffix('\n')?;
        let mut words = rest.strip_prefix(' ')?.split(' ');
        let (source, file, hash) = (words.next()?, words.next()?, words.next()?);
        words.next().is_none().then_some(Self {
            source_bytes: source.parse().ok()?,
            file_bytes: file.parse().ok()?,
            hash: ContentHash::from_hex(hash)?,
        })
    }
}

impl Target {
    /// Begin to write the file `rel`, or go on with what an earlier run has left
    /// of this `version`: then with the checkpoint up to which it is whole, and
    /// the hash of that. What was left of other versions is cleared away. Blocks.
    ///
    /// # Errors
    /// As [`Target::begin`].
    pub fn begin_partial(
        &self,
        rel: &RelPath,
        private_folders: bool,
        version: &str,
    ) -> Result<(Pending, Option<(Checkpoint, Hasher)>), Fault> {
        let (dir, name) = self.place(rel, private_folders)?;
        let failed = |error: io::Error| fault::writing("write", shown(rel), &error);
        let file_tag = temp::tag(&name);
        let partial = temp::partial_name(&file_tag, &temp::tag(version.as_bytes()));
        clear_others(&dir, &file_tag, &partial).map_err(failed)?;
        let Some((file, is_new)) = take(&dir, partial.as_bytes()).map_err(failed)? else {
            // Another run is at it: not its file, and no later run's either.
            return Ok((self.begin(rel, private_folders)?, None));
        };
        let mut pending = Pending {
            temp: TempFile::adopt(dir, partial.clone().into_bytes(), file),
            name: name.into_owned(),
            rel: rel.clone(),
            subject: shown(rel),
            note: Some(temp::note_name(&partial).into_bytes()),
            holes: None,
            attributes: Attributes::default(),
        };
        let known = match is_new {
            true => None,
            false => pending.taken_up().map_err(failed)?,
        };
        if known.is_none() {
            pending.restart()?;
        }
        Ok((pending, known))
    }

    /// Bytes on the disk of what an earlier run has left of this file. Blocks.
    pub fn partial_bytes(&self, rel: &RelPath, version: &str) -> u64 {
        let look = || -> Option<u64> {
            let name = os::storable_name(rel.components().last()?);
            let partial = temp::partial_name(&temp::tag(&name), &temp::tag(version.as_bytes()));
            let beside = match rel.parent() {
                Some(folder) if !folder.is_root() => folder.join(partial.as_bytes()).ok()?,
                _ => RelPath::from_bytes(partial.as_bytes()).ok()?,
            };
            Some(self.existing(&beside).ok()??.size_bytes)
        };
        // Only an estimate hangs on it.
        look().unwrap_or(0)
    }
}

impl Pending {
    /// Make what is there last, and write down that a later run may go on from
    /// here. Nothing happens for a file that takes one run. Blocks.
    ///
    /// # Errors
    /// [`Fault`]: disk full, disk gone.
    pub fn checkpoint(&mut self, at: &Checkpoint) -> Result<(), Fault> {
        if self.note.is_none() {
            return Ok(());
        }
        let done = self.try_checkpoint(at);
        done.map_err(|error| fault::writing("write", &self.subject, &error))?;
        self.temp.keep();
        Ok(())
    }

    fn try_checkpoint(&mut self, at: &Checkpoint) -> io::Result<()> {
        self.finish_holes()?;
        if let Some(note) = &self.note {
            self.temp.file.sync_data()?;
            let mut small = TempFile::create(self.temp.dir.try_clone()?)?;
            small.file.write_all(at.to_text().as_bytes())?;
            small.file.sync_data()?;
            small.dir.rename(&small.name, note)?;
            small.keep();
        }
        Ok(())
    }

    /// Forget all of it: the next byte is the file's first. Blocks.
    ///
    /// # Errors
    /// [`Fault`]: disk gone.
    pub fn restart(&mut self) -> Result<(), Fault> {
        self.forget_note();
        self.temp.give_up();
        if let Some(holes) = &mut self.holes {
            holes.forget();
        }
        let file = &mut self.temp.file;
        file.set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)).map(drop))
            .map_err(|error| fault::writing("write", &self.subject, &error))
    }

    /// Nothing of it is of any use to a later run. Blocks.
    pub fn discard(mut self) {
        self.forget_note();
        self.temp.give_up();
    }

    pub(super) fn forget_note(&self) {
        if let Some(note) = &self.note {
            // Mostly there is none; one that stays is found and cleared later.
            let _ = self.temp.dir.remove_file(note);
        }
    }

    /// What the note says, if the file bears it out; positioned behind that.
    fn taken_up(&mut self) -> io::Result<Option<(Checkpoint, Hasher)>> {
        let Some(known) = self.note.as_ref().and_then(|note| {
            let file = self.temp.dir.open_file(note).ok()?;
            let mut text = String::new();
            file.take(NOTE_BYTES_MAX).read_to_string(&mut text).ok()?;
            Checkpoint::parse(&text)
        }) else {
            return Ok(None);
        };
        let file = &mut self.temp.file;
        if file.metadata()?.len() < known.file_bytes {
            return Ok(None);
        }
        file.seek(SeekFrom::Start(0))?;
        let mut hasher = Hasher::default();
        let mut left = known.file_bytes;
        let mut buffer = vec![0; BUFFER_BYTES];
        while left > 0 {
            let wanted = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(BUFFER_BYTES);
            file.read_exact(&mut buffer[..wanted])?;
            hasher.update(&buffer[..wanted]);
            left -= wanted as u64;
        }
        if hasher.clone().finish() != known.hash {
            return Ok(None);
        }
        // What came after the checkpoint may not have reached the disk.
        file.set_len(known.file_bytes)?;
        self.temp.keep();
        Ok(Some((known, hasher)))
    }
}

/// The file of that name, ours alone from now on, and whether it is new; `None`
/// when somebody else is at it.
fn take(dir: &Dir, name: &[u8]) -> io::Result<Option<(File, bool)>> {
    if let Ok(file) = dir.reopen_file(name) {
        if file.try_lock().is_err() || !is_still_there(dir, name, &file) {
            return Ok(None);
        }
        if os::is_own_private_file(&file)? {
            return Ok(Some((file, false)));
        }
        // Cut off just before its last step, or not made by us: its name goes.
        dir.remove_file(name)?;
    }
    match dir.create_file(name) {
        Ok(file) => {
            let is_ours = file.try_lock().is_ok() && is_still_there(dir, name, &file);
            Ok(is_ours.then_some((file, true)))
        }
        // A folder or a link, or somebody was quicker.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error),
    }
}

/// The name has not been taken from the file between opening and locking it.
fn is_still_there(dir: &Dir, name: &[u8], file: &File) -> bool {
    match (dir.stat(name), os::fingerprint_of(file)) {
        (Ok(found), Ok(ours)) => found.fingerprint.inode == ours.inode,
        _ => false,
    }
}

/// Remove what earlier runs have left of other versions of the file, unless
/// somebody is at it.
fn clear_others(dir: &Dir, file_tag: &str, partial: &str) -> io::Result<()> {
    let note = temp::note_name(partial);
    let mut others = Vec::new();
    dir.list(|name, _| {
        let is_other = temp::partial_of(name) == Some(file_tag.as_bytes())
            && name != partial.as_bytes()
            && name != note.as_bytes();
        if is_other && others.len() < LEFTOVERS_MAX {
            others.push(name.to_vec());
        }
    })?;
    for name in others {
        // Held while it is removed, so that nobody goes on with it meanwhile.
        let held = dir.reopen_file(&name);
        if held.is_ok_and(|file| file.try_lock().is_ok() && is_still_there(dir, &name, &file)) {
            dir.remove_file(&name)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "partial_tests.rs"]
mod tests;
