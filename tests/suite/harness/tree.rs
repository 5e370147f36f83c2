//! A folder as it must come back, and what two of them differ in.

use super::os::{mode_of, mtime_ns};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Differences that a failed test shows.
const DIFFERENCES_MAX: usize = 5;

/// One node of a tree as it must come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Mode, modification time and SHA-256.
    File(u32, i128, String),
    /// Modification time and target.
    Link(i128, PathBuf),
    /// An empty folder, its mode. Others are made by what is in them.
    EmptyFolder(u32),
}

impl Node {
    #[cfg(unix)]
    pub fn is_folder(&self) -> bool {
        matches!(self, Node::EmptyFolder(_))
    }
}

/// Everything below `root`, by path relative to it.
pub fn tree(root: &Path) -> BTreeMap<PathBuf, Node> {
    let mut out = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let mut is_empty = true;
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path == root.join(keepwatch::files::MARKER_FILE_NAME) {
                continue;
            }
            is_empty = false;
            let meta = fs::symlink_metadata(&path).unwrap();
            let mode = mode_of(&meta);
            let node = if meta.is_dir() {
                folders.push(path);
                continue;
            } else if meta.is_symlink() {
                Node::Link(mtime_ns(&meta), fs::read_link(&path).unwrap())
            } else {
                assert!(meta.is_file(), "{}", path.display());
                let hash = keepwatch::types::ContentHash::of(&fs::read(&path).unwrap());
                Node::File(mode, mtime_ns(&meta), hash.to_hex())
            };
            out.insert(path.strip_prefix(root).unwrap().to_owned(), node);
        }
        if is_empty && folder != root {
            let mode = mode_of(&fs::metadata(&folder).unwrap());
            let name = folder.strip_prefix(root).unwrap().to_owned();
            out.insert(name, Node::EmptyFolder(mode));
        }
    }
    out
}

/// The first few differences between two trees.
pub fn differences(got: &BTreeMap<PathBuf, Node>, want: &BTreeMap<PathBuf, Node>) -> Vec<String> {
    let all: BTreeSet<_> = got.keys().chain(want.keys()).collect();
    all.into_iter()
        .filter(|path| got.get(*path) != want.get(*path))
        .map(|path| {
            format!(
                "{path:?}: {:?} instead of {:?}",
                got.get(path),
                want.get(path)
            )
        })
        .take(DIFFERENCES_MAX)
        .collect()
}

#[track_caller]
pub fn assert_same_tree(got: &Path, want: &Path) {
    let found = differences(&tree(got), &tree(want));
    assert!(found.is_empty(), "{found:#?}");
}
