//! A folder to restore into that is itself backed up.

use crate::os::real_path;
use crate::types;
use std::path::{Path, PathBuf};

/// What to say, and what to do, about a folder within one of the sources (name and folder):
/// the copies in it are backed up once more.
pub(super) fn warning<'a>(
    to: &Path,
    mut sources: impl Iterator<Item = (&'a str, &'a Path)>,
) -> Option<[String; 2]> {
    let there = real(to);
    let (name, folder) = sources.find(|(_, folder)| {
        let root = real(folder);
        // Into the folder itself goes what belongs there.
        there != root && there.starts_with(&root)
    })?;
    let what = format!(
        "WARNING: {} is inside {}, which is backed up (source {name}): what is restored there is backed up once more",
        to.display(),
        folder.display(),
    );
    let todo = "  what to do: stop this and name a folder elsewhere with --to, or remove it when you have taken what you need";
    Some([types::clean(&what), todo.to_owned()])
}

/// The path without links, as far as it is there.
fn real(path: &Path) -> PathBuf {
    let found = path
        .ancestors()
        .find_map(|at| Some((path.strip_prefix(at).ok()?, real_path(at).ok()?)));
    match found {
        Some((rest, real)) if rest.as_os_str().is_empty() => real,
        Some((rest, real)) => real.join(rest),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Named after the bug: nobody heard that restored copies are backed up again.
    #[test]
    fn a_folder_inside_a_source_is_warned_of() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        std::fs::create_dir_all(at("docs/old")).unwrap();
        let root = at("docs");
        for (to, is_told) in [
            ("docs/old", true),
            ("docs/new/deep", true),
            ("docs", false),
            ("docs2", false),
            ("elsewhere/docs", false),
        ] {
            let sources = [("docs", root.as_path())].into_iter();
            let told = warning(&at(to), sources);
            assert_eq!(told.is_some(), is_told, "{to}: {told:?}");
            if let Some([what, todo]) = told {
                assert!(what.contains("source docs"), "{what}");
                assert!(todo.contains("what to do: "), "{todo}");
            }
        }
    }
}
