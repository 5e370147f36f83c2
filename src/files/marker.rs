//! The sentinel in a source's root: the only file that Keepwatch writes there.
//!
//! It carries the source's identity, so that another disk or an empty mount point is not taken
//! for the folder. Touching it causes an event, which proves that the watch works. Invariants:
//! a file of that name that is not ours is never changed, replaced or followed; an existing
//! sentinel is never replaced; it appears whole or not at all, and only its owner can read it.
//! `guard::root_sentinel` decides whether a new one may be written.

use super::fault;
use super::temp::{TempFile, is_temporary};
use crate::os::{Dir, Trouble, set_mode, set_owner, trouble};
use crate::types::{Class, Fault, Kind};
use serde::{Deserialize, Serialize};
use std::io;
use std::io::{Read, Write};
use std::path::Path;

/// The marker's name; left out of every backup at a source's root.
pub const MARKER_FILE_NAME: &str = ".keepwatch-source";

/// A marker has some 400 bytes; what is longer is not one.
const MARKER_BYTES_MAX: u64 = 4096;

/// What the line with the identity begins with.
const IDENTITY_LINE: &str = "identity: ";

/// Hex digits of an identity: 128 random bits never meet by chance.
const IDENTITY_DIGITS: usize = 32;

/// Temporary files looked at when a marker is written; one is left per kill.
const UNFINISHED_MAX: usize = 100;

/// What the file says to people.
const TEXT: &str = "\
Keepwatch keeps this file to see that it watches this folder, and that it is
the right one. It is not backed up, and nothing depends on what is in it but
the line below. Please leave it here. If it is deleted, Keepwatch writes it
again; to do without it, set sentinel = false for this folder in Keepwatch's
configuration.

";

/// Who a source is, whatever disk it is on and wherever that is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Identity(String);

impl Identity {
    /// A new one.
    pub fn random() -> Self {
        Self(format!(
            "{:016x}{:016x}",
            fastrand::u64(..),
            fastrand::u64(..)
        ))
    }

    /// One that was written down.
    pub fn parse(text: &str) -> Option<Self> {
        let is_one = text.len() == IDENTITY_DIGITS
            && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        is_one.then(|| Self(text.to_owned()))
    }

    /// Its digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What stands at the marker's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Marker {
    /// Nothing.
    Absent,
    /// A marker of Keepwatch's.
    Present(Identity),
    /// Something that is not ours: it is left alone.
    Foreign,
}

/// What became of touching the marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touched {
    /// The file system has made an event of it.
    Yes,
    /// There is no marker.
    Absent,
    /// What stands there is not ours.
    Foreign,
}

/// Read the marker of the source at `root`. Blocks.
///
/// # Errors
/// The root is not there, or the marker cannot be read: nothing is known then.
pub fn read_marker(root: &Path) -> Result<Marker, Fault> {
    look(root)
        .map(|(_, marker)| marker)
        .map_err(|error| failed("read", root, &error))
}

/// Write a marker unless something has its name. Gives what stands there
/// afterwards, which is `Present(identity)` when it was written. Blocks.
///
/// # Errors
/// The folder cannot be written to (read-only, no permission, full).
pub fn create_marker(root: &Path, identity: &Identity) -> Result<Marker, Fault> {
    write(root, identity).map_err(|error| {
        let path = root.join(MARKER_FILE_NAME);
        fault::writing("write", path.display().to_string(), &error)
    })
}

/// Touch the marker, whoever's identity it carries: its time is set to now and
/// nothing else changes. Blocks.
///
/// # Errors
/// It may not be touched (read-only, no permission).
pub fn touch_marker(root: &Path) -> Result<Touched, Fault> {
    let touch = || {
        let (dir, marker) = look(root)?;
        Ok(match marker {
            Marker::Absent => Touched::Absent,
            Marker::Foreign => Touched::Foreign,
            Marker::Present(_) => {
                dir.touch_file(MARKER_FILE_NAME.as_bytes())?;
                Touched::Yes
            }
        })
    };
    touch().map_err(|error: io::Error| match trouble(&error) {
        // Deleted just now.
        Trouble::Missing => failed("touch", root, &error),
        _ => {
            let path = root.join(MARKER_FILE_NAME);
            fault::writing("touch", path.display().to_string(), &error)
        }
    })
}

