//! What tests do to the vault's disk: its steps end, or its syncs fail.

use parking_lot::Mutex;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Lets a set number of steps happen, then none.
#[derive(Debug, Clone)]
pub(super) struct Cut {
    left: Arc<AtomicI64>,
    /// Happens then, instead of the process's death.
    event: Arc<Mutex<Option<Event>>>,
}

struct Event(Box<dyn FnOnce() + Send>);

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Event")
    }
}

impl Default for Cut {
    fn default() -> Self {
        Self {
            left: Arc::new(AtomicI64::new(i64::MAX)),
            event: Arc::default(),
        }
    }
}

impl Cut {
    pub(super) fn step(&self) -> io::Result<()> {
        let left = self.left.load(Ordering::SeqCst);
        if left <= 0 {
            let Some(Event(happens)) = self.event.lock().take() else {
                return Err(io::Error::other("the process died here"));
            };
            happens();
            self.after(i64::MAX);
            return Ok(());
        }
        self.left.store(left - 1, Ordering::SeqCst);
        Ok(())
    }

    /// Die after `steps` more.
    pub(super) fn after(&self, steps: i64) {
        self.left.store(steps, Ordering::SeqCst);
    }

    /// Go on after `steps` more, when this has happened.
    pub(super) fn happens(&self, steps: i64, event: impl FnOnce() + Send + 'static) {
        *self.event.lock() = Some(Event(Box::new(event)));
        self.after(steps);
    }

    /// It has.
    pub(super) fn has_happened(&self) -> bool {
        self.event.lock().is_none()
    }
}

/// Makes the syncs of folders fail, and notes which were asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct SyncFault(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    fails_with: Option<fn() -> io::Error>,
    asked: Vec<PathBuf>,
}

impl SyncFault {
    pub(super) fn check(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.asked.push(path.to_owned());
        state.fails_with.map_or(Ok(()), |error| Err(error()))
    }

    pub(super) fn set(&self, fails_with: Option<fn() -> io::Error>) {
        let mut state = self.0.lock();
        state.fails_with = fails_with;
        state.asked.clear();
    }

    pub(super) fn asked(&self) -> Vec<PathBuf> {
        self.0.lock().asked.clone()
    }
}
