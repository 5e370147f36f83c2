//! The open index: one handle, which callers clone, and opening it again.
//!
//! It must never hand out a database while another one is opened in its place.

use super::carried_over;
use super::engine::Engine;
use super::ledger::Ledger;
use super::opening::Opening;
use super::types::Opened;
use crate::types::{Class, Fatal, Fault};
use parking_lot::{Mutex, MutexGuard, RwLock};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// How long [`Index::reopen`] waits for calls that are under way to end.
const DRAIN_MS: u64 = 5_000;

/// How often it looks whether they have.
const DRAIN_LOOK_MS: u64 = 10;

/// The index of one state folder. Cloning is cheap; all clones are one index.
#[derive(Clone)]
pub struct Index(pub(super) Arc<Inner>);

/// What all clones share.
pub(super) struct Inner {
    pub(super) opening: Opening,
    /// `None` while it is opened again, and after that failed.
    pub(super) engine: RwLock<Option<Arc<Engine>>>,
    /// Held during every write, so that memory and disk change together.
    ledger: Mutex<Ledger>,
    /// What a reopening that then failed has done, until one that ends well has
    /// said so: its caller must not take a fresh database for the old one.
    rebuilt: Mutex<Option<Opened>>,
    /// The copy of the uploads in parts could not be written the last time.
    pub(super) copy_fails: AtomicBool,
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

    pub(super) fn open_with(opening: Opening) -> Result<(Self, Opened), Fatal> {
        let lock = opening.lock()?;
        let (engine, ledger, opened) = opening.open()?;
        // Also when the start before this one ended in between.
        if !carried_over::has_uploads(&engine)? {
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
        let is_held = self.0.opening.is_held_by(&self.0.lock.lock());
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
            let mut lock = self.0.lock.lock();
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
        } else if rebuilt.is_none() && !carried_over::has_uploads(&engine)? {
            // Made by a try that failed before it could say so.
            *rebuilt = Some(Opened::Fresh);
        }
        carried_over::carry_sources(&engine, &held, &mut ledger)?;
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

    pub(super) fn engine(&self) -> Result<Arc<Engine>, Fault> {
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

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // sled's panics are caught below it, and it is changed only after success.
        self.0.ledger.lock()
    }

    /// The ledger and the database for one write. The ledger is locked first:
    /// a reopening in between would take the database away.
    pub(super) fn writer(&self) -> Result<(MutexGuard<'_, Ledger>, Arc<Engine>), Fault> {
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
pub(super) fn close(engine: Arc<Engine>) {
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