/// Give the marker to this owner and group, for whom root has written it. Blocks.
///
/// # Errors
/// It is not there, or may not be given away.
pub fn give_marker(root: &Path, owner: (u32, u32)) -> Result<(), Fault> {
    let give = || {
        // Within the folder, through no link: others may write there.
        let file = Dir::open(root)?.open_file(MARKER_FILE_NAME.as_bytes())?;
        set_owner(&file, owner)?;
        set_mode(&file, 0o600)
    };
    give().map_err(|error: io::Error| {
        let path = root.join(MARKER_FILE_NAME);
        fault::writing("give away", path.display().to_string(), &error)
    })
}

fn failed(operation: &str, root: &Path, error: &io::Error) -> Fault {
    let path = root.join(MARKER_FILE_NAME);
    let mut fault = fault::reading(operation, path.display().to_string(), error);
    if fault.class == Class::Vanished {
        // Never "gone": that would be a statement about the user's files.
        fault.class = Class::Unreadable;
    }
    fault
}

fn look(root: &Path) -> io::Result<(Dir, Marker)> {
    let dir = Dir::open(root)?;
    let name = MARKER_FILE_NAME.as_bytes();
    let seen = match dir.stat(name) {
        Ok(found) => found.fingerprint,
        Err(error) if trouble(&error) == Trouble::Missing => return Ok((dir, Marker::Absent)),
        Err(error) => return Err(error),
    };
    if seen.kind != Kind::File || seen.size_bytes > MARKER_BYTES_MAX {
        return Ok((dir, Marker::Foreign));
    }
    let file = match dir.open_own_file(name) {
        Ok(file) => file,
        Err(error) if trouble(&error) == Trouble::Link => return Ok((dir, Marker::Foreign)),
        Err(error) => return Err(error),
    };
    if crate::os::fingerprint_of(&file)?.kind != Kind::File {
        return Ok((dir, Marker::Foreign));
    }
    let mut bytes = Vec::new();
    file.take(MARKER_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok((dir, parse(&bytes)))
}

fn parse(bytes: &[u8]) -> Marker {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Marker::Foreign;
    };
    if !text.starts_with("Keepwatch ") {
        return Marker::Foreign;
    }
    text.lines()
        .find_map(|line| Identity::parse(line.strip_prefix(IDENTITY_LINE)?.trim_end()))
        .map_or(Marker::Foreign, Marker::Present)
}

/// A process that was killed while it wrote the marker has left it under its
/// temporary name. Only what begins like a marker is ours to take away: another
/// temporary file may be a restore's, under way.
fn remove_unfinished(dir: &Dir) -> io::Result<()> {
    let mut left = Vec::new();
    dir.list(|name, _| {
        if is_temporary(name) && left.len() < UNFINISHED_MAX {
            left.push(name.to_vec());
        }
    })?;
    for name in left {
        let mut bytes = Vec::new();
        // Gone meanwhile, or nothing that can be read: not ours to judge.
        let read = dir
            .open_file(&name)
            .and_then(|file| file.take(MARKER_BYTES_MAX).read_to_end(&mut bytes));
        if read.is_ok() && matches!(parse(&bytes), Marker::Present(_)) {
            dir.remove_file(&name)?;
        }
    }
    Ok(())
}

