//! The generator: random operations on a folder, as people and programs do
//! them, each written into the truth before it is done.
//!
//! Everything it chooses comes from its random numbers and the truth, so a seed
//! always gives the same operations. It keeps within a budget of what may
//! vanish between two rests: mass deletion is held back by design and tested
//! elsewhere.

mod trees;

use super::journal::Journal;
use super::names;
use super::truth::{Node, Path, Truth, is_below, join, parent};
use fastrand::Rng;
use filetime::FileTime;
use std::ffi::OsStr;
use std::fs;
use std::fs::{File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;

/// What may vanish (deleted, renamed, moved out) between two rests: one part in
/// so many of the files there were.
const LOST_SHARE: usize = 5;

/// Files that hold a path in the base stock.
const STOCK: usize = 60;

/// More than this are not made: checks read everything.
const COUNT_MAX: usize = 400;

/// Longer paths are not made: over 1,024 bytes a key is shortened, and what S3
/// cannot hold at all is refused (and told), which is tested elsewhere.
const PATH_BYTES_MAX: usize = 1_100;

/// Beyond what goes in one PUT, so that it is sent in parts.
const BIG_BYTES: usize = 8 * 1024 * 1024 + 300_000;

/// Files that are held open and appended to.
const WRITERS_MAX: usize = 3;

/// Bytes per write call of a large file.
const CHUNK_BYTES: usize = 3 * 1024 * 1024;

/// Makes the operations.
pub struct Generator {
    pub truth: Truth,
    root: PathBuf,
    /// Elsewhere on the same file system.
    outside: PathBuf,
    rng: Rng,
    journal: Journal,
    writers: Vec<(Path, File)>,
    /// Paths that were there once.
    gone: Vec<Path>,
    /// What was moved out and may come back: its name outside, and its nodes
    /// with paths relative to it.
    stash: Vec<(PathBuf, Vec<(Path, Node)>)>,
    big_left: usize,
    lost_left: usize,
    made: usize,
}

type Operation = fn(&mut Generator) -> Option<String>;

/// Every operation and how often it comes.
const OPERATIONS: &[(u32, Operation)] = &[
    (14, Generator::create),
    (5, Generator::create_csv),
    (12, Generator::edit_unseen),
    (8, Generator::overwrite),
    (10, Generator::append),
    (4, Generator::truncate),
    (10, Generator::save_by_rename),
    (6, Generator::rename_file),
    (3, Generator::rename_folder),
    (7, Generator::delete),
    (2, Generator::delete_tree),
    (5, Generator::recreate),
    (6, Generator::chmod),
    (3, Generator::touch),
    (4, Generator::link),
    (3, Generator::retarget),
    (3, Generator::swap_kinds),
    (2, Generator::deep_tree),
    (2, Generator::move_in),
    (2, Generator::move_out),
    (4, Generator::empty_folder),
    (4, Generator::hold_open),
    (2, Generator::big),
];

impl Generator {
    /// A folder with its base stock. `big_max` large files at the most.
    pub fn new(
        root: PathBuf,
        outside: PathBuf,
        rng: Rng,
        big_max: usize,
        journal: Journal,
    ) -> Self {
        let mut generator = Self {
            truth: Truth::default(),
            root,
            outside,
            rng,
            journal,
            writers: Vec::new(),
            gone: Vec::new(),
            stash: Vec::new(),
            big_left: big_max,
            lost_left: 0,
            made: 0,
        };
        for number in 0..STOCK {
            let folder = join(b"stock", format!("shelf {}", number % 7).as_bytes());
            generator.make_folders(&folder);
            let name = format!("file {number}{}", [".csv", ".txt"][number % 2]);
            let content = generator.content(5_000);
            generator.write(&join(&folder, name.as_bytes()), content);
        }
        generator.rested();
        generator
    }

    /// Bucket and folder agreed: so much may vanish until they do again.
    pub fn rested(&mut self) {
        self.lost_left = self.truth.count() / LOST_SHARE;
    }

    /// Do one operation.
    pub fn step(&mut self) {
        let total: u32 = OPERATIONS.iter().map(|(weight, _)| weight).sum();
        let mut at = self.rng.u32(..total);
        let chosen = OPERATIONS.iter().find(|(weight, _)| {
            let is_it = at < *weight;
            at = at.saturating_sub(*weight);
            is_it
        });
        let done = chosen.and_then(|(_, operation)| operation(self));
        let done = done.or_else(|| self.append()).unwrap_or_default();
        self.journal.note(done);
    }

    /// Two files of the stock whose modes change in turn: every call makes an
    /// event that differs from the one before, so the system cannot merge them.
    pub fn flood(&mut self, events: usize) {
        let mut files = self.files();
        self.rng.shuffle(&mut files);
        for number in 0..events {
            let path = self.on_disk(&files[number % 2]);
            let mode = [0o644, 0o600][number / 2 % 2];
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        self.journal
            .note(format!("{events} changes of mode of two files"));
    }

    fn on_disk(&self, path: &[u8]) -> PathBuf {
        self.root.join(OsStr::from_bytes(path))
    }

    fn content(&mut self, bytes_max: usize) -> Vec<u8> {
        let size = match self.rng.u8(0..10) {
            0 => 0,
            1..=4 => self.rng.usize(1..200),
            _ => self.rng.usize(1..bytes_max),
        };
        self.bytes(size)
    }

    /// Never the same twice; half of it can be compressed.
    fn bytes(&mut self, size: usize) -> Vec<u8> {
        self.made += 1;
        let mut block = vec![0; 4096.min(size)];
        if self.rng.bool() {
            self.rng.fill(&mut block);
        } else {
            let line = format!("{};{};office;keepwatch\n", self.made, self.rng.u64(..));
            for (byte, from) in block.iter_mut().zip(line.bytes().cycle()) {
                *byte = from;
            }
        }
        let mut bytes = block.repeat(size.div_ceil(block.len().max(1)));
        bytes.truncate(size);
        for (number, chunk) in bytes.chunks_mut(4096).enumerate() {
            let mark = (self.made * 100_000 + number).to_le_bytes();
            let length = mark.len().min(chunk.len());
            chunk[..length].copy_from_slice(&mark[..length]);
        }
        bytes
    }

    fn files(&self) -> Vec<Path> {
        self.of(|node| matches!(node, Node::File(_)))
    }

    fn leaves(&self) -> Vec<Path> {
        self.of(|node| !matches!(node, Node::Folder))
    }

    fn of(&self, is_it: impl Fn(&Node) -> bool) -> Vec<Path> {
        let nodes = self.truth.nodes().filter(|(_, node)| is_it(node));
        nodes.map(|(path, _)| path.clone()).collect()
    }

    fn pick(&mut self, from: &[Path]) -> Option<Path> {
        (!from.is_empty()).then(|| from[self.rng.usize(..from.len())].clone())
    }

    fn any_file(&mut self) -> Option<Path> {
        let files = self.files();
        self.pick(&files)
    }

    /// Some folder, the root among them.
    fn any_folder(&mut self) -> Path {
        let mut folders = self.of(|node| matches!(node, Node::Folder));
        folders.push(Vec::new());
        self.pick(&folders).unwrap_or_default()
    }

    /// A path at which nothing stands.
    fn free(&mut self, name: fn(&mut Rng) -> Vec<u8>) -> Option<Path> {
        if self.truth.count() >= COUNT_MAX {
            return None;
        }
        let folder = self.any_folder();
        let path = join(&folder, &name(&mut self.rng));
        let is_free = self.truth.get(&path).is_none() && path.len() < PATH_BYTES_MAX;
        is_free.then_some(path)
    }

    /// Whether so many files may vanish; counts them when they may.
    fn may_lose(&mut self, path: &[u8]) -> bool {
        let weight = self.truth.weight(path);
        let may = weight <= self.lost_left;
        if may {
            self.lost_left -= weight;
            self.gone.push(path.to_vec());
        }
        may
    }

    /// Nobody writes there any more: it is replaced, renamed or deleted.
    fn let_go(&mut self, path: &[u8]) {
        self.writers
            .retain(|(open, _)| open != path && !is_below(open, path));
    }

    fn make_folders(&mut self, folder: &[u8]) {
        if self.truth.is_folder(folder) {
            return;
        }
        self.make_folders(parent(folder));
        self.truth.set(folder, Node::Folder);
        fs::create_dir(self.on_disk(folder)).unwrap();
    }

    /// Make or overwrite a file: empty first, then in one or a few calls.
    fn write(&mut self, path: &[u8], content: Vec<u8>) {
        self.let_go(path);
        self.truth.set(path, Node::File(Vec::new()));
        let mut file = File::create(self.on_disk(path)).unwrap();
        let calls = match content.len() {
            0 => return,
            length if length > CHUNK_BYTES => length.div_ceil(CHUNK_BYTES),
            _ => self.rng.usize(1..=3),
        };
        let mut written = 0;
        for chunk in content.chunks(content.len().div_ceil(calls)) {
            written += chunk.len();
            let so_far = content[..written].to_vec();
            self.truth.set(path, Node::File(so_far));
            file.write_all(chunk).unwrap();
        }
    }

    fn create(&mut self) -> Option<String> {
        let path = self.free(names::any)?;
        let content = self.content(20_000);
        let done = format!("create {} ({} B)", names::shown(&path), content.len());
        self.write(&path, content);
        Some(done)
    }

    fn create_csv(&mut self) -> Option<String> {
        let path = self.free(names::csv)?;
        let content = self.content(200_000);
        let done = format!("create {} ({} B)", names::shown(&path), content.len());
        self.write(&path, content);
        Some(done)
    }

    /// In place, with the same size and the same modification time.
    fn edit_unseen(&mut self) -> Option<String> {
        let path = self.any_file()?;
        let Some(Node::File(mut content)) = self.truth.get(&path).cloned() else {
            return None;
        };
        if content.is_empty() {
            return None;
        }
        let at = self.rng.usize(..content.len());
        let length = self.rng.usize(1..=(content.len() - at).min(2_000));
        let new = self.bytes(length);
        let file = OpenOptions::new().write(true).open(self.on_disk(&path));
        let file = file.unwrap();
        let before = FileTime::from_last_modification_time(&file.metadata().unwrap());
        content[at..at + length].copy_from_slice(&new);
        self.truth.set(&path, Node::File(content));
        file.write_all_at(&new, at as u64).unwrap();
        let keep = self.rng.u8(0..4) > 0;
        if keep {
            filetime::set_file_handle_times(&file, None, Some(before)).unwrap();
        }
        let how = if keep { ", its time put back" } else { "" };
        Some(format!("edit in place {}{how}", names::shown(&path)))
    }

    fn overwrite(&mut self) -> Option<String> {
        let path = self.any_file()?;
        let content = self.content(20_000);
        let done = format!("overwrite {} ({} B)", names::shown(&path), content.len());
        self.write(&path, content);
        Some(done)
    }

    /// To a file that somebody holds open, when there is one.
    fn append(&mut self) -> Option<String> {
        let new = self.content(3_000);
        let chosen = match self.writers.len() {
            0 => None,
            count => Some(self.rng.usize(..count)),
        };
        let path = match chosen {
            Some(writer) => self.writers[writer].0.clone(),
            None => self.any_file()?,
        };
        let Some(Node::File(mut content)) = self.truth.get(&path).cloned() else {
            return None;
        };
        content.extend_from_slice(&new);
        self.truth.set(&path, Node::File(content));
        match chosen {
            Some(writer) => self.writers[writer].1.write_all(&new).unwrap(),
            None => self.open_to_append(&path).write_all(&new).unwrap(),
        }
        Some(format!("append {} B to {}", new.len(), names::shown(&path)))
    }

    fn open_to_append(&self, path: &[u8]) -> File {
        let file = OpenOptions::new().append(true).open(self.on_disk(path));
        file.unwrap()
    }

    fn hold_open(&mut self) -> Option<String> {
        if self.writers.len() >= WRITERS_MAX {
            self.writers.remove(0);
        }
        let path = self.any_file()?;
        let file = self.open_to_append(&path);
        let done = format!("hold open {}", names::shown(&path));
        self.writers.push((path, file));
        Some(done)
    }

    fn truncate(&mut self) -> Option<String> {
        let path = self.any_file()?;
        let Some(Node::File(mut content)) = self.truth.get(&path).cloned() else {
            return None;
        };
        let length = self.rng.usize(..=content.len());
        content.truncate(length);
        self.truth.set(&path, Node::File(content));
        let file = OpenOptions::new().write(true).open(self.on_disk(&path));
        file.unwrap().set_len(length as u64).unwrap();
        Some(format!("truncate {} to {length} B", names::shown(&path)))
    }

    /// As most programs save: a new file, then its name over the old one.
    fn save_by_rename(&mut self) -> Option<String> {
        let path = self.any_file()?;
        let mut temp = parent(&path).to_vec();
        temp = join(&temp, format!(".~save{}.tmp", self.rng.u8(..)).as_bytes());
        if self.truth.get(&temp).is_some() {
            return None;
        }
        let content = self.content(20_000);
        self.write(&temp, content);
        self.rename(&temp, &path);
        Some(format!("save by rename {}", names::shown(&path)))
    }

    fn rename(&mut self, from: &[u8], to: &[u8]) {
        self.let_go(from);
        self.let_go(to);
        self.truth.rename(from, to);
        fs::rename(self.on_disk(from), self.on_disk(to)).unwrap();
    }

    fn rename_file(&mut self) -> Option<String> {
        let leaves = self.leaves();
        let from = self.pick(&leaves)?;
        let to = match self.rng.u8(0..4) {
            // Onto another one, which is replaced.
            0 => self.pick(&leaves)?,
            _ => self.free(names::any)?,
        };
        if from == to || !self.may_lose(&from) {
            return None;
        }
        self.rename(&from, &to);
        let (from, to) = (names::shown(&from), names::shown(&to));
        Some(format!("rename {from} to {to}"))
    }

    fn delete(&mut self) -> Option<String> {
        let leaves = self.leaves();
        let path = self.pick(&leaves)?;
        if !self.may_lose(&path) {
            return None;
        }
        self.remove_leaf(&path);
        Some(format!("delete {}", names::shown(&path)))
    }

    fn remove_leaf(&mut self, path: &[u8]) {
        self.let_go(path);
        self.truth.remove(path);
        fs::remove_file(self.on_disk(path)).unwrap();
    }

    fn recreate(&mut self) -> Option<String> {
        let path = self.pick(&self.gone.clone())?;
        if self.truth.get(&path).is_some() || !self.truth.is_folder(parent(&path)) {
            return None;
        }
        let content = self.content(20_000);
        self.write(&path, content);
        Some(format!("recreate {}", names::shown(&path)))
    }

    fn chmod(&mut self) -> Option<String> {
        let some = self.of(|node| !matches!(node, Node::Link(_)));
        let path = self.pick(&some)?;
        // Root alone can read or write on with the last two.
        let all: &[u32] = &[0o600, 0o644, 0o640, 0o755, 0o444, 0o000];
        let modes = match self.truth.is_folder(&path) {
            true => &[0o700, 0o755, 0o750],
            false if rustix::process::geteuid().is_root() => all,
            false => &all[..4],
        };
        let mode = modes[self.rng.usize(..modes.len())];
        fs::set_permissions(self.on_disk(&path), Permissions::from_mode(mode)).unwrap();
        Some(format!("chmod {mode:o} {}", names::shown(&path)))
    }

    /// Its time alone: long ago, now, or to come.
    fn touch(&mut self) -> Option<String> {
        let path = self.any_file()?;
        let seconds = [-5, 1, 981_173_106, 4_102_444_800][self.rng.usize(..4)];
        let time = FileTime::from_unix_time(seconds, self.rng.u32(..1_000_000_000));
        filetime::set_file_mtime(self.on_disk(&path), time).unwrap();
        Some(format!("touch {} to {seconds} s", names::shown(&path)))
    }

    fn target(&mut self) -> Vec<u8> {
        match self.rng.u8(0..4) {
            0 => b"/nowhere/at all".to_vec(),
            1 => b"..".to_vec(),
            2 => names::any(&mut self.rng),
            _ => self.any_file().unwrap_or_else(|| b"x".to_vec()),
        }
    }

    fn link(&mut self) -> Option<String> {
        let path = self.free(names::any)?;
        self.make_link(&path);
        Some(format!("link {}", names::shown(&path)))
    }

    fn make_link(&mut self, path: &[u8]) {
        let target = self.target();
        self.truth.set(path, Node::Link(target.clone()));
        symlink(OsStr::from_bytes(&target), self.on_disk(path)).unwrap();
    }

    fn retarget(&mut self) -> Option<String> {
        let links = self.of(|node| matches!(node, Node::Link(_)));
        let path = self.pick(&links)?;
        if self.rng.bool() {
            self.remove_leaf(&path);
            self.make_link(&path);
        } else {
            let temp = join(parent(&path), b".~link");
            if self.truth.get(&temp).is_some() {
                return None;
            }
            self.make_link(&temp);
            self.rename(&temp, &path);
        }
        Some(format!("retarget {}", names::shown(&path)))
    }

    fn big(&mut self) -> Option<String> {
        if self.big_left == 0 {
            return None;
        }
        let path = self.free(names::any)?;
        self.big_left -= 1;
        let size = BIG_BYTES + self.rng.usize(..BIG_BYTES);
        let content = self.bytes(size);
        let done = format!("create big {} ({size} B)", names::shown(&path));
        self.write(&path, content);
        Some(done)
    }
}
