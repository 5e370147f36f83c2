//! Operations on whole folders.

use super::{Generator, PATH_BYTES_MAX};
use crate::model::names;
use crate::model::truth::{Node, Path, is_below, join, parent};
use fastrand::Rng;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;

impl Generator {
    /// A folder other than the root and the stock's.
    fn some_folder(&mut self) -> Option<Path> {
        let mut folders = self.of(|node| matches!(node, Node::Folder));
        folders.retain(|folder| folder != b"stock");
        self.pick(&folders)
    }

    pub(super) fn empty_folder(&mut self) -> Option<String> {
        let path = self.free(names::folder)?;
        self.make_folders(&path);
        Some(format!("make folder {}", names::shown(&path)))
    }

    pub(super) fn rename_folder(&mut self) -> Option<String> {
        let from = self.some_folder()?;
        let to = self.free(names::folder)?;
        let inner = self.truth.below(&from);
        let longest = inner.iter().map(Vec::len).max().unwrap_or(0);
        let fits = longest - longest.min(from.len()) + to.len() < PATH_BYTES_MAX;
        if is_below(&to, &from) || !fits || !self.may_lose(&from) {
            return None;
        }
        self.rename(&from, &to);
        let (from, to) = (names::shown(&from), names::shown(&to));
        Some(format!("rename folder {from} to {to}"))
    }

    pub(super) fn delete_tree(&mut self) -> Option<String> {
        let folder = self.some_folder()?;
        if !self.may_lose(&folder) {
            return None;
        }
        let count = self.remove_tree(&folder);
        Some(format!("rm -r {} ({count})", names::shown(&folder)))
    }

    /// Deepest first, as `rm -r` does it.
    fn remove_tree(&mut self, folder: &[u8]) -> usize {
        self.let_go(folder);
        let inner = self.truth.below(folder);
        for path in inner.iter().rev() {
            let is_folder = self.truth.is_folder(path);
            self.truth.remove(path);
            match is_folder {
                true => fs::remove_dir(self.on_disk(path)).unwrap(),
                false => fs::remove_file(self.on_disk(path)).unwrap(),
            }
        }
        self.truth.remove(folder);
        fs::remove_dir(self.on_disk(folder)).unwrap();
        inner.len()
    }

    /// Two folders change names; for the tests of moments.
    pub fn swap_folders(&mut self) {
        let mut folders = self.of(|node| matches!(node, Node::Folder));
        folders.retain(|folder| folder != b"stock");
        self.swap(folders);
    }

    /// Two files or links change names.
    pub fn swap_files(&mut self) {
        let leaves = self.leaves();
        self.swap(leaves);
    }

    /// Exchange two of these, by way of a third name.
    fn swap(&mut self, mut from: Vec<Path>) {
        self.rng.shuffle(&mut from);
        let aside = b".~aside".to_vec();
        let Some((one, rest)) = from.split_first() else {
            return;
        };
        let other = rest.iter().find(|other| {
            let longest = |path: &Path| {
                let inner = self.truth.below(path);
                inner
                    .iter()
                    .map(|p| p.len() - path.len())
                    .max()
                    .unwrap_or(0)
            };
            let fits = longest(one) + other.len() < PATH_BYTES_MAX
                && longest(other) + one.len() < PATH_BYTES_MAX;
            !is_below(one, other) && !is_below(other, one) && fits
        });
        let Some(other) = other.cloned() else { return };
        let is_free = self.truth.get(&aside).is_none();
        if is_free && self.may_lose(one) && self.may_lose(&other) {
            self.rename(one, &aside);
            self.rename(&other, one);
            self.rename(&aside, &other);
            let (one, other) = (names::shown(one), names::shown(&other));
            self.journal.note(format!("swap {one} and {other}"));
        }
    }

    /// The middle of a large file changes, or one is made: for the tests of moments.
    pub fn edit_big(&mut self) {
        let is_big = |node: &Node| matches!(node, Node::File(c) if c.len() >= super::BIG_BYTES);
        let big = self.of(is_big);
        let Some(path) = self.pick(&big) else {
            let done = self.big();
            self.journal.note(done.unwrap_or_default());
            return;
        };
        let Some(Node::File(mut content)) = self.truth.get(&path).cloned() else {
            return;
        };
        let at = self.rng.usize(..content.len() - 5_000);
        let new = self.bytes(5_000);
        content[at..at + new.len()].copy_from_slice(&new);
        self.truth.set(&path, Node::File(content));
        let file = fs::OpenOptions::new().write(true).open(self.on_disk(&path));
        file.unwrap().write_all_at(&new, at as u64).unwrap();
        self.journal
            .note(format!("edit big {}", names::shown(&path)));
    }

