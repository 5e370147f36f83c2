//! From a folder to a whole, open database: lock, generations, setting aside.
//!
//! ```text
//! index/            owner only
//!   lock            held while a Keepwatch runs
//!   gen-1/          the database in use: the highest number
//!     sled/  ready  (damaged: why it must not be opened again)
//! index.damaged-…/  set aside, the newest DAMAGED_KEPT
//! ```
//! A fresh database always gets a new number: a thread that is stuck in the old
//! one, or an operating system that does not move open folders, must not reach
//! it. What another process holds and what a fresh database would meet as well
//! (full disk, no permission) is never set aside. It must never touch anything
//! but the index's folder and its damaged siblings.

use super::carried_over;
use super::engine::{Batch, DAMAGED_FLAG, Engine, OpenDb, SLED_FOLDER, open_db};
use super::keys::Space;
use super::ledger::{Ledger, LedgerBuilder, META_SCHEMA, number_bytes};
use super::private::{make_files_private, make_names_last, make_private_folder, write_private};
use super::refusal::{OpenRefused, hint_for};
use super::types::{Opened, SourceId};
use crate::os::{id_of, link_id_at, private_options, set_path_mode as set_mode};
use crate::types::{Fatal, Fault, command};
use std::fs::{File, TryLockError};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{fs, io, thread};

/// Version of the layout on disk. Another one is set aside and rebuilt.
pub const SCHEMA_VERSION: u64 = 1;

/// No call of the database takes this long on a working disk: opening it with
/// a million files takes seconds, and a page of records milliseconds.
const STALL_MS: u64 = 60_000;

/// How long a lock may be held by a process that is just ending.
const LOCK_WAIT_MS: u64 = 2_000;

/// How often a held lock is tried again.
const LOCK_RETRY_MS: u64 = 20;

/// Damaged databases that are kept for a technician to look at.
const DAMAGED_KEPT: usize = 3;

/// Room that a fresh database needs at once (sled's first segment, twice).
const PROBE_BYTES: usize = 1 << 20;

/// Entries read at a time while checking.
const CHECK_PAGE: usize = 1_000;

const LOCK_FILE: &str = "lock";
const READY_FILE: &str = "ready";
const PROBE_FILE: &str = "probe";
const GENERATION: &str = "gen-";

/// How to open.
#[derive(Clone)]
pub(super) struct Opening {
    pub(super) root: PathBuf,
    pub(super) stall: Duration,
    pub(super) open_db: Arc<OpenDb>,
    /// Takes the uploads in parts over into a fresh database.
    pub(super) carry_uploads: Arc<CarryUploads>,
}

/// How a fresh database gets the uploads that the one before it knew.
pub(super) type CarryUploads = dyn Fn(&Engine, &Path) -> Result<(), Fault> + Send + Sync;

/// Why a generation is given up.
struct GivenUp {
    why: String,
    is_stuck: bool,
}

