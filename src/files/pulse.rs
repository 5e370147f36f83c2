//! A sign of life of work on a disk that may never answer.
//!
//! Whoever reads beats before each call that the disk could swallow, and rests
//! while it waits for something else; whoever waits for the reader asks how
//! long it has been silent. It decides nothing.

use std::io;
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Stands for "not asking the disk".
const RESTING: u64 = u64::MAX;

/// Shared between one reader and whoever waits for it; cheap to clone.
#[derive(Debug, Clone)]
pub struct Pulse {
    began: Instant,
    last_ms: Arc<AtomicU64>,
}

impl Default for Pulse {
    /// Beating since now.
    fn default() -> Self {
        Self {
            began: Instant::now(),
            last_ms: Arc::new(AtomicU64::new(0)),
        }
    }
}

impl Pulse {
    /// The disk is asked for something now.
    pub fn beat(&self) {
        let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(RESTING - 1);
        self.last_ms.store(ms, Ordering::Relaxed);
    }

    /// Nothing is asked of the disk until the next beat.
    pub fn rest(&self) {
        self.last_ms.store(RESTING, Ordering::Relaxed);
    }

    /// How long the disk has not answered; nothing while it is not asked.
    pub fn silent_for(&self) -> Duration {
        match self.last_ms.load(Ordering::Relaxed) {
            RESTING => Duration::ZERO,
            last_ms => self
                .began
                .elapsed()
                .saturating_sub(Duration::from_millis(last_ms)),
        }
    }

    /// A clone that only watches: see [`Watcher::is_held`].
    pub fn watcher(&self) -> Watcher {
        Watcher(Arc::downgrade(&self.last_ms))
    }

    /// The same reader, beating before each read.
    pub fn of<R: Read>(&self, inner: R) -> impl Read + use<R> {
        Beating {
            pulse: self.clone(),
            inner,
        }
    }
}

/// Watches whether anybody still holds a pulse.
#[derive(Debug)]
pub struct Watcher(Weak<AtomicU64>);

impl Watcher {
    /// Whether anybody still holds it: a thread that reads, above all.
    pub fn is_held(&self) -> bool {
        self.0.strong_count() > 0
    }
}

struct Beating<R> {
    pulse: Pulse,
    inner: R,
}

impl<R: Read> Read for Beating<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.pulse.beat();
        self.inner.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_counts_only_while_the_disk_is_asked() {
        let long_ago = Instant::now() - Duration::from_secs(100);
        let pulse = Pulse {
            began: long_ago,
            ..Pulse::default()
        };
        assert!(pulse.silent_for() >= Duration::from_secs(100));
        pulse.rest();
        assert_eq!(pulse.silent_for(), Duration::ZERO);
        let mut bytes = Vec::new();
        pulse.of(&b"abc"[..]).read_to_end(&mut bytes).unwrap();
        assert!(pulse.silent_for() < Duration::from_secs(50));
        assert_eq!(bytes, b"abc");
    }
}
