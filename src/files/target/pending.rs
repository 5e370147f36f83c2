//! A file that is being restored: it is written under a temporary name and gets its own when
//! it is whole and safely on the disk.

use super::given;
use super::holes::Holes;
use super::left_out::{Aspect, Committed, LeftOut};
use crate::files::fault;
use crate::files::temp::TempFile;
use crate::os;
use crate::os::Dir;
use crate::types::{Attributes, Fault, Kind, RelPath};
use std::fs::File;
use std::io;
use std::io::Write as _;

/// A file on its way; dropped, it leaves nothing behind.
#[derive(Debug)]
pub struct Pending {
    pub(super) temp: TempFile,
    pub(super) name: Vec<u8>,
    /// Where it is in the backup.
    pub(super) rel: RelPath,
    pub(super) subject: String,
    /// The name of the note about what is safe of it, where a later run may go on.
    pub(super) note: Option<Vec<u8>>,
    /// For a file that had holes.
    pub(super) holes: Option<Holes>,
    /// What it is to have beside content, mode and time.
    pub(super) attributes: Attributes,
}

impl Pending {
    /// Add to the file. Blocks.
    ///
    /// # Errors
    /// [`Fault`]: disk full, disk gone.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let file = &mut self.temp.file;
        match &mut self.holes {
            Some(holes) => holes.write(file, bytes),
            None => file.write_all(bytes),
        }
        .map_err(|error| fault::writing("write", &self.subject, &error))
    }

    /// From here on runs of zeros become holes: the file had some where it was backed up.
    pub fn leave_holes(&mut self) {
        self.holes.get_or_insert_default();
    }

    /// It is to have these attributes; what this account or this disk does not allow
    /// is told.
    pub fn give(&mut self, attributes: Attributes) {
        self.attributes = attributes;
    }

    /// The file is as long as what was written to it.
    pub(super) fn finish_holes(&mut self) -> io::Result<()> {
        match &mut self.holes {
            Some(holes) => holes.finish(&mut self.temp.file),
            None => Ok(()),
        }
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
        mtime_ns: i128,
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
        mtime_ns: i128,
        owner: Option<(u32, u32)>,
        make_way: impl FnOnce() -> Result<(), Fault>,
    ) -> Result<Committed, Fault> {
        self.finish_holes()
            .map_err(|error| fault::writing("write", &self.subject, &error))?;
        let mut left_out = LeftOut::default();
        left_out.note_name(&self.rel);
        let file = &self.temp.file;
        // The owner first: changing that clears bits of the mode.
        let owned = owner.map(|owner| os::set_owner(file, owner));
        let mode = left_out.mode_after(owned, mode, Kind::File);
        let attributes = &self.attributes;
        given::take_others(file, attributes, &mut left_out);
        given::give(file, attributes, &mut left_out);
        let mode = attributes.mode_without_acl(mode);
        left_out.note(Aspect::Mode, os::set_mode(file, mode));
        given::give_lists(file, attributes, &mut left_out);
        left_out.time_of(file, mtime_ns);
        let failed = |error: io::Error| fault::writing("write", &self.subject, &error);
        file.sync_all().map_err(failed)?;
        // From here on it is this name or none.
        self.forget_note();
        self.temp.give_up();
        make_way()?;
        let failed = |error: io::Error| fault::writing("write", &self.subject, &error);
        let (dir, temp) = (&self.temp.dir, &self.temp.name);
        let renamed = take_name(dir, temp, &self.name, overwrite);
        if !renamed.map_err(failed)? {
            return Ok(Committed::AlreadyThere);
        }
        self.temp.keep();
        Ok(left_out.committed(std::mem::take(&mut self.subject)))
    }
}

/// Give the file its name; `false` when something has it that is not replaced. Where names
/// that differ in capital letters alone are one, a file of another name is not replaced
/// either, and is not even when both are written at the same time.
fn take_name(dir: &Dir, temp: &[u8], name: &[u8], overwrite: bool) -> io::Result<bool> {
    if os::NAMES_FOLD_CASE || !overwrite {
        let is_done = dir.rename_new(temp, name)?;
        if is_done || !overwrite || dir.is_spelled_otherwise(name)? {
            return Ok(is_done);
        }
    }
    dir.rename(temp, name).map(|()| true)
}
