//! Trying again what passes by itself, a bounded number of times.
//!
//! Restore is a command that somebody waits for: unlike the daemon it must end.

use super::policy::Backoff;
use crate::types::{Class, Fault};
use std::time::Duration;
use tokio::sync::watch;

/// Tries of one request, whatever it asks for: with the waits between them about half a minute
/// for a server that fails, two for one that asks for patience. What does not
/// work by then is named, and the run goes on to the next file.
const TRIES_MAX: u32 = 6;

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

/// Try `work` until it is done, until its failure is none that passes by itself, until it
/// was tried [`TRIES_MAX`] times, or until the run is asked to stop.
///
/// # Errors
/// The last failure.
pub(crate) async fn with_retries<T, Work>(
    stop: &mut Stop,
    mut work: impl FnMut() -> Work,
) -> Result<T, Fault>
where
    Work: Future<Output = Result<T, Fault>>,
{
    let mut failures = 0;
    loop {
        let fault = match work().await {
            Ok(done) => return Ok(done),
            Err(fault) => fault,
        };
        failures += 1;
        if !passes(fault.class) || failures >= TRIES_MAX || stop.is_asked() {
            return Err(fault);
        }
        let wait_ms = Backoff::of(fault.class).delay_ms(failures, fastrand::u64(..));
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(wait_ms)) => {}
            () = stop.asked() => return Err(fault),
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
    use std::future::ready;

    async fn tries(class: Class, stop: &mut Stop) -> u32 {
        let mut tries = 0;
        let failed: Result<(), Fault> = with_retries(stop, || {
            tries += 1;
            ready(Err(Fault::new(class, "download", "a", "x")))
        })
        .await;
        assert_eq!(failed.unwrap_err().class, class);
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
    async fn a_server_that_answers_late_is_asked_until_it_does() {
        for late in 1..TRIES_MAX {
            let mut left = late;
            let mut stop = Stop::never();
            let answer = with_retries(&mut stop, || {
                left -= 1;
                ready(match left {
                    0 => Ok("head"),
                    _ => Err(Fault::new(Class::Transient, "look at", "a", "no answer")),
                })
            });
            assert_eq!(answer.await.unwrap(), "head", "at the {late}. try");
            assert_eq!(left, 0);
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
