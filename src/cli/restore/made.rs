//! Folders that a restore makes for what it brings back: those that stay empty go again.

use super::part::Part;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

/// The folders that were not there when the restore began.
pub(super) struct NewFolders(Vec<PathBuf>);

impl NewFolders {
    /// Which of the folders for these parts, and above them, are not there yet. Blocks.
    pub(super) fn of(parts: &[Part]) -> Self {
        let is_missing = |path: &&std::path::Path| {
            let found = fs::symlink_metadata(path);
            found.is_err_and(|error| error.kind() == ErrorKind::NotFound)
        };
        let missing = parts
            .iter()
            .flat_map(|part| part.to.ancestors().take_while(is_missing));
        let mut new: Vec<PathBuf> = missing.map(std::path::Path::to_owned).collect();
        // What lies in a folder goes before it.
        new.sort_by_key(|folder| std::cmp::Reverse(folder.components().count()));
        new.dedup();
        Self(new)
    }

    /// Remove those that are empty. Blocks.
    pub(super) fn remove_empty(&self) {
        for folder in &self.0 {
            // One with something in it stays, as does one that was never made.
            let _ = fs::remove_dir(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::origins::Named;
    use crate::types::Origin;

    /// Named after the bug: a restore that found nothing left its empty folders behind.
    #[test]
    fn new_folders_that_stay_empty_are_removed_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        let part = |to: &str| Part {
            named: Named {
                name: to.to_owned(),
                origin: Origin {
                    bucket: "b-1".to_owned(),
                    prefix: String::new(),
                },
                root: None,
            },
            what: Vec::new(),
            to: at(to),
            moment: None,
        };
        fs::create_dir(at("old")).unwrap();
        let parts = ["old", "new/a", "new/b", "none/a"].map(part);
        let new = NewFolders::of(&parts);
        for folder in ["new/a", "new/b", "none/a"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        fs::write(at("new/b/file"), "x").unwrap();
        new.remove_empty();
        for (path, is_there) in [
            ("old", true),
            ("new/a", false),
            ("new/b/file", true),
            ("none", false),
        ] {
            assert_eq!(at(path).exists(), is_there, "{path}");
        }
    }
}
