//! A disk that tells what was written from what is on the platter: what is
//! seen, what would be left if the power went now, and what may be.
//!
//! Syncing a file makes its bytes, length and times last; syncing a folder
//! makes its names last. Everything else may last or not. Pure: the mount
//! beside it speaks to the kernel.
//!
//! It is stricter than journaling file systems are: names of two folders, and
//! the names and the bytes of one file, may come to the platter in any order.
//! Only what such a file system would have to repair is left out: a rename is
//! in both folders or in neither, changes of one name keep their order, and a
//! folder that was removed was emptied before.

mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::time::SystemTime;

/// The unit that a disk writes whole.
const SECTOR: usize = 512;
/// The unit in which the system writes back.
const PAGE: usize = 4096;

pub const ROOT: u64 = 1;

/// What becomes of everything that was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// All of it lasts, as when only the process dies.
    Kept,
    /// None of it lasts.
    Lost,
    /// All names last, no bytes: ext4's files of length zero after a rename.
    NamesOnly,
    /// All names and lengths last, the bytes are zeros: XFS.
    Zeros,
    /// Names up to some moment; of each file a beginning of its writes, the
    /// last one torn: a journal.
    Journal,
    /// Any names, any pages: what POSIX allows.
    Mixed,
}

impl Fate {
    pub const ALL: [Self; 6] = [
        Self::Kept,
        Self::Lost,
        Self::NamesOnly,
        Self::Zeros,
        Self::Journal,
        Self::Mixed,
    ];
}

#[derive(Debug, Clone)]
enum Write {
    Bytes(usize, Vec<u8>),
    Length(usize),
}

/// Times and rights of a node.
#[derive(Debug, Clone, Copy)]
pub struct Attributes {
    pub mode: u32,
    pub owner: (u32, u32),
    pub accessed: SystemTime,
    pub modified: SystemTime,
    pub changed: SystemTime,
}

#[derive(Debug, Clone)]
pub enum Body {
    File(Vec<u8>),
    Folder(BTreeMap<OsString, u64>),
    Link(OsString),
    Socket,
}

#[derive(Debug, Clone)]
pub struct Node {
    pub body: Body,
    pub attributes: Attributes,
    /// What is on the platter, and what is still on its way.
    lasting: Body,
    lasting_attributes: Attributes,
    writes: Vec<Write>,
}

/// Changes of names that happen together.
#[derive(Debug, Clone)]
struct Names {
    changes: Vec<(u64, OsString, Option<u64>)>,
    /// The folder that went.
    removed: Option<u64>,
}

impl Names {
    fn touches(&self, folder: u64) -> bool {
        self.removed == Some(folder) || self.changes.iter().any(|(at, ..)| *at == folder)
    }

    /// Must `earlier` be on the platter before this can be?
    fn needs(&self, earlier: &Self) -> bool {
        let shares_name = |(folder, name, _): &(u64, OsString, Option<u64>)| {
            let mut others = earlier.changes.iter();
            others.any(|(at, other, _)| at == folder && other == name)
        };
        self.changes.iter().any(shares_name)
            || self.removed.is_some_and(|folder| earlier.touches(folder))
    }
}

/// The whole disk.
#[derive(Debug, Clone)]
pub struct Platter {
    nodes: BTreeMap<u64, Node>,
    next: u64,
    names: Vec<Names>,
}

fn apply(bytes: &mut Vec<u8>, write: &Write) {
    match write {
        Write::Bytes(at, new) => {
            let end = at + new.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[*at..end].copy_from_slice(new);
        }
        Write::Length(length) => bytes.resize(*length, 0),
    }
}

impl Platter {
    pub fn new() -> Self {
        let mut disk = Self {
            nodes: BTreeMap::new(),
            next: ROOT,
            names: Vec::new(),
        };
        disk.add(Body::Folder(BTreeMap::new()), 0o755, (0, 0));
        disk
    }

    fn add(&mut self, body: Body, mode: u32, owner: (u32, u32)) -> u64 {
        let (number, now) = (self.next, SystemTime::now());
        self.next += 1;
        let attributes = Attributes {
            mode,
            owner,
            accessed: now,
            modified: now,
            changed: now,
        };
        let lasting = match &body {
            Body::File(_) => Body::File(Vec::new()),
            Body::Folder(_) => Body::Folder(BTreeMap::new()),
            other => other.clone(),
        };
        let node = Node {
            body,
            attributes,
            lasting,
            lasting_attributes: attributes,
            writes: Vec::new(),
        };
        self.nodes.insert(number, node);
        number
    }

