//! Files and folders that only their owner gets at.
//!
//! It must never touch anything outside the index's folder, save the one copy
//! beside it.

use crate::os::{Dir, create_private_dir_all, create_private_file, set_path_mode as set_mode};
use std::io::Write as _;
use std::path::Path;
use std::{fs, io};

/// Create a folder (and its parents) that only its owner can enter.
pub(super) fn make_private_folder(folder: &Path) -> io::Result<()> {
    create_private_dir_all(folder)?;
    set_mode(folder, 0o700)
}

/// Write a file that only its owner can read.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = create_private_file(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Write a file that only its owner can read in the place of another, whole or
/// not at all. That its name lasts through a power cut is best effort: some
/// file systems refuse to sync a folder, and the file is whole either way.
pub(super) fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    write_private(&new, bytes)?;
    fs::rename(&new, path)?;
    if let Some(folder) = path.parent() {
        let _ = Dir::open(folder).and_then(|folder| folder.sync());
    }
    Ok(())
}

/// Folders above sled's that a first start makes: the generation's, the
/// index's, the state's, and where that is.
const FOLDERS_MADE: usize = 5;

/// Wait until a fresh database's files and folders have their names on the
/// disk. Best effort: what a power cut takes with it is rebuilt.
pub(super) fn make_names_last(sled: &Path) {
    for folder in sled.ancestors().take(FOLDERS_MADE) {
        let _ = Dir::open(folder).and_then(|folder| folder.sync());
    }
}

/// sled makes its files with the process's default mode. Nobody else can enter
/// the folder they are in, so this is a second line, and best effort.
pub(super) fn make_files_private(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let _ = set_mode(&entry.path(), 0o700);
            make_files_private(&entry.path());
        } else {
            let _ = set_mode(&entry.path(), 0o600);
        }
    }
}
