//! Keepwatch's memory: what the bucket holds, what is still unprotected, what
//! the next digest will say, and what is under way. The only sled import.
//!
//! `tasks`, `transfer`, `recovery` and `daemon` call it. It is a cache: lost or
//! damaged, it is set aside and rebuilt from the bucket, and nothing is
//! uploaded again. Every call blocks (use `spawn_blocking`), none retries. It
//! must never be the only place that knows something of a backed-up file, never
//! say that a path is protected before S3 has, and never take the process down:
//! whatever sled does becomes a [`Fault`].
//!
//! | file | what it is for |
//! |---|---|
//! | `opening`, `private` | lock, generations, setting aside; owner only |
//! | `worker` | a thread under a watchdog |
//! | `engine` | every sled call, caught |
//! | `keys`, `codec` | layout on disk |
//! | `ledger` | exact numbers in memory, and the check that they add up |
//! | `records`, `parts`, `contents`, `pending`, `desk`, `sources` | what callers do with it |

// For the fuzz target and its corpus alone: everybody else asks the index.

mod attempts;
mod bytes;
mod codec;
mod contents;
mod desk;
mod engine;
mod keys;
mod ledger;
mod multiparts;
mod opening;
mod packing;
mod parts;
mod pending;
mod private;
mod records;
mod refusal;
mod sources;
mod types;
mod worker;

#[doc(hidden)]
pub use codec::{decode as decode_record, encode as encode_record};
pub use contents::{COPY_FROM_BYTES, Elsewhere, PAST_MS};
pub use desk::{OUTBOX_BODY_BYTES_MAX, OUTBOX_MAX};
#[doc(hidden)]
pub use parts::{decode as decode_parts, encode as encode_parts};
pub use pending::FAILURES_MAX;
pub use records::Records;
pub use types::{
    Acknowledged, Activity, ActivityDelta, Change, Commit, Counts, Failure, Failures, Multipart,
    Oldest, Opened, OutboxMessage, Resume, SourceId, Unprotected,
};

use crate::types::{Class, Fatal, Fault};
use engine::Engine;
use ledger::Ledger;
use opening::Opening;
use parking_lot::{Mutex, MutexGuard, RwLock};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Version of the layout on disk. Another one is set aside and rebuilt.
pub const SCHEMA_VERSION: u64 = 1;

/// How long [`Index::reopen`] waits for calls that are under way to end.
const DRAIN_MS: u64 = 5_000;

/// How often it looks whether they have.
const DRAIN_LOOK_MS: u64 = 10;

/// The index of one state folder. Cloning is cheap; all clones are one index.
#[derive(Clone)]
pub struct Index(Arc<Inner>);

struct Inner {
    opening: Opening,
    /// `None` while it is opened again, and after that failed.
    engine: RwLock<Option<Arc<Engine>>>,
    /// Held during every write, so that memory and disk change together.
    ledger: Mutex<Ledger>,
    /// What a reopening that then failed has done, until one that ends well has
    /// said so: its caller must not take a fresh database for the old one.
    rebuilt: Mutex<Option<Opened>>,
    /// The copy of the uploads in parts could not be written the last time.
    copy_fails: AtomicBool,
    /// Dropped last: the folder is ours until everything is closed.
    lock: Mutex<File>,
}

impl Index {
    /// Open the index in `folder`, setting a damaged one aside.
    ///
    /// # Errors
    /// When another process holds the folder, or when the computer fails (full
    /// disk, no permission). Never because the index is damaged.
    pub fn open(folder: &Path) -> Result<(Self, Opened), Fatal> {
        Self::open_with(Opening::new(folder))
    }

    /// True when a process works with the index in `folder`.
    pub fn is_in_use(folder: &Path) -> bool {
        Opening::new(folder).is_in_use()
    }

    fn open_with(opening: Opening) -> Result<(Self, Opened), Fatal> {
        let lock = opening.lock()?;
        let (engine, ledger, opened) = opening.open()?;
        // Also when the start before this one ended in between.
        if !multiparts::is_carried_over(&engine)? {
            (opening.carry_uploads)(&engine, &opening.root)?;
        }
        let index = Self(Arc::new(Inner {
            opening,
            engine: RwLock::new(Some(Arc::new(engine))),
            ledger: Mutex::new(ledger),
            rebuilt: Mutex::new(None),
            copy_fails: AtomicBool::new(false),
            lock: Mutex::new(lock),
        }));
        Ok((index, opened))
    }