    pub fn node(&self, number: u64) -> Option<&Node> {
        self.nodes.get(&number)
    }

    pub fn attributes_mut(&mut self, number: u64) -> Option<&mut Attributes> {
        self.nodes.get_mut(&number).map(|node| &mut node.attributes)
    }

    pub fn find(&self, folder: u64, name: &OsStr) -> Option<u64> {
        match &self.nodes.get(&folder)?.body {
            Body::Folder(entries) => entries.get(name).copied(),
            _ => None,
        }
    }

    fn entries(&mut self, folder: u64) -> Option<&mut BTreeMap<OsString, u64>> {
        let node = self.nodes.get_mut(&folder)?;
        node.attributes.modified = SystemTime::now();
        match &mut node.body {
            Body::Folder(entries) => Some(entries),
            _ => None,
        }
    }

    fn change(&mut self, changes: Vec<(u64, OsString, Option<u64>)>, removed: Option<u64>) {
        for (folder, name, target) in &changes {
            if let Some(entries) = self.entries(*folder) {
                match target {
                    Some(number) => entries.insert(name.clone(), *number),
                    None => entries.remove(name),
                };
            }
        }
        self.names.push(Names { changes, removed });
    }

    pub fn make(
        &mut self,
        folder: u64,
        name: &OsStr,
        body: Body,
        mode: u32,
        owner: (u32, u32),
    ) -> u64 {
        let number = self.add(body, mode, owner);
        self.change(vec![(folder, name.to_owned(), Some(number))], None);
        number
    }

    /// Unlink a name, whatever it names.
    pub fn remove(&mut self, folder: u64, name: &OsStr) {
        let target = self.find(folder, name);
        let is_folder = |number: &u64| matches!(self.nodes[number].body, Body::Folder(_));
        let removed = target.filter(is_folder);
        self.change(vec![(folder, name.to_owned(), None)], removed);
    }

    pub fn rename(&mut self, from: (u64, &OsStr), to: (u64, &OsStr)) {
        let Some(number) = self.find(from.0, from.1) else {
            return;
        };
        self.change(
            vec![
                (from.0, from.1.to_owned(), None),
                (to.0, to.1.to_owned(), Some(number)),
            ],
            None,
        );
    }

    pub fn write(&mut self, number: u64, at: usize, bytes: &[u8]) {
        self.written(number, Write::Bytes(at, bytes.to_vec()));
    }

    pub fn set_length(&mut self, number: u64, length: usize) {
        self.written(number, Write::Length(length));
    }

    fn written(&mut self, number: u64, write: Write) {
        if let Some(node) = self.nodes.get_mut(&number)
            && let Body::File(bytes) = &mut node.body
        {
            apply(bytes, &write);
            node.writes.push(write);
            node.attributes.modified = SystemTime::now();
        }
    }

    /// fsync of a file or a folder.
    pub fn sync(&mut self, number: u64) {
        let Some(node) = self.nodes.get_mut(&number) else {
            return;
        };
        node.lasting_attributes = node.attributes;
        if let Body::File(bytes) = &mut node.lasting {
            for write in node.writes.drain(..) {
                apply(bytes, &write);
            }
            return;
        }
        let wanted: BTreeSet<usize> = (0..self.names.len())
            .filter(|&at| self.names[at].touches(number))
            .collect();
        self.names_last(wanted);
    }

    /// syncfs.
    pub fn sync_all(&mut self) {
        let all: Vec<u64> = self.nodes.keys().copied().collect();
        all.into_iter().for_each(|number| self.sync(number));
    }

    /// These changes come to the platter, and what they need.
    fn names_last(&mut self, mut wanted: BTreeSet<usize>) {
        for at in (0..self.names.len()).rev() {
            if wanted.contains(&at) {
                for before in 0..at {
                    if self.names[at].needs(&self.names[before]) {
                        wanted.insert(before);
                    }
                }
            }
        }
        let names = std::mem::take(&mut self.names);
        for (at, change) in names.into_iter().enumerate() {
            if wanted.contains(&at) {
                for (folder, name, target) in change.changes {
                    let node = self.nodes.get_mut(&folder);
                    if let Some(Body::Folder(entries)) = node.map(|node| &mut node.lasting) {
                        match target {
                            Some(number) => entries.insert(name, number),
                            None => entries.remove(&name),
                        };
                    }
                }
            } else {
                self.names.push(change);
            }
        }
    }

