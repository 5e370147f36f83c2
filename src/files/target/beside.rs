//! What a restore does to an existing file: it gives it a second name, so that the restored
//! file can take the first, or another mode or time.

use super::left_out::{Aspect, LeftOut, MODE_SET_ID};
use super::{Target, given};
use crate::files::fault;
use crate::files::fault::shown;
use crate::files::temp::TempFile;
use crate::os;
use crate::os::{Dir, Trouble};
use crate::types::{Attributes, Class, Fault, Fingerprint, Kind, RelPath};
use std::io;

impl Target {
    /// Give the file or link `rel` the name `beside` in the same folder as well;
    /// where the disk has no second names, a copy. `false` when something has
    /// that name, and nothing has changed. Blocks.
    ///
    /// # Errors
    /// [`Fault`] when the disk refuses, or what is there is neither file nor link.
    pub fn second_name(&self, rel: &RelPath, beside: &RelPath) -> Result<bool, Fault> {
        let failed =
            |error: &io::Error| fault::writing("keep what is there as", shown(beside), error);
        let (dir, name) = self.place(rel, true)?;
        let there = self.existing(rel)?.ok_or_else(|| {
            Fault::new(Class::Vanished, "keep", shown(rel), "it went away just now")
        })?;
        if matches!(there.kind, Kind::Folder | Kind::Special) {
            return Err(Fault::new(
                Class::Local,
                "replace",
                shown(rel),
                "it is no file now: a folder or something else stands there",
            )
            .hint("move it away and run the restore again"));
        }
        let new = os::storable_name(beside.name());
        if let Some(done) = dir.second_name(&name, &new).map_err(|e| failed(&e))? {
            return Ok(done);
        }
        copy_as(dir, &name, &new, &there).map_err(|error| failed(&error))
    }

    /// Give the file `rel` the name `beside` in the same folder instead of its own.
    /// `false` when something has that name, and nothing has changed. Blocks.
    ///
    /// # Errors
    /// [`Fault`] when the disk refuses.
    pub fn move_beside(&self, rel: &RelPath, beside: &RelPath) -> Result<bool, Fault> {
        let failed = |error: &io::Error| fault::writing("rename", shown(rel), error);
        let (dir, name) = self.place(rel, true)?;
        let new = os::storable_name(beside.name());
        dir.rename_new(&name, &new).map_err(|e| failed(&e))
    }

    /// Give the file `rel` this mode, time and, where this account may, owner; and
    /// these attributes and no others, unless there are none: those of earlier versions
    /// are not known.
    /// Its content is not touched. What the disk did not take is given back. Blocks.
    ///
    /// # Errors
    /// [`Fault`] when it cannot be opened or is no file.
    pub fn set_metadata(
        &self,
        rel: &RelPath,
        mode: u32,
        mtime_ns: i128,
        owner: Option<(u32, u32)>,
        attributes: &Attributes,
    ) -> Result<Option<Fault>, Fault> {
        let failed = |error: &io::Error| fault::writing("set mode and time of", shown(rel), error);
        let (dir, name) = self.place(rel, true)?;
        let file = dir.open_to_set(&name).map_err(|error| failed(&error))?;
        let is_file = file.metadata().map_err(|error| failed(&error))?.is_file();
        if !is_file {
            let error = io::Error::from(io::ErrorKind::InvalidInput);
            return Err(failed(&error));
        }
        let mut left_out = LeftOut::default();
        // The owner first: changing that clears bits of the mode.
        let owned = owner.map(|owner| os::set_owner(&file, owner));
        let mode = left_out.mode_after(owned, mode, Kind::File);
        if !attributes.is_empty() {
            given::take_others(&file, attributes, &mut left_out);
            given::give(&file, attributes, &mut left_out);
        }
        let mode = attributes.mode_without_acl(mode);
        left_out.note(Aspect::Mode, os::set_mode(&file, mode));
        given::give_lists(&file, attributes, &mut left_out);
        left_out.time_of(&file, mtime_ns);
        Ok(left_out.fault(shown(rel)))
    }
}

