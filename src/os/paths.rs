//! Paths of the operating system, and below the root of a source.

use super::names::NameRefused;
use super::platform::{bytes_of_name, name_of_bytes, storable_name};
use crate::types::{PathRefused, RelPath};
use std::borrow::Cow;
use std::path::{Component, Path, PathBuf};

/// The path below a source's root as the operating system writes it.
///
/// # Errors
/// [`NameRefused`] when a component would mean something else here (Windows:
/// `a\b`, `a:b`). Never on Unix.
pub fn rel_to_os(path: &RelPath) -> Result<PathBuf, NameRefused> {
    let mut out = PathBuf::new();
    for name in path.components() {
        out.push(name_of_bytes(name)?);
    }
    Ok(out)
}

/// A path relative to a source's root, as [`RelPath`].
///
/// # Errors
/// [`PathRefused`] when it is absolute or has a `..`.
pub fn os_to_rel(path: &Path) -> Result<RelPath, PathRefused> {
    let mut out = RelPath::root();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(name) => out = out.join(&bytes_of_name(name))?,
            Component::ParentDir => return Err(PathRefused::Dots),
            Component::RootDir | Component::Prefix(_) => return Err(PathRefused::Empty),
        }
    }
    Ok(out)
}

/// The path under which what is at `rel` can be stored here: with other names where this
/// system does not take them.
pub fn storable_path(rel: &RelPath) -> Cow<'_, RelPath> {
    let is_storable = |name: &[u8]| matches!(storable_name(name), Cow::Borrowed(_));
    if rel.components().all(is_storable) {
        return Cow::Borrowed(rel);
    }
    let path = rel.components().try_fold(RelPath::root(), |path, name| {
        path.join(&storable_name(name))
    });
    // No name becomes one with a slash or none at all: this cannot fail.
    path.map_or(Cow::Borrowed(rel), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_outside_the_root_have_no_relative_form() {
        for (path, want) in [
            ("../a", PathRefused::Dots),
            ("a/../b", PathRefused::Dots),
            ("/a", PathRefused::Empty),
        ] {
            assert_eq!(os_to_rel(Path::new(path)), Err(want), "{path}");
        }
        assert_eq!(os_to_rel(Path::new("./a/./b")).unwrap().as_bytes(), b"a/b");
        assert!(os_to_rel(Path::new("")).unwrap().is_root());
    }

    #[test]
    fn names_that_this_system_takes_stay() {
        let rel = |path: &str| RelPath::from_bytes(path).unwrap();
        assert_eq!(*storable_path(&rel("a/b.txt")), rel("a/b.txt"));
        let odd = rel("10:30/a.txt");
        assert_eq!(*storable_path(&odd) == odd, !cfg!(windows));
        assert!(storable_path(&odd).as_bytes().ends_with(b"/a.txt"));
    }

    proptest! {
        #[test]
        fn every_path_survives_the_way_to_the_system_and_back(
            bytes in proptest::collection::vec(any::<u8>(), 0..30)
        ) {
            if let Ok(path) = RelPath::from_bytes(bytes)
                && let Ok(os) = rel_to_os(&path)
            {
                prop_assert_eq!(os_to_rel(&os), Ok(path));
            }
        }
    }
}
