//! Tells a name that is not there from a drive or a share that is gone, on systems that
//! know folders by their paths.
//!
//! Pure, and compiled on every platform, so that its tests run on all of them.
#![cfg_attr(not(any(windows, test)), allow(dead_code))]

use std::io;
use std::path::{Component, Path, PathBuf};

/// What an error said of a path means when the volume may be gone: `None` for itself.
///
/// Windows answers "path not found" (3) for a folder that was deleted and for a drive that
/// was pulled out, and "file not found" (2) for a name in a folder that is there.
pub(super) fn judged(code: i32, is_volume_there: impl FnOnce() -> bool) -> Option<io::Error> {
    const PATH_NOT_FOUND: i32 = 3;
    (code == PATH_NOT_FOUND && !is_volume_there()).then(|| {
        let why = "the drive or network folder that it is on is not there any more";
        io::Error::new(io::ErrorKind::NotConnected, why)
    })
}

/// The root of the drive or share that a whole path is on; `None` for any other path.
pub(super) fn volume_of(path: &Path) -> Option<PathBuf> {
    let mut components = path.components();
    let (first, second) = (components.next()?, components.next()?);
    let is_whole = matches!((first, second), (Component::Prefix(_), Component::RootDir));
    is_whole.then(|| [first, second].iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::trouble::{Trouble, trouble};

    #[test]
    fn a_drive_that_was_pulled_out_has_deleted_nothing() {
        let gone = judged(3, || false).unwrap();
        assert_eq!(trouble(&gone), Trouble::Stale);
        assert!(!trouble(&gone).is_nothing());
        assert!(judged(3, || true).is_none());
        for code in [2, 5, 32, 267] {
            assert!(judged(code, || false).is_none(), "{code}");
        }
    }

    #[test]
    fn volumes_of_paths() {
        assert_eq!(volume_of(Path::new("relative/path")), None);
        for (path, want) in [
            (r"\\?\C:\a\b", r"\\?\C:\"),
            (r"C:\a", r"C:\"),
            (r"\\server\share\a", r"\\server\share\"),
            (r"\\?\UNC\server\share\a\b", r"\\?\UNC\server\share\"),
        ] {
            let want = cfg!(windows).then(|| PathBuf::from(want));
            assert_eq!(volume_of(Path::new(path)), want, "{path}");
        }
    }
}
