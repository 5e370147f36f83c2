//! Trying again what passes by itself, a bounded number of times.
//!
//! Restore is a command that somebody waits for: unlike the daemon it must end.

use super::policy::Backoff;
use crate::types::{Class, Fault};
use std::time::Duration;
use tokio::sync::watch;

/// Tries per object or page: with the waits between them about half a minute
/// for a server that fails, two for one that asks for patience. What does not
/// work by then is named, and the run goes on to the next file.
pub(crate) const TRIES_MAX: u32 = 6;

/// Whether somebody asked the run to stop.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Stops when `asked` becomes true.
    pub fn new(asked: watch::Receiver<bool>) -> Self {
        Self(asked)
    }

    /// One that is never asked.
    pub fn never() -> Self {
        Self(watch::channel(false).1)
    }

    /// True when it was asked.
    pub fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Wait until it is asked, which may be never.
    pub async fn asked(&mut self) {
        if self.0.wait_for(|asked| *asked).await.is_err() {
            // Whoever could have asked is gone.
            std::future::pending::<()>().await;
        }
    }
}

/// Counts the tries of one request.
#[derive(Debug, Default)]
pub(crate) struct Retries {
    failures: u32,
}

impl Retries {
    /// After a failure: wait, and say whether to try again. No waiting and
    /// `false` for what does not pass by itself, after enough tries, or as soon
    /// as it was asked to stop.
    pub(crate) async fn again(&mut self, fault: &Fault, stop: &mut Stop) -> bool {
        self.failures += 1;
        if !passes(fault.class) || self.failures >= TRIES_MAX || stop.is_asked() {
            return false;
        }
        let wait_ms = Backoff::of(fault.class).delay_ms(self.failures, fastrand::u64(..));
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(wait_ms)) => true,
            () = stop.asked() => false,
        }
    }
}

/// The fault that ends the tries, with the advice to run the command again where that can
/// help: nothing tries again by itself from here on.
pub(crate) fn advise_rerun(fault: Fault) -> Fault {
    if passes(fault.class) {
        fault.hint(
            "check the connection and run it again: what is there already is not fetched again",
        )
    } else {
        fault
    }
}

/// The server's trouble of the moment. A full disk passes as well, but nobody
/// makes room within a minute.
pub(crate) fn passes(class: Class) -> bool {
    matches!(class, Class::Transient | Class::SlowDown)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn tries(class: Class, stop: &mut Stop) -> u32 {
        let fault = Fault::new(class, "download", "a", "x");
        let mut retries = Retries::default();
        let mut tries = 1;
        while retries.again(&fault, stop).await {
            tries += 1;
        }
        tries
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_passes_is_tried_again_and_not_for_ever() {
        for (class, want) in [
            (Class::Transient, TRIES_MAX),
            (Class::SlowDown, TRIES_MAX),
            (Class::Damaged, 1),
            (Class::Denied, 1),
            (Class::Local, 1),
        ] {
            assert_eq!(tries(class, &mut Stop::never()).await, want, "{class:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_to_stop_ends_the_wait() {
        let (ask, asked) = watch::channel(false);
        let mut stop = Stop::new(asked);
        let began = tokio::time::Instant::now();
        let waiting = tries(Class::Transient, &mut stop);
        let (made, ()) = tokio::join!(waiting, async {
            tokio::task::yield_now().await;
            let _ = ask.send(true);
        });
        assert_eq!(made, 1);
        assert!(began.elapsed() < Duration::from_millis(1));
    }
}
