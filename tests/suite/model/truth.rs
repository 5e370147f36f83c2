//! The truth: what stands in the folder now, and every state that every path
//! ever had, as the generator made it.
//!
//! Invariant: a state is written down before the system call that makes it, so
//! no version can be older than the state it holds. Each call that changes
//! content makes one state: opening with `O_TRUNC` makes an empty file, and
//! what stands there between two writes is a state like any other.

use keepwatch::types::{ContentHash, RelKey, RelPath, WallMs};
use std::collections::{BTreeMap, HashMap};

/// What stood at a path, as far as a version must show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    File { hash: String, size_bytes: u64 },
    Link { target: Vec<u8> },
    EmptyFolder,
}

/// Something that stood at a path.
#[derive(Debug, Clone)]
pub struct State {
    pub what: What,
    /// From when on, milliseconds since 1970 by the true clock.
    pub from_ms: WallMs,
}

/// What stands at a path now.
#[derive(Debug, Clone)]
pub enum Node {
    File(Vec<u8>),
    Link(Vec<u8>),
    Folder,
}

/// A path below the root, in the system's bytes, without a slash at either end.
pub type Path = Vec<u8>;

/// What is there and what was.
#[derive(Default)]
pub struct Truth {
    nodes: BTreeMap<Path, Node>,
    states: HashMap<String, Vec<State>>,
}

impl Truth {
    pub fn get(&self, path: &[u8]) -> Option<&Node> {
        self.nodes.get(path)
    }

    pub fn is_folder(&self, path: &[u8]) -> bool {
        path.is_empty() || matches!(self.get(path), Some(Node::Folder))
    }

    /// Everything there, in order.
    pub fn nodes(&self) -> impl Iterator<Item = (&Path, &Node)> {
        self.nodes.iter()
    }

    /// Files and links.
    pub fn count(&self) -> usize {
        let is_leaf = |node: &&Node| !matches!(node, Node::Folder);
        self.nodes.values().filter(is_leaf).count()
    }

    /// Everything below a folder (all of it for the root), in order.
    pub fn below(&self, folder: &[u8]) -> Vec<Path> {
        let is_in = |path: &&Path| is_below(path, folder);
        self.nodes.keys().filter(is_in).cloned().collect()
    }

    /// How many files and links are at or below a path.
    pub fn weight(&self, path: &[u8]) -> usize {
        let inside = self.nodes.iter();
        inside
            .filter(|(p, n)| {
                !matches!(n, Node::Folder) && (p.as_slice() == path || is_below(p, path))
            })
            .count()
    }

    /// Something is about to stand at the path (content that is written: once
    /// per call). What stood there is replaced.
    pub fn set(&mut self, path: &[u8], node: Node) {
        let above = parent(path).to_vec();
        self.note(path, &node);
        self.nodes.insert(path.to_vec(), node);
        debug_assert!(self.is_folder(&above), "{path:?} has no folder");
    }

    /// A whole tree is about to be there in one go.
    pub fn appear(&mut self, tree: Vec<(Path, Node)>) {
        self.nodes.extend(tree.iter().cloned());
        for (path, node) in &tree {
            self.note(path, node);
        }
    }

    /// Nothing is about to stand there any more, nor below it.
    pub fn remove(&mut self, path: &[u8]) {
        for inner in self.below(path) {
            self.nodes.remove(&inner);
        }
        self.nodes.remove(path);
        self.note_emptied(parent(path));
    }

    /// The path with all below it is about to be renamed; what stood at the new
    /// name is replaced.
    pub fn rename(&mut self, from: &[u8], to: &[u8]) {
        for old in self.below(to) {
            self.nodes.remove(&old);
        }
        let mut moved = vec![from.to_vec()];
        moved.extend(self.below(from));
        for old in moved {
            let Some(node) = self.nodes.remove(&old) else {
                continue;
            };
            let mut new = to.to_vec();
            new.extend_from_slice(&old[from.len()..]);
            self.nodes.insert(new, node);
        }
        let mut there = vec![to.to_vec()];
        there.extend(self.below(to));
        for path in there {
            let node = self.nodes[&path].clone();
            self.note(&path, &node);
        }
        self.note_emptied(parent(from));
    }

    fn note_emptied(&mut self, folder: &[u8]) {
        if !folder.is_empty() && self.is_folder(folder) {
            self.note(folder, &Node::Folder);
        }
    }

    fn note(&mut self, path: &[u8], node: &Node) {
        let (key, what) = match node {
            Node::File(content) => (
                file_key(path),
                What::File {
                    hash: ContentHash::of(content).to_hex(),
                    size_bytes: content.len() as u64,
                },
            ),
            Node::Link(target) => (
                file_key(path),
                What::Link {
                    target: target.clone(),
                },
            ),
            Node::Folder if self.below(path).is_empty() => (folder_key(path), What::EmptyFolder),
            Node::Folder => return,
        };
        let from_ms = jiff::Timestamp::now().as_millisecond();
        self.states.entry(key).or_default().push(State {
            what,
            from_ms: WallMs(from_ms),
        });
    }

    /// Every state that the key's path ever had, oldest first.
    pub fn states(&self, key: &str) -> &[State] {
        self.states.get(key).map_or(&[], Vec::as_slice)
    }

    /// How many states there were, all paths together.
    pub fn states_total(&self) -> usize {
        self.states.values().map(Vec::len).sum()
    }
}

/// The folder that a path is in; empty for the root.
pub fn parent(path: &[u8]) -> &[u8] {
    let slash = path.iter().rposition(|byte| *byte == b'/');
    &path[..slash.unwrap_or(0)]
}

pub fn join(folder: &[u8], name: &[u8]) -> Path {
    let mut path = folder.to_vec();
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

pub fn is_below(path: &[u8], folder: &[u8]) -> bool {
    folder.is_empty() || (path.starts_with(folder) && path.get(folder.len()) == Some(&b'/'))
}

fn rel(path: &[u8]) -> RelPath {
    RelPath::from_bytes(path).unwrap()
}

/// The key of a file or link at this path.
pub fn file_key(path: &[u8]) -> String {
    RelKey::of_file(&rel(path)).as_str().to_owned()
}

/// The key of an empty folder at this path.
pub fn folder_key(path: &[u8]) -> String {
    RelKey::of_folder(&rel(path)).as_str().to_owned()
}

#[test]
fn every_call_makes_a_state_and_renames_carry_everything_along() {
    let mut truth = Truth::default();
    truth.set(b"d", Node::Folder);
    truth.set(b"d/a", Node::File(Vec::new()));
    truth.set(b"d/a", Node::File(b"x".to_vec()));
    truth.rename(b"d", b"e");
    truth.remove(b"e/a");
    let count = |key: &str| truth.states(key).len();
    assert_eq!(
        (count("d/a"), count("e/a"), count("d/"), count("e/")),
        (2, 1, 1, 1)
    );
    assert_eq!(truth.below(b""), [b"e".to_vec()]);
    assert_eq!((parent(b"a"), parent(b"a/b/c")), (&b""[..], &b"a/b"[..]));
}