fn write(root: &Path, identity: &Identity) -> io::Result<Marker> {
    let (dir, marker) = look(root)?;
    if marker != Marker::Absent {
        return Ok(marker);
    }
    remove_unfinished(&dir)?;
    let mut temp = TempFile::create(dir)?;
    temp.file
        .write_all(format!("{TEXT}{IDENTITY_LINE}{}\n", identity.as_str()).as_bytes())?;
    temp.file.sync_all()?;
    if !temp
        .dir
        .rename_new(&temp.name, MARKER_FILE_NAME.as_bytes())?
    {
        // Somebody was quicker.
        return look(root).map(|(_, marker)| marker);
    }
    temp.keep();
    temp.dir.sync()?;
    Ok(Marker::Present(identity.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::testing::{make_fifo, make_link};

    fn names(root: &Path) -> Vec<String> {
        let names = root.read_dir().unwrap();
        names
            .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn a_marker_is_written_once_whole_and_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        assert_eq!(read_marker(root), Ok(Marker::Absent));
        assert_eq!(touch_marker(root), Ok(Touched::Absent));
        let (ours, other) = (Identity::random(), Identity::random());
        assert_ne!(ours, other);
        let present = Ok(Marker::Present(ours.clone()));
        assert_eq!(create_marker(root, &ours), present);
        assert_eq!(read_marker(root), present);
        assert_eq!(create_marker(root, &other), present, "never replaced");
        assert_eq!(names(root), [MARKER_FILE_NAME]);
        let path = root.join(MARKER_FILE_NAME);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("sentinel = false"), "{text}");
        if crate::os::HAS_MODES {
            let file = std::fs::File::open(&path).unwrap();
            assert_eq!(crate::os::fingerprint_of(&file).unwrap().mode, 0o600);
        }
    }

    #[test]
    fn a_touch_changes_the_time_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let ours = Identity::random();
        create_marker(dir.path(), &ours).unwrap();
        let path = dir.path().join(MARKER_FILE_NAME);
        let old = std::time::SystemTime::UNIX_EPOCH;
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(old).unwrap();
        let before = std::fs::read(&path).unwrap();
        assert_eq!(touch_marker(dir.path()), Ok(Touched::Yes));
        assert_eq!(std::fs::read(&path).unwrap(), before);
        assert!(std::fs::metadata(&path).unwrap().modified().unwrap() > old);
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        type Make = fn(&Path) -> bool;
        let kinds: [(&str, Make); 6] = [
            ("a text", |p| std::fs::write(p, "mine\n").is_ok()),
            ("no text", |p| std::fs::write(p, b"Keepwatch \xff").is_ok()),
            ("a long one", |p| {
                std::fs::write(p, "Keepwatch ".repeat(1000)).is_ok()
            }),
            ("a folder", |p| std::fs::create_dir(p).is_ok()),
            ("a FIFO", make_fifo),
            ("a link", |p| {
                std::fs::write(p.with_file_name("target"), "mine").is_ok()
                    && make_link(Path::new("target"), p)
            }),
        ];
        for (what, make) in kinds {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(MARKER_FILE_NAME);
            if !make(&path) {
                continue;
            }
            let before = std::fs::symlink_metadata(&path).unwrap();
            assert_eq!(read_marker(dir.path()), Ok(Marker::Foreign), "{what}");
            let made = create_marker(dir.path(), &Identity::random());
            assert_eq!(made, Ok(Marker::Foreign), "{what}");
            assert_eq!(touch_marker(dir.path()), Ok(Touched::Foreign), "{what}");
            let after = std::fs::symlink_metadata(&path).unwrap();
            assert_eq!(
                after.modified().unwrap(),
                before.modified().unwrap(),
                "{what}"
            );
            if what == "a link" {
                let target = std::fs::read(dir.path().join("target")).unwrap();
                assert_eq!(target, b"mine");
            }
        }
    }

    #[test]
    fn a_missing_root_is_an_error_and_says_nothing_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let gone = dir.path().join("gone");
        for fault in [
            read_marker(&gone).unwrap_err(),
            touch_marker(&gone).unwrap_err(),
            create_marker(&gone, &Identity::random()).unwrap_err(),
        ] {
            assert_ne!(fault.class, Class::Vanished);
            assert!(fault.subject.ends_with(MARKER_FILE_NAME), "{fault}");
        }
    }

    /// As docs/OPERATIONS.md tells the technician to make it.
    #[test]
    fn a_marker_prepared_by_hand_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity::random();
        let text = format!(
            "Keepwatch keeps this file.\nidentity: {}\n",
            identity.as_str()
        );
        std::fs::write(dir.path().join(MARKER_FILE_NAME), text).unwrap();
        assert_eq!(read_marker(dir.path()), Ok(Marker::Present(identity)));
        assert_eq!(touch_marker(dir.path()), Ok(Touched::Yes));
    }

    #[test]
    fn identities_survive_being_written_down() {
        let one = Identity::random();
        assert_eq!(Identity::parse(one.as_str()), Some(one));
        for text in ["", "0", &"g".repeat(32), &"A".repeat(32), &"0".repeat(33)] {
            assert_eq!(Identity::parse(text), None, "{text}");
        }
    }

    /// Named after the bug: a kill while the marker was written left its temporary
    /// file in the user's folder for ever.
    #[test]
    fn what_a_kill_left_of_a_marker_is_taken_away_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity::random();
        create_marker(dir.path(), &identity).unwrap();
        let ours = dir.path().join(".keepwatch-restore-0123456789abcdef");
        let theirs = dir.path().join(".keepwatch-restore-fedcba9876543210");
        std::fs::rename(dir.path().join(MARKER_FILE_NAME), &ours).unwrap();
        std::fs::write(&theirs, "half a letter").unwrap();
        let made = create_marker(dir.path(), &identity).unwrap();
        assert_eq!(made, Marker::Present(identity));
        assert!(!ours.exists() && theirs.exists());
    }
}