    /// The failure after which every call fails until [`Index::reopen`]. What is
    /// written to a folder that somebody has removed or replaced is lost with the
    /// process: that is one, too.
    pub fn broken(&self) -> Option<Fault> {
        let fault = match self.engine() {
            Ok(engine) => engine.broken().cloned(),
            Err(fault) => Some(fault),
        };
        fault.or_else(|| self.removed())
    }

    fn removed(&self) -> Option<Fault> {
        let is_held = self.0.opening.is_held_by(&self.lock());
        (!is_held).then(|| {
            let folder = self.0.opening.root.display().to_string();
            Fault::new(
                Class::Local,
                "go on with the index in",
                folder,
                "its folder was removed or replaced while Keepwatch is running",
            )
            .hint("leave the state folder alone; Keepwatch makes it again and compares with the bucket, and nothing is uploaded twice")
        })
    }

    fn lock(&self) -> MutexGuard<'_, File> {
        self.0.lock.lock()
    }

    /// Open it again after [`Index::broken`] (a full disk stays an error until
    /// then). Source ids stay valid. After anything but [`Opened::Existing`] it is
    /// empty, as after a start: compare with the bucket. May be tried again when
    /// it fails; what a try that failed has rebuilt, the next one says.
    ///
    /// # Errors
    /// As [`Index::open`].
    pub fn reopen(&self) -> Result<Opened, Fatal> {
        let mut held = self.ledger();
        let old = self.0.engine.write().take();
        let was_stuck = old.as_ref().is_some_and(|old| old.is_stuck());
        if let Some(old) = old {
            close(old);
        }
        let mut rebuilt = self.0.rebuilt.lock();
        {
            let mut lock = self.lock();
            if !self.0.opening.is_held_by(&lock) {
                *lock = self.0.opening.lock()?;
                // Also of one that stands there by now nobody knows what it has missed.
                *rebuilt = Some(Opened::Fresh);
            }
        }
        let (engine, mut ledger, mut opened) = self.0.opening.open()?;
        if let Opened::Rebuilt {
            thread_left_behind, ..
        } = &mut opened
        {
            *thread_left_behind |= was_stuck;
        }
        if opened != Opened::Existing {
            *rebuilt = Some(opened);
        } else if rebuilt.is_none() && !multiparts::is_carried_over(&engine)? {
            // Made by a try that failed before it could say so.
            *rebuilt = Some(Opened::Fresh);
        }
        sources::carry_over(&engine, &held, &mut ledger)?;
        if rebuilt.is_some() {
            (self.0.opening.carry_uploads)(&engine, &self.0.opening.root)?;
        }
        ledger.outbox.next_id = ledger.outbox.next_id.max(held.outbox.next_id);
        *held = ledger;
        *self.0.engine.write() = Some(Arc::new(engine));
        Ok(rebuilt.take().unwrap_or(Opened::Existing))
    }

    /// Wait until everything written so far is on disk. Without it, a kill or a
    /// power cut loses at most the last half second.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn flush(&self) -> Result<(), Fault> {
        self.engine()?.flush()
    }

    /// Bytes it takes on disk.
    ///
    /// # Errors
    /// When they cannot be counted.
    pub fn disk_bytes(&self) -> Result<u64, Fault> {
        self.engine()?.disk_bytes()
    }

    fn engine(&self) -> Result<Arc<Engine>, Fault> {
        self.0.engine.read().clone().ok_or_else(|| {
            Fault::new(
                Class::Local,
                "use the index",
                self.0.opening.root.display().to_string(),
                "it is closed because it could not be opened again",
            )
            .hint("see the messages before this one; it is tried again")
        })
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // sled's panics are caught below it, and it is changed only after success.
        self.0.ledger.lock()
    }

    /// The ledger and the database for one write. The ledger is locked first:
    /// a reopening in between would take the database away.
    fn writer(&self) -> Result<(MutexGuard<'_, Ledger>, Arc<Engine>), Fault> {
        let ledger = self.ledger();
        let engine = self.engine()?;
        Ok((ledger, engine))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let engine = self.engine.get_mut();
        if let Some(engine) = engine.take() {
            close(engine);
        }
    }
}

/// Close a database once the calls that are under way have ended; one that
/// never ends keeps it open, and opening then takes a fresh one.
fn close(engine: Arc<Engine>) {
    let deadline = Instant::now() + Duration::from_millis(DRAIN_MS);
    while Arc::strong_count(&engine) > 1 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(DRAIN_LOOK_MS));
    }
    drop(engine);
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Index({})", self.0.opening.root.display())
    }
}

#[cfg(test)]
mod tests;
