//! The sample office that `keepwatch try` writes when no folder is given.
//!
//! Its files are the user's to play with, so they get ordinary modes. Never
//! touches a folder that has anything in it.

use crate::types::{Fatal, chain, command};
use include_dir::{Dir, DirEntry, include_dir};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::{fs, io};

static OFFICE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/fixtures/office");

/// git does not keep empty folders, and an office has them.
const EMPTY_FOLDER: &str = "documents/Neue Scans";

/// Write the sample office into `dir`, which is made when it is not there. A
/// folder that has anything in it is left as it is. Gives the number of files
/// written.
///
/// # Errors
/// When the folder or a file in it cannot be written.
pub fn write_sample_office(dir: &Path) -> Result<usize, Fatal> {
    let refuse = |error: io::Error| {
        Fatal::new(
            format!("write the sample office into {}", dir.display()),
            chain(&error),
            format!(
                "name a folder of yours instead: {}",
                command::bare("try FOLDER")
            ),
        )
    };
    fs::create_dir_all(dir).map_err(refuse)?;
    if fs::read_dir(dir).map_err(refuse)?.next().is_some() {
        return Ok(0);
    }
    let written = write_below(&OFFICE, dir).map_err(refuse)?;
    fs::create_dir_all(dir.join(EMPTY_FOLDER)).map_err(refuse)?;
    Ok(written)
}

/// Depth is that of the embedded folder: a handful.
fn write_below(folder: &Dir<'_>, root: &Path) -> io::Result<usize> {
    let mut written = 0;
    for entry in folder.entries() {
        let path = root.join(entry.path());
        match entry {
            DirEntry::Dir(inner) => {
                fs::create_dir_all(&path)?;
                written += write_below(inner, root)?;
            }
            DirEntry::File(file) => match fs::File::create_new(&path) {
                Ok(mut new) => {
                    new.write_all(file.contents())?;
                    written += 1;
                }
                // Somebody was quicker: theirs stays.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            },
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files_below(dir: &Path) -> usize {
        fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| if path.is_dir() { files_below(&path) } else { 1 })
            .sum()
    }

    #[test]
    fn the_office_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let office = dir.path().join("new/office");
        let written = write_sample_office(&office).unwrap();
        assert_eq!(written, files_below(&office));
        assert_eq!(written, files_below(Path::new("fixtures/office")));
        assert!((25..=40).contains(&written), "{written}");
        let name = "database/customers.csv";
        let original = fs::read(Path::new("fixtures/office").join(name)).unwrap();
        assert_eq!(fs::read(office.join(name)).unwrap(), original);
        let empty = office.join(EMPTY_FOLDER);
        assert!(fs::read_dir(empty).unwrap().next().is_none());
    }

    #[test]
    fn what_is_there_stays() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("mine.txt"), "mine").unwrap();
        assert_eq!(write_sample_office(dir.path()).unwrap(), 0);
        assert_eq!(files_below(dir.path()), 1);
    }

    #[test]
    fn a_second_try_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        write_sample_office(dir.path()).unwrap();
        let letter = dir.path().join("documents/Notizen.md");
        fs::write(&letter, "changed").unwrap();
        assert_eq!(write_sample_office(dir.path()).unwrap(), 0);
        assert_eq!(fs::read_to_string(&letter).unwrap(), "changed");
    }

    #[test]
    fn a_place_that_is_no_folder_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let fatal = write_sample_office(&file).unwrap_err();
        assert!(
            fatal.to_string().contains(&file.display().to_string()),
            "{fatal}"
        );
    }
}
