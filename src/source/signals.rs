//! What every loop of a run may want to hear: that the computer was asleep, that the run
//! ends, and when the system last told of a change.

use crate::types::MonotonicMs;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::sync::watch;

struct Inner {
    woke: watch::Sender<u64>,
    ending: watch::Sender<bool>,
    heard_ms: AtomicI64,
}

/// The signals of one run. Clones share them.
#[derive(Clone)]
pub struct RunSignals(Arc<Inner>);

impl Default for RunSignals {
    fn default() -> Self {
        Self(Arc::new(Inner {
            woke: watch::Sender::new(0),
            ending: watch::Sender::new(false),
            heard_ms: AtomicI64::new(i64::MIN / 2),
        }))
    }
}

impl RunSignals {
    /// The computer has slept or its clock was set: whoever keeps something that may not
    /// have survived that listens.
    pub fn wake(&self) {
        self.0.woke.send_modify(|times| *times += 1);
    }

    /// Hear of [`RunSignals::wake`].
    pub fn woke(&self) -> watch::Receiver<u64> {
        self.0.woke.subscribe()
    }

    /// A stop was asked for: what waits for its time does not wait any longer.
    pub fn end(&self) {
        self.0.ending.send_replace(true);
    }

    /// Hear of [`RunSignals::end`].
    pub fn ending(&self) -> watch::Receiver<bool> {
        self.0.ending.subscribe()
    }

    /// A stop was asked for: whatever can be stored is stored now.
    pub fn is_ending(&self) -> bool {
        *self.0.ending.borrow()
    }

    /// The system has told of a change, which is on its way to the collector.
    pub fn note_heard(&self, monotonic_ms: MonotonicMs) {
        self.0.heard_ms.store(monotonic_ms.0, Ordering::Relaxed);
    }

    /// When it last did, by the monotonic clock.
    pub fn heard_ms(&self) -> MonotonicMs {
        MonotonicMs(self.0.heard_ms.load(Ordering::Relaxed))
    }
}