    /// What was a file is a folder of the same name, or the other way round.
    pub(super) fn swap_kinds(&mut self) -> Option<String> {
        if self.rng.bool() {
            let leaves = self.leaves();
            let path = self.pick(&leaves)?;
            if !self.may_lose(&path) {
                return None;
            }
            self.remove_leaf(&path);
            self.make_folders(&path);
            for number in 0..self.rng.usize(0..3) {
                let content = self.content(2_000);
                self.write(&join(&path, format!("in {number}").as_bytes()), content);
            }
            return Some(format!("file {} becomes a folder", names::shown(&path)));
        }
        let path = self.some_folder()?;
        if !self.may_lose(&path) {
            return None;
        }
        self.remove_tree(&path);
        if self.rng.bool() {
            let content = self.content(2_000);
            self.write(&path, content);
        } else {
            self.make_link(&path);
        }
        Some(format!(
            "folder {} becomes a file or link",
            names::shown(&path)
        ))
    }

    /// Folders in folders with files in all of them, as fast as it goes.
    pub(super) fn deep_tree(&mut self) -> Option<String> {
        let top = self.free(names::folder)?;
        let mut folder = top.clone();
        let mut count = 0;
        for _ in 0..self.rng.usize(2..6) {
            self.make_folders(&folder);
            for _ in 0..self.rng.usize(0..4) {
                let path = join(&folder, &names::any(&mut self.rng));
                if self.truth.get(&path).is_none() {
                    let content = self.content(5_000);
                    self.write(&path, content);
                    count += 1;
                }
            }
            let below = join(&folder, &names::folder(&mut self.rng));
            if below.len() >= PATH_BYTES_MAX || self.truth.get(&below).is_some() {
                break;
            }
            folder = below;
        }
        Some(format!("deep tree {} ({count})", names::shown(&top)))
    }

    /// From elsewhere, or what was moved out before.
    pub(super) fn move_in(&mut self) -> Option<String> {
        let to = self.free(names::folder)?;
        let back = !self.stash.is_empty() && self.rng.bool();
        let (from, nodes) = match back {
            true => self.stash.swap_remove(0),
            false => self.make_outside(),
        };
        let tree: Vec<(Path, Node)> = nodes
            .into_iter()
            .map(|(inner, node)| {
                let path = match inner.is_empty() {
                    true => to.clone(),
                    false => join(&to, &inner),
                };
                (path, node)
            })
            .collect();
        let count = tree.len();
        self.truth.appear(tree);
        fs::rename(from, self.on_disk(&to)).unwrap();
        Some(format!("move in {} ({count})", names::shown(&to)))
    }

    fn make_outside(&mut self) -> (std::path::PathBuf, Vec<(Path, Node)>) {
        self.made += 1;
        let top = self.outside.join(format!("tree {}", self.made));
        fs::create_dir(&top).unwrap();
        let mut nodes = vec![(Vec::new(), Node::Folder)];
        for number in 0..self.rng.usize(0..3) {
            let folder = format!("sub {number}").into_bytes();
            fs::create_dir(top.join(OsStr::from_bytes(&folder))).unwrap();
            nodes.push((folder.clone(), Node::Folder));
            for _ in 0..self.rng.usize(0..3) {
                let path = join(&folder, &names::any(&mut Rng::with_seed(self.rng.u64(..))));
                let content = self.content(5_000);
                fs::write(top.join(OsStr::from_bytes(&path)), &content).unwrap();
                nodes.retain(|(there, _)| *there != path);
                nodes.push((path, Node::File(content)));
            }
        }
        (top, nodes)
    }

    /// To elsewhere: for the folder it is a deletion.
    pub(super) fn move_out(&mut self) -> Option<String> {
        let from = self.some_folder()?;
        if !self.may_lose(&from) {
            return None;
        }
        self.let_go(&from);
        self.made += 1;
        let to = self.outside.join(format!("stash {}", self.made));
        let mut nodes = vec![(Vec::new(), Node::Folder)];
        for path in self.truth.below(&from) {
            let inner = path[from.len() + 1..].to_vec();
            nodes.extend(self.truth.get(&path).map(|node| (inner, node.clone())));
        }
        self.truth.remove(&from);
        fs::rename(self.on_disk(&from), &to).unwrap();
        self.stash.push((to, nodes));
        debug_assert!(self.truth.is_folder(parent(&from)));
        let again = self.rng.u8(0..3);
        match again {
            0 => self.make_folders(&from),
            1 => {
                let content = self.content(2_000);
                self.write(&from, content);
            }
            _ => {}
        }
        let after = ["an empty folder", "a file", "nothing"][usize::from(again)];
        Some(format!("move out {}, {after} instead", names::shown(&from)))
    }
}
