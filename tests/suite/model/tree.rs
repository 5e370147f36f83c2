//! A folder as it must come back: read from the disk, compared in every detail
//! that is promised.

use keepwatch::os;
use keepwatch::types::{ContentHash, RelKey};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

/// Keepwatch's own file in the root of a source, by which it knows the source
/// again: not the user's, and in no truth.
pub const SENTINEL: &str = ".keepwatch-source";

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Thing {
    File {
        hash: String,
        size_bytes: u64,
        mode: u32,
        mtime_ns: i128,
    },
    Link {
        target: Vec<u8>,
        mtime_ns: i128,
    },
    /// Folders are told only while they are empty; their times are not kept.
    EmptyFolder {
        mode: u32,
    },
}

/// Everything by key, and the folders' keys, empty or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    pub things: BTreeMap<String, Thing>,
    pub folders: Vec<String>,
}

/// Read it; nobody may be changing it.
pub fn read(root: &Path) -> Tree {
    let mut tree = Tree::default();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let mut is_empty = true;
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path == root.join(SENTINEL) {
                continue;
            }
            is_empty = false;
            let meta = fs::symlink_metadata(&path).unwrap();
            let mtime_ns = meta.mtime() * 1_000_000_000 + meta.mtime_nsec();
            if meta.is_dir() {
                tree.folders.push(key(root, &path, true));
                folders.push(path);
                continue;
            }
            let thing = if meta.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                Thing::Link {
                    target: target.as_os_str().as_bytes().to_vec(),
                    mtime_ns: mtime_ns.into(),
                }
            } else {
                let content = fs::read(&path).unwrap();
                Thing::File {
                    hash: ContentHash::of(&content).to_hex(),
                    size_bytes: content.len() as u64,
                    mode: meta.permissions().mode() & 0o7777,
                    mtime_ns: mtime_ns.into(),
                }
            };
            tree.things.insert(key(root, &path, false), thing);
        }
        if is_empty && folder != root {
            let meta = fs::metadata(&folder).unwrap();
            let mode = meta.permissions().mode() & 0o7777;
            let key = key(root, &folder, true);
            tree.things.insert(key, Thing::EmptyFolder { mode });
        }
    }
    tree.folders.sort();
    tree
}

fn key(root: &Path, path: &Path, is_folder: bool) -> String {
    let rel = os::os_to_rel(path.strip_prefix(root).unwrap()).unwrap();
    let key = match is_folder {
        true => RelKey::of_folder(&rel),
        false => RelKey::of_file(&rel),
    };
    key.as_str().to_owned()
}

/// What differs, in words; empty when nothing does.
pub fn differences(expected: &Tree, found: &Tree) -> Vec<String> {
    let mut out = Vec::new();
    for (key, thing) in &expected.things {
        match found.things.get(key) {
            Some(other) if other == thing => {}
            other => out.push(format!("{key:?}: expected {thing:?}, found {other:?}")),
        }
    }
    for (key, thing) in &found.things {
        if !expected.things.contains_key(key) {
            out.push(format!("{key:?}: expected nothing, found {thing:?}"));
        }
    }
    out
}
