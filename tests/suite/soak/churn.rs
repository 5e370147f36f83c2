//! Steady office work, drawn from a seed, and the clock that times saves.
//!
//! What there is stays about as much: files come as fast as they go, and so
//! few go that the deletion guard has no reason to hold.

use crate::harness::{BUCKET, Rig};
use keepwatch::s3::At;
use keepwatch::types::ContentHash;
use std::collections::BTreeMap;
use std::fs;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Files at the start, and about as many at any time.
const FILES: usize = 2_000;
/// Files per folder.
const PER_FOLDER: usize = 40;
/// Between two pieces of work.
const STEP: Duration = Duration::from_millis(200);
/// Steps between two files that are uploaded in parts: two minutes.
const LARGE_EVERY: u64 = 600;
const LARGE_BYTES: usize = 50 << 20;
/// A table that has grown beyond this is begun anew.
const TABLE_BYTES_MAX: u64 = 256 << 10;
const TABLES: usize = 12;
/// A step that creates, deletes, renames: each about six times a minute, so
/// that in half an hour fewer than a fifth of all files were ever marked.
const RARE_ONE_IN: u64 = 50;
/// Files in a new tree, and steps between two trees.
const TREE_FILES: usize = 6;
const TREE_EVERY: u64 = 900;

/// The seed of this run.
pub fn seed() -> u64 {
    crate::seed::seed(20_261_130, u64::MAX)
}

/// Who works.
pub struct Churn {
    root: PathBuf,
    random: fastrand::Rng,
    files: Vec<PathBuf>,
    steps: u64,
    done: BTreeMap<&'static str, u64>,
    /// Files of trees that are still to be taken away again one by one.
    surplus: usize,
}

impl Churn {
    pub fn new(root: &Path, seed: u64) -> Self {
        Self {
            root: root.to_owned(),
            random: fastrand::Rng::with_seed(seed),
            files: Vec::new(),
            steps: 0,
            done: BTreeMap::new(),
            surplus: 0,
        }
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.random.fill(&mut bytes);
        // Letters: so much noise in the place of files would be an alarm.
        bytes.iter_mut().for_each(|byte| *byte = b'a' + *byte % 26);
        bytes
    }

    fn some_bytes(&mut self) -> Vec<u8> {
        let count = self.random.usize(1..20_000);
        self.bytes(count)
    }

    /// What there is at the start.
    pub fn fill(&mut self) {
        for number in 0..FILES {
            let folder = self.root.join(format!("Ablage/{}", number / PER_FOLDER));
            fs::create_dir_all(&folder).unwrap();
            self.create(&folder, &format!("{number}.odt"));
        }
    }

    fn create(&mut self, folder: &Path, name: &str) {
        let path = folder.join(name);
        fs::write(&path, self.some_bytes()).unwrap();
        self.files.push(path);
    }

    fn pick(&mut self) -> usize {
        self.random.usize(..self.files.len())
    }

    /// One piece of work, then a pause.
    pub fn step(&mut self) {
        self.steps += 1;
        let what = match self.steps {
            steps if steps.is_multiple_of(LARGE_EVERY) => self.large(),
            steps if steps.is_multiple_of(TREE_EVERY) => self.tree(),
            steps => match steps % RARE_ONE_IN {
                0 => self.new_file(),
                15 => self.delete(),
                30 => self.rename(),
                40 if self.surplus > 0 => {
                    self.surplus -= 1;
                    self.delete()
                }
                _ => self.save_or_append(),
            },
        };
        *self.done.entry(what).or_default() += 1;
        std::thread::sleep(STEP);
    }