/// A whole copy before it has the name.
fn copy_as(dir: Dir, name: &[u8], new: &[u8], there: &Fingerprint) -> io::Result<bool> {
    if there.kind == Kind::Symlink {
        return match dir.create_link(&dir.read_link(name)?, new) {
            Ok(()) => Ok(true),
            Err(error) if os::trouble(&error) == Trouble::Exists => Ok(false),
            Err(error) => Err(error),
        };
    }
    let mut from = dir.open_file(name)?;
    let mut temp = TempFile::create(dir)?;
    io::copy(&mut from, &mut temp.file)?;
    // A disk without second names (FAT) may have no modes either.
    let _ = os::set_mode(&temp.file, there.mode & !MODE_SET_ID);
    let _ = temp.file.set_modified(os::time_of_ns(there.mtime_ns));
    temp.file.sync_all()?;
    let done = temp.dir.rename_new(&temp.name, new)?;
    if done {
        temp.keep();
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(text: &str) -> RelPath {
        RelPath::from_bytes(text).unwrap()
    }

    #[test]
    fn a_second_name_never_takes_anybodys_place() {
        let dir = tempfile::tempdir().unwrap();
        let target = Target::open(dir.path()).unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("d")).unwrap();
        std::fs::write(at("d/a"), "one").unwrap();
        std::fs::write(at("d/taken"), "two").unwrap();
        assert_eq!(target.second_name(&p("d/a"), &p("d/taken")), Ok(false));
        assert_eq!(target.second_name(&p("d/a"), &p("d/b")), Ok(true));
        let read = |name: &str| std::fs::read_to_string(at(name)).unwrap();
        assert_eq!(
            [read("d/a"), read("d/taken"), read("d/b")],
            ["one", "two", "one"]
        );
        assert_eq!(target.move_beside(&p("d/b"), &p("d/taken")), Ok(false));
        assert_eq!(target.move_beside(&p("d/b"), &p("d/c")), Ok(true));
        assert!(read("d/c") == "one" && !at("d/b").exists());
        assert!(target.move_beside(&p("d/b"), &p("d/e")).is_err());
        assert!(target.second_name(&p("d"), &p("e")).is_err());
        assert!(target.second_name(&p("gone"), &p("e")).is_err());
    }

    #[test]
    fn a_disk_without_second_names_gets_a_copy() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("a"), "one").unwrap();
        std::fs::write(at("taken"), "two").unwrap();
        let open = || Dir::open(dir.path()).unwrap();
        let there = open().stat(b"a").unwrap().fingerprint;
        assert!(!copy_as(open(), b"a", b"taken", &there).unwrap());
        assert!(copy_as(open(), b"a", b"b", &there).unwrap());
        let copy = open().stat(b"b").unwrap().fingerprint;
        assert_eq!((copy.mtime_ns, copy.mode), (there.mtime_ns, there.mode));
        assert_eq!(std::fs::read(at("b")).unwrap(), b"one");
        open().create_link(b"a", b"link").unwrap();
        let there = open().stat(b"link").unwrap().fingerprint;
        assert!(copy_as(open(), b"link", b"other", &there).unwrap());
        assert_eq!(open().read_link(b"other").unwrap(), b"a");
        // Nothing of a temporary name stays.
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 5);
    }

    #[test]
    fn mode_and_time_alone() {
        let dir = tempfile::tempdir().unwrap();
        let target = Target::open(dir.path()).unwrap();
        std::fs::write(dir.path().join("a"), "one").unwrap();
        assert_eq!(
            target.set_metadata(&p("a"), 0o640, 5_000_000_000, None, &Attributes::default()),
            Ok(None)
        );
        let now = target.existing(&p("a")).unwrap().unwrap();
        assert_eq!(now.mtime_ns, 5_000_000_000);
        assert!(cfg!(windows) || now.mode == 0o640);
        assert_eq!(std::fs::read(dir.path().join("a")).unwrap(), b"one");
        std::fs::create_dir(dir.path().join("d")).unwrap();
        assert!(
            target
                .set_metadata(&p("d"), 0o640, 0, None, &Attributes::default())
                .is_err()
        );
    }
}