impl Opening {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            stall: Duration::from_millis(STALL_MS),
            open_db: Arc::new(open_db),
            carry_uploads: Arc::new(carried_over::carry_uploads),
        }
    }

    /// Make the folder and take its lock; held for as long as the file lives.
    pub(super) fn lock(&self) -> Result<File, Fatal> {
        make_private_folder(&self.root).map_err(|e| self.fatal(&e))?;
        let path = self.root.join(LOCK_FILE);
        let file = private_options()
            .truncate(false)
            .open(&path)
            .and_then(|file| set_mode(&path, 0o600).map(|()| file))
            .map_err(|e| self.fatal(&e))?;
        let deadline = Instant::now() + Duration::from_millis(LOCK_WAIT_MS);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(LOCK_RETRY_MS));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(self.locked("another process holds it"));
                }
                Err(TryLockError::Error(error)) => return Err(self.fatal(&error)),
            }
        }
    }

    /// False when the lock's file is not there any more, or is another one: the
    /// folder was removed or replaced. What cannot be looked at is believed in.
    pub(super) fn is_held_by(&self, lock: &File) -> bool {
        let there = match link_id_at(&self.root.join(LOCK_FILE)) {
            Ok(there) => there,
            Err(error) => {
                return !matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                );
            }
        };
        id_of(lock).is_ok_and(|ours| ours == there)
    }

    /// True when a process holds the index in that folder, as far as this account
    /// can tell. Who looks holds it for a moment: shared, so that of two who look
    /// neither takes the other for one.
    pub(super) fn is_in_use(&self) -> bool {
        let file = File::options().write(true).open(self.root.join(LOCK_FILE));
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// Open the newest generation, or a fresh one. The lock must be held.
    pub(super) fn open(&self) -> Result<(Engine, Ledger, Opened), Fatal> {
        let numbers = self.generations()?;
        let Some(&newest) = numbers.last() else {
            let (engine, ledger) = self.fresh(1)?;
            return Ok((engine, ledger, Opened::Fresh));
        };
        // Left where they were because they could not be moved then.
        for &old in &numbers[..numbers.len() - 1] {
            self.set_aside(&self.generation(old));
        }
        let folder = self.generation(newest);
        // What may not be looked at may be ready, and is not to be removed.
        let is_ready = folder.join(READY_FILE).try_exists();
        if !is_ready.map_err(|e| self.fatal(&e))? {
            // Its making was interrupted: there is nothing in it yet.
            let _ = fs::remove_dir_all(&folder);
            let (engine, ledger) = self.fresh(newest + 1)?;
            return Ok((engine, ledger, Opened::Fresh));
        }
        let damage = match fs::read_to_string(folder.join(DAMAGED_FLAG)) {
            Ok(why) => GivenUp {
                why,
                is_stuck: false,
            },
            Err(_) => match self.try_open(&folder)? {
                Ok((engine, ledger)) => return Ok((engine, ledger, Opened::Existing)),
                Err(damage) => damage,
            },
        };
        self.probe()?;
        let moved_to = self.set_aside(&folder);
        let (engine, ledger) = self.fresh(newest + 1)?;
        let opened = Opened::Rebuilt {
            moved_to,
            why: damage.why,
            thread_left_behind: damage.is_stuck,
        };
        Ok((engine, ledger, opened))
    }

    fn try_open(&self, folder: &Path) -> Result<Result<(Engine, Ledger), GivenUp>, Fatal> {
        let (why, is_stuck) = match self.open_checked(folder) {
            Ok(opened) => return Ok(Ok(opened)),
            Err(OpenRefused::Damaged(why)) => (why, false),
            Err(OpenRefused::Stuck(why)) => (why, true),
            Err(OpenRefused::Locked(why)) => return Err(self.locked(&why)),
            Err(OpenRefused::Computer { why, hint }) => return Err(self.fatal_because(why, hint)),
        };
        Ok(Err(GivenUp { why, is_stuck }))
    }

    /// Open a generation and read all of it: sled finds damage only where it reads.
    fn open_checked(&self, folder: &Path) -> Result<(Engine, Ledger), OpenRefused> {
        // What this process itself just closed can take a moment to let go.
        let deadline = Instant::now() + Duration::from_millis(LOCK_WAIT_MS);
        let engine = loop {
            match Engine::open(folder, self.stall, self.open_db.clone()) {
                Err(OpenRefused::Locked(_)) if Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(LOCK_RETRY_MS));
                }
                opened => break opened?,
            }
        };
        make_files_private(folder);
        let mut builder = LedgerBuilder::default();
        let mut last: Option<Vec<u8>> = None;
        loop {
            let low = last
                .as_deref()
                .map_or(Bound::Included(&[][..]), Bound::Excluded);
            let page = engine.page(low, &[u8::MAX], CHECK_PAGE)?;
            for (key, value) in &page {
                builder
                    .take(key, value)
                    .map_err(|why| engine.damaged(&why))?;
            }
            match page.into_iter().next_back() {
                Some((key, _)) => last = Some(key),
                None => break,
            }
        }
        let ledger = builder
            .finish(SCHEMA_VERSION)
            .map_err(|why| engine.damaged(&why))?;
        Ok((engine, ledger))
    }

    /// Make an empty database and prove that it works: a thread that is left
    /// behind in sled can block every other database of the process.
    fn fresh(&self, number: u64) -> Result<(Engine, Ledger), Fatal> {
        let folder = self.generation(number);
        make_private_folder(&folder).map_err(|e| self.fatal(&e))?;
        match self.make_fresh(&folder) {
            Ok(engine) => {
                make_files_private(&folder);
                write_private(&folder.join(READY_FILE), b"").map_err(|e| self.fatal(&e))?;
                make_names_last(&folder.join(SLED_FOLDER));
                Ok((engine, Ledger::default()))
            }
            Err(OpenRefused::Computer { why, hint }) => Err(self.fatal_because(why, hint)),
            Err(OpenRefused::Damaged(why) | OpenRefused::Locked(why)) => {
                Err(self.fatal_because(why, hint_for(io::ErrorKind::Other, &self.root)))
            }
            Err(OpenRefused::Stuck(why)) => Err(self.fatal_because(
                why,
                "start Keepwatch again; the backup is safe, and the index is rebuilt from the bucket",
            )),
        }
    }

    fn make_fresh(&self, folder: &Path) -> Result<Engine, OpenRefused> {
        let engine = Engine::open(folder, self.stall, Arc::new(open_db))?;
        let mut batch = Batch::default();
        batch.put(
            Space::Meta.key(SourceId(0), META_SCHEMA),
            number_bytes(SCHEMA_VERSION),
        );
        engine.apply(batch)?;
        engine.flush()?;
        Ok(engine)
    }

    /// Tell a full disk from a damaged database before anything is moved.
    fn probe(&self) -> Result<(), Fatal> {
        let path = self.root.join(PROBE_FILE);
        let written = write_private(&path, &vec![0xA5; PROBE_BYTES]);
        // Removed first: a half-written probe must not keep the disk full.
        let _ = fs::remove_file(&path);
        written.map_err(|e| self.fatal(&e))
    }

    /// Move a generation out of the way, and forget the oldest such ones.
    fn set_aside(&self, folder: &Path) -> PathBuf {
        let mut stamp_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis());
        while self.damaged(stamp_ms).exists() {
            stamp_ms += 1;
        }
        let target = self.damaged(stamp_ms);
        if fs::rename(folder, &target).is_err() {
            return folder.to_owned();
        }
        self.forget_old_damaged();
        target
    }

    fn forget_old_damaged(&self) {
        let Some(parent) = self.root.parent() else {
            return;
        };
        let prefix = self.damaged_prefix();
        let mut stamps: Vec<u128> = names(parent)
            .unwrap_or_default()
            .iter()
            .filter_map(|name| name.strip_prefix(&prefix)?.parse().ok())
            .collect();
        stamps.sort_unstable();
        for stamp_ms in stamps.iter().rev().skip(DAMAGED_KEPT) {
            let _ = fs::remove_dir_all(self.damaged(*stamp_ms));
        }
    }

    fn damaged_prefix(&self) -> String {
        let name = self.root.file_name().unwrap_or_default();
        format!("{}.damaged-", name.to_string_lossy())
    }

    fn damaged(&self, stamp_ms: u128) -> PathBuf {
        self.root
            .with_file_name(format!("{}{stamp_ms}", self.damaged_prefix()))
    }

    fn generation(&self, number: u64) -> PathBuf {
        self.root.join(format!("{GENERATION}{number}"))
    }

    fn generations(&self) -> Result<Vec<u64>, Fatal> {
        let mut numbers: Vec<u64> = names(&self.root)
            .map_err(|e| self.fatal(&e))?
            .iter()
            .filter_map(|name| name.strip_prefix(GENERATION)?.parse().ok())
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn locked(&self, why: &str) -> Fatal {
        self.fatal_because(
            why,
            format!(
                "another Keepwatch runs with this state folder: ask it with `{}`, or stop it",
                command::status()
            ),
        )
    }

    fn fatal(&self, error: &io::Error) -> Fatal {
        self.fatal_because(error.to_string(), hint_for(error.kind(), &self.root))
    }

    fn fatal_because(&self, why: impl Into<String>, hint: impl Into<String>) -> Fatal {
        Fatal::new(
            format!("open the index in {}", self.root.display()),
            why,
            hint,
        )
    }
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    fs::read_dir(folder)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}