    fn large(&mut self) -> &'static str {
        let name = format!("gross {}.bak", self.steps / LARGE_EVERY % 2);
        let bytes = self.bytes(LARGE_BYTES);
        fs::write(self.root.join(name), bytes).unwrap();
        "large files"
    }

    fn tree(&mut self) -> &'static str {
        let number = self.steps;
        let folder = self.root.join(format!("Projekt {number}/tief/tiefer"));
        fs::create_dir_all(&folder).unwrap();
        for file in 0..TREE_FILES {
            self.create(&folder, &format!("{file}.txt"));
        }
        self.surplus += TREE_FILES;
        "new trees"
    }

    fn new_file(&mut self) -> &'static str {
        let folder = self.root.join(format!("Ablage/{}", self.steps % 50));
        let name = format!("neu {}.odt", self.steps);
        self.create(&folder, &name);
        "new files"
    }

    fn delete(&mut self) -> &'static str {
        let at = self.pick();
        let path = self.files.swap_remove(at);
        fs::remove_file(path).unwrap();
        "deletions"
    }

    fn rename(&mut self) -> &'static str {
        let at = self.pick();
        let to = self.files[at].with_file_name(format!("umbenannt {}.odt", self.steps));
        fs::rename(&self.files[at], &to).unwrap();
        self.files[at] = to;
        "renames"
    }

    fn save_or_append(&mut self) -> &'static str {
        let at = self.pick();
        let path = self.files[at].clone();
        match self.random.u8(0..10) {
            0..=3 => {
                fs::write(path, self.some_bytes()).unwrap();
                "saves"
            }
            4..=6 => {
                // As editors save: beside it, then over it.
                let beside = path.with_extension("tmp");
                fs::write(&beside, self.some_bytes()).unwrap();
                fs::rename(beside, path).unwrap();
                "saves by rename"
            }
            _ => self.append(),
        }
    }

    fn append(&mut self) -> &'static str {
        let number = self.random.usize(..TABLES);
        let folder = self.root.join("Datenbank");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("tabelle {number}.csv"));
        if fs::metadata(&path).is_ok_and(|meta| meta.len() > TABLE_BYTES_MAX) {
            fs::write(&path, "Nummer;Betrag\r\n").unwrap();
        }
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .unwrap();
        for _ in 0..200 {
            let (number, cents) = (self.random.u32(..), self.random.u32(0..100));
            writeln!(file, "{number};{}.{cents:02}\r", number % 9_000).unwrap();
        }
        "rows appended to tables"
    }

    /// What was done, in words.
    pub fn done(&self) -> String {
        let parts = self.done.iter();
        let parts: Vec<String> = parts
            .map(|(what, count)| format!("{count} {what}"))
            .collect();
        parts.join(", ")
    }
}

/// Between two timed saves.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// Between two looks at the bucket: one small file is read.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Probes take turns, so that one that is late does not meet the next.
const PROBES: u64 = 30;
/// A save that takes longer than this is an error of its own.
const LATE: Duration = Duration::from_secs(120);

/// Times saves from outside: written, then seen in the bucket.
pub struct Probe {
    root: PathBuf,
    store: keepwatch::s3::Store,
}

/// When a probe was written (since the start), and how long it took.
pub type Latency = (Duration, Duration);

impl Probe {
    pub fn new(rig: &Rig) -> Self {
        Self {
            root: rig.root(),
            store: rig.store(),
        }
    }

    /// Save and wait, until told to end.
    pub async fn run(self, ended: Arc<AtomicBool>) -> Vec<Latency> {
        let (began, mut all) = (Instant::now(), Vec::new());
        fs::create_dir_all(self.root.join("Uhr")).unwrap();
        let mut number = 0;
        while !ended.load(Ordering::Relaxed) {
            number += 1;
            let at = began.elapsed();
            let took = self.save(number).await;
            all.push((at, took));
            tokio::time::sleep(PROBE_EVERY.saturating_sub(took)).await;
        }
        all
    }

    async fn save(&self, number: u64) -> Duration {
        let key = format!("Uhr/{}.txt", number % PROBES);
        let text = format!("gespeichert zum {number}. Mal");
        fs::write(self.root.join(&key), &text).unwrap();
        let (written, wanted) = (Instant::now(), ContentHash::of(text.as_bytes()));
        let at = At {
            bucket: BUCKET,
            key: &key,
        };
        loop {
            let head = self.store.head(at, None).await.unwrap();
            let content = head.and_then(|head| head.meta.unwrap().content);
            if content == Some(wanted) {
                return written.elapsed();
            }
            assert!(written.elapsed() < LATE, "{key} is not in the bucket");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
