//! The folder that a drill restores into: in the state folder, the owner's
//! alone, one file at a time, and gone afterwards.
//!
//! Each drill has one of its own, since one may be asked for while another ends.

use crate::files::Target;
use crate::os;
use crate::types::{Class, Fault, chain};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What its name in the state folder begins with.
const FOLDER: &str = "drill-";

/// Each file gets a folder of its own, so that none is in another's way.
const NAME: &str = "file";

/// A drill's place on the disk; removed when it is dropped.
pub(crate) struct Scratch {
    folder: PathBuf,
    number: u64,
}

impl Scratch {
    /// A fresh one. Blocks.
    pub(crate) fn new(state_dir: &Path) -> Result<Self, Fault> {
        let folder = state_dir.join(format!("{FOLDER}{:016x}", fastrand::u64(..)));
        os::create_private_dir_all(&folder).map_err(|e| trouble("make", &folder, &e))?;
        Ok(Self { folder, number: 0 })
    }

    /// Where the next file goes.
    pub(crate) fn next(&mut self) -> PathBuf {
        self.number += 1;
        self.folder.join(format!("{NAME}{}", self.number))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Not on a thread that others wait for. What the end of the process cuts
        // off here, the next start removes.
        let folder = std::mem::take(&mut self.folder);
        std::thread::spawn(move || {
            if let Err(error) = remove(&folder) {
                tracing::warn!("{}", trouble("remove", &folder, &error));
            }
        });
    }
}

/// A folder for one file, to restore into. Blocks.
pub(crate) fn open(folder: &Path) -> Result<Arc<Target>, Fault> {
    Target::open(folder).map(Arc::new).map_err(|fatal| {
        Fault::new(
            Class::Local,
            "restore into",
            folder.display().to_string(),
            fatal.cause,
        )
    })
}

/// Take away what a killed drill left in the state folder; only while none runs. Blocks.
///
/// # Errors
/// It cannot be removed.
pub fn clear_leftovers(state_dir: &Path) -> Result<(), Fault> {
    let entries = std::fs::read_dir(state_dir).map_err(|e| trouble("look for", state_dir, &e))?;
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(FOLDER) {
            let folder = entry.path();
            remove(&folder).map_err(|e| trouble("remove", &folder, &e))?;
        }
    }
    Ok(())
}

/// Remove a folder with all in it; none is as good. Blocks.
pub(crate) fn remove(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            // Restored folders may forbid it to everybody but root.
            open_up(folder);
            match std::fs::remove_dir_all(folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// Give the owner all rights on every folder below; what that fails for, the
/// removal names.
fn open_up(folder: &Path) {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let _ = os::set_path_mode(&folder, 0o700);
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        folders.extend(below.map(|entry| entry.path()));
    }
}

fn trouble(what: &str, folder: &Path, error: &io::Error) -> Fault {
    Fault::new(
        Class::Local,
        format!("{what} the drill's folder"),
        folder.display().to_string(),
        chain(error),
    )
    .hint("see whether the state folder's disk works and has room")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os;

    #[test]
    fn what_a_killed_drill_left_is_removed_whatever_its_rights() {
        let dir = tempfile::tempdir().unwrap();
        let left = dir.path().join(format!("{FOLDER}1/file1/a/b"));
        std::fs::create_dir_all(&left).unwrap();
        std::fs::write(left.join("secret"), "x").unwrap();
        os::set_path_mode(&left, 0).unwrap();
        std::fs::create_dir(dir.path().join("index")).unwrap();
        clear_leftovers(dir.path()).unwrap();
        clear_leftovers(dir.path()).unwrap();
        let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "{names:?}");
    }

    /// Named after the bug: the end of one drill removed the folder of the next.
    #[test]
    fn no_drill_removes_the_folder_of_another() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = Scratch::new(dir.path()).unwrap();
        let second = Scratch::new(dir.path()).unwrap();
        assert_ne!(first.folder, second.folder);
        assert_ne!(first.next(), first.next());
        let gone = second.folder.clone();
        drop(second);
        let began = std::time::Instant::now();
        while gone.exists() {
            assert!(began.elapsed().as_secs() < 60, "it is not removed");
            std::thread::yield_now();
        }
        assert!(first.folder.exists());
    }
}
