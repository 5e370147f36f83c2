//! The clocks of one run.

use crate::os::clock::wall_ms;
use crate::s3::Store;
use crate::types::{MonotonicMs, WallMs};
use std::sync::Arc;
use std::time::Instant;

/// The wall clock, milliseconds since 1970; tests replace it.
pub type WallClock = Arc<dyn Fn() -> WallMs + Send + Sync>;

/// The computer's clock.
pub fn system_clock() -> WallClock {
    Arc::new(wall_ms)
}

/// The clocks of one run. Clones share them.
#[derive(Clone)]
pub struct Clock {
    wall: WallClock,
    /// What [`Clock::monotonic_ms`] counts from.
    began: Instant,
    /// Knows the server's time from its answers.
    store: Store,
}

impl Clock {
    /// The monotonic clock begins now.
    pub fn new(wall: WallClock, store: Store) -> Self {
        Self {
            wall,
            began: Instant::now(),
            store,
        }
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> WallMs {
        (self.wall)()
    }

    /// The wall clock alone.
    pub fn wall(&self) -> WallClock {
        Arc::clone(&self.wall)
    }

    /// Milliseconds since the start, by a clock that nobody sets: for debounce
    /// and latency. A wall clock that is put back must not hold a save up.
    pub fn monotonic_ms(&self) -> MonotonicMs {
        MonotonicMs(i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX))
    }

    /// Milliseconds since 1970 by the server's clock, as near as it is known: for
    /// whatever is compared with a time that the server gives, and for schedules.
    pub fn server_now_ms(&self) -> WallMs {
        self.store.server_now_ms(self.now_ms())
    }

    /// When something happened by the server's clock, which [`Clock::monotonic_ms`] said
    /// was then `monotonic_ms`: never later than it was, so that what the server stored
    /// because of it is younger. For moments that are printed in a command;
    /// [`crate::types::moment::before`] gives the one just before it.
    pub fn server_moment_ms(&self, monotonic_ms: MonotonicMs) -> WallMs {
        let since_ms = (self.monotonic_ms() - monotonic_ms).max(0);
        self.store.server_reached_ms(self.now_ms()) - since_ms
    }

    /// By how much this computer's clock differs from the server's, as far as that is
    /// known; positive when it is ahead.
    pub fn apart_ms(&self) -> Option<i64> {
        self.store.clock_apart_ms(self.now_ms())
    }

    /// The server, for people.
    pub fn server_name(&self) -> &str {
        self.store.place()
    }
}