    /// The power is gone: what is found afterwards.
    pub fn after_cut(mut self, fate: Fate, random: &mut fastrand::Rng) -> Self {
        let count = self.names.len();
        let wanted: BTreeSet<usize> = match fate {
            Fate::Kept | Fate::NamesOnly | Fate::Zeros => (0..count).collect(),
            Fate::Lost => BTreeSet::new(),
            Fate::Journal => (0..random.usize(..=count)).collect(),
            Fate::Mixed => (0..count).filter(|_| random.bool()).collect(),
        };
        self.names_last(wanted);
        self.names.clear();
        for node in self.nodes.values_mut() {
            surviving(node, fate, random);
        }
        self.forget_unreachable();
        self
    }

    fn forget_unreachable(&mut self) {
        let mut reached = BTreeSet::new();
        let mut todo = vec![ROOT];
        while let Some(number) = todo.pop() {
            if !reached.insert(number) {
                continue;
            }
            if let Some(Body::Folder(entries)) = self.nodes.get(&number).map(|node| &node.body) {
                todo.extend(entries.values());
            }
        }
        self.nodes.retain(|number, _| reached.contains(number));
    }
}

fn surviving(node: &mut Node, fate: Fate, random: &mut fastrand::Rng) {
    let keeps_attributes = match fate {
        Fate::Kept | Fate::NamesOnly | Fate::Zeros => true,
        Fate::Lost => false,
        Fate::Journal | Fate::Mixed => random.bool(),
    };
    let writes = std::mem::take(&mut node.writes);
    if let Body::File(bytes) = &mut node.lasting {
        // In a mixture each file fares in its own way.
        let fate = match fate {
            Fate::Mixed => random.choice(Fate::ALL).unwrap_or(Fate::Mixed),
            other => other,
        };
        match fate {
            Fate::Kept => writes.iter().for_each(|write| apply(bytes, write)),
            Fate::Lost | Fate::NamesOnly => {}
            Fate::Zeros => writes.iter().for_each(|write| match write {
                Write::Bytes(at, new) if bytes.len() < at + new.len() => {
                    bytes.resize(at + new.len(), 0);
                }
                Write::Bytes(..) => {}
                length @ Write::Length(_) => apply(bytes, length),
            }),
            Fate::Journal => torn(bytes, &writes, random),
            Fate::Mixed => scattered(bytes, &writes, random),
        }
    }
    if keeps_attributes {
        node.lasting_attributes = node.attributes;
    }
    node.attributes = node.lasting_attributes;
    node.body = node.lasting.clone();
}

/// The first writes, and a few sectors of the next.
fn torn(bytes: &mut Vec<u8>, writes: &[Write], random: &mut fastrand::Rng) {
    let whole = random.usize(..=writes.len());
    writes[..whole].iter().for_each(|write| apply(bytes, write));
    if let Some(Write::Bytes(at, new)) = writes.get(whole) {
        // Sectors are counted from the file's beginning.
        let to_boundary = (SECTOR - at % SECTOR) % SECTOR;
        let sectors = random.usize(..=new.len() / SECTOR);
        let kept = (to_boundary + sectors * SECTOR).min(new.len());
        apply(bytes, &Write::Bytes(*at, new[..kept].to_vec()));
    }
}

/// Any pages; the others as they were, or zero where there was nothing.
fn scattered(bytes: &mut Vec<u8>, writes: &[Write], random: &mut fastrand::Rng) {
    for write in writes {
        match write {
            Write::Length(_) => apply(bytes, write),
            Write::Bytes(at, new) => {
                let mut from = 0;
                while from < new.len() {
                    let to = (from + PAGE - (at + from) % PAGE).min(new.len());
                    if random.bool() {
                        apply(bytes, &Write::Bytes(at + from, new[from..to].to_vec()));
                    }
                    from = to;
                }
            }
        }
    }
}
