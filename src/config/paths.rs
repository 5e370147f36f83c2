//! Paths of the configuration: made absolute, and compared.
//!
//! Relative paths belong to the folder of the configuration file, never to the
//! folder somebody happened to start the program in. Looks, never creates, and
//! never waits for a disk that does not answer.

use super::problem::{Problem, shown};
use crate::types::{Home, is_hidden};
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

/// How long a disk or network drive may take to say what a path is. A dead one
/// must not keep the other folders from being backed up; who watches it says so.
const ANSWER_WAIT: Duration = Duration::from_secs(3);

/// What the disk says, unless it does not answer: then the thread is left behind.
fn asked<T: Send + 'static>(ask: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (to, answer) = mpsc::sync_channel(1);
    // Nobody may be waiting any more.
    let asking = move || drop(to.send(ask()));
    std::thread::Builder::new().spawn(asking).ok()?;
    answer.recv_timeout(ANSWER_WAIT).ok()
}

/// A path of the configuration as [`crate::config::load`] takes it, for whoever reads a file
/// of it by another way; `None` for one that would be refused.
pub fn path_as_written(text: &str, base: &Path, home: &Home) -> Option<PathBuf> {
    resolve(text, base, home).ok()
}

/// A path as written becomes an absolute one.
pub(super) fn resolve(text: &str, base: &Path, home: &Home) -> Result<PathBuf, Problem> {
    if text.trim().is_empty() {
        return Err(Problem::new("it is empty", "write the folder's full path"));
    }
    if text.chars().any(is_hidden) {
        return Err(Problem::new(
            format!("{} has a control or invisible character in it", shown(text)),
            "in \"double quotes\" a backslash is special: write a Windows path in 'single quotes', or with /",
        ));
    }
    let path = home
        .expanded(Path::new(text))
        .map_err(|refused| Problem::new(refused.what, refused.remedy))?;
    let path = base.join(path);
    let path = std::path::absolute(&path).unwrap_or(path);
    // `a/link/..` is not `a`, so the file system is asked.
    let climbs = path.components().any(|part| part == Component::ParentDir);
    Ok(if climbs { real(&path) } else { path })
}

/// The path without links, as far as it exists: for comparing.
pub(super) fn real(path: &Path) -> PathBuf {
    let owned = path.to_owned();
    asked(move || real_of(&owned)).unwrap_or_else(|| path.to_owned())
}

fn real_of(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let Ok(found) = std::fs::canonicalize(ancestor) {
            return match path.strip_prefix(ancestor) {
                Ok(rest) if !rest.as_os_str().is_empty() => found.join(rest),
                _ => found,
            };
        }
    }
    path.to_owned()
}

/// True when the disk says that something is there.
pub(super) fn is_there(path: &Path) -> bool {
    let owned = path.to_owned();
    asked(move || owned.symlink_metadata().is_ok()).unwrap_or_default()
}

/// True when `inner` is `outer` or lies inside it.
pub(super) fn is_inside(inner: &Path, outer: &Path) -> bool {
    real(inner).starts_with(real(outer))
}

/// A folder that must be there; a link to one will do.
pub(super) fn existing_folder(path: &Path, remedy_when_missing: &str) -> Result<(), Problem> {
    let name = shown(&path.to_string_lossy());
    let owned = path.to_owned();
    let Some(found) = asked(move || std::fs::metadata(owned)) else {
        return Ok(()); // it may answer later
    };
    match found {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(Problem::new(
            format!("{name} is not a folder"),
            "name the folder that the file is in",
        )),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(Problem::new(
                format!("there is no folder {name}"),
                remedy_when_missing,
            ))
        }
        Err(error) => Err(Problem::new(
            format!("the folder {name} cannot be looked at: {error}"),
            "let the account that runs Keepwatch read it",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_belong_to_the_files_folder_or_to_home() {
        let base = Path::new("/etc/keepwatch");
        let home = Home::At("/home/anna".into());
        for (text, absolute) in [
            ("/srv/office", "/srv/office"),
            ("office", "/etc/keepwatch/office"),
            ("./office/", "/etc/keepwatch/office/"),
            ("~", "/home/anna"),
            ("~/office", "/home/anna/office"),
            ("./~backup", "/etc/keepwatch/~backup"),
            ("/no/such/../office", "/no/such/../office"),
        ] {
            let found = resolve(text, base, &home).unwrap();
            // With the drive, where there are such.
            assert_eq!(found, std::path::absolute(absolute).unwrap(), "{text}");
        }
    }

    #[test]
    fn paths_that_cannot_be_meant_are_refused() {
        let nowhere = Home::Nowhere;
        for text in ["", "  ", "C:\temp", "/srv/a\u{202e}b", "~/x", "~anna/x"] {
            let found = resolve(text, Path::new("/etc"), &nowhere);
            assert!(found.is_err(), "{text:?}");
        }
    }

    #[test]
    fn missing_ends_and_detours_do_not_hide_that_a_folder_is_inside() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("folder");
        std::fs::create_dir(&folder).unwrap();
        let detour = resolve("../folder/state", &folder, &Home::Nowhere).unwrap();
        for (inner, inside) in [
            (folder.join("not/yet"), true),
            (folder.clone(), true),
            (detour, true),
            (dir.path().join("folder2"), false),
            (dir.path().to_owned(), false),
        ] {
            assert_eq!(is_inside(&inner, &folder), inside, "{}", inner.display());
        }
    }
}
