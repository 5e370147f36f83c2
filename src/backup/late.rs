//! Second checks after requests that got no answer: the server may still carry them out.
//!
//! Invariants: a key whose request was given up, or may have been on the line when the
//! process was killed, is checked again once the request can no longer be carried out
//! (`limits.late_request_ms`); neither a stop nor a kill forgets that. A check believes
//! nothing but the bucket.

use super::mark_unverified::mark_unverified;
use crate::clock::Clock;
use crate::index::Index;
use crate::os::blocking::blocking;
use crate::s3::{Store, Unanswered};
use crate::source::{SourceRuntime, Sources};
use crate::types::{Fault, Fingerprint, ForeignKey, RelKey, WallMs, text};
use jiff::tz::TimeZone;
use std::time::Duration;

/// How often due checks are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Paths checked again at a time: each costs a request.
const KEYS_AT_ONCE: usize = 64;

/// The index's name for when a source is checked again, milliseconds since 1970.
const STATE: &str = "late:until_ms";

/// The note that `status` and digest have of it.
const NOTE: &str = "late";

/// Makes the second checks.
#[derive(Clone)]
pub struct LateChecks {
    /// All sources.
    pub sources: Sources,
    /// The server, which knows the requests that got no answer.
    pub store: Store,
    /// The index.
    pub index: Index,
    /// The clocks.
    pub clock: Clock,
    /// How long a request that got no answer may still be carried out.
    pub limit_ms: i64,
}

impl LateChecks {
    /// Take over the checks that the last run still had to make. After a kill everything
    /// is checked. Blocking.
    ///
    /// # Errors
    /// The index cannot be used.
    pub fn take_up(&self, was_clean: bool) -> Result<(), Fault> {
        let (monotonic_ms, now_ms) = (self.clock.monotonic_ms(), self.clock.now_ms());
        let limit_ms = self.limit_ms;
        for source in self.sources.iter() {
            let known = self.index.source_state_get(source.id, STATE)?;
            let wait_ms = match (
                was_clean,
                known.and_then(|value| value.as_i64()).map(WallMs),
            ) {
                (false, _) => limit_ms,
                // Bounded: by a clock that was set back it would never come.
                (true, Some(until_ms)) => (until_ms - now_ms).clamp(0, limit_ms),
                (true, None) => continue,
            };
            source.late.owed().whole(monotonic_ms + wait_ms);
            let until_ms = now_ms + wait_ms;
            self.index
                .source_state_set(source.id, STATE, &until_ms.into())?;
        }
        Ok(())
    }

    /// Say that the bucket is compared again, and when.
    pub fn note(&self, source: &SourceRuntime, zone: &TimeZone) {
        let due_ms = source.late.owed().whole_due_ms();
        let note = due_ms.map(|due_ms| {
            let wait_ms = (due_ms - self.clock.monotonic_ms()).max(0);
            format!(
                "the last run was cut off: what was on its way to the bucket then may still arrive there, so the bucket is compared again at {}",
                text::time(self.clock.server_now_ms() + wait_ms, zone)
            )
        });
        source.status.note(NOTE, note);
    }

    /// Remember the remaining checks beyond this run. Blocking.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn keep(&self) -> Result<(), Fault> {
        self.hear();
        let (monotonic_ms, now_ms) = (self.clock.monotonic_ms(), self.clock.now_ms());
        for source in self.sources.iter() {
            let due_ms = source.late.owed().last_due_ms();
            let until_ms = due_ms.map(|due_ms| now_ms + (due_ms - monotonic_ms));
            self.index
                .source_state_set(source.id, STATE, &until_ms.into())?;
        }
        Ok(())
    }

    /// Make the checks that are due; never ends.
    pub async fn run(&self) {
        tokio::join!(self.check_keys(), self.check_sources());
    }

    /// Check due keys, one by one; never ends.
    async fn check_keys(&self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self.hear();
            for source in self.sources.iter() {
                self.check_keys_of(source).await;
            }
        }
    }

    async fn check_keys_of(&self, source: &SourceRuntime) {
        let now_ms = self.clock.monotonic_ms();
        let may_ask = can_be_asked(source);
        let due = source.late.owed().take_keys(now_ms, KEYS_AT_ONCE, may_ask);
        for key in due {
            let path = key.path();
            let marked = mark_unverified(&self.index, source, &key, Fingerprint::UNSEEN);
            if let Err(fault) = marked.await {
                tracing::error!("{fault}");
                // The index is broken; it is compared with the bucket when it is mended.
                continue;
            }
            tracing::debug!(source = %source.name(), %path, "looked at again: a request about it had no answer");
            let now_ms = self.clock.monotonic_ms();
            source.work.queue.push_backlog(path, now_ms).await;
        }
    }

    /// Check whole sources that are due; never ends.
    async fn check_sources(&self) {
        let all = self.sources.iter().map(|source| self.check_source(source));
        futures::future::join_all(all).await;
    }

    async fn check_source(&self, source: &SourceRuntime) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let began_ms = self.clock.monotonic_ms();
            let may_ask = can_be_asked(source);
            if !source.late.owed().is_whole_due(began_ms, may_ask) {
                continue;
            }
            let scan = source.work.scans.ask_and_wait(false).await;
            if !scan.is_ok_and(|scan| scan.listed_whole) {
                source.late.owed().failed(self.clock.monotonic_ms());
                continue;
            }
            source.late.owed().looked(began_ms);
            source.status.note(NOTE, None);
            let own = self.clone();
            if let Err(fault) = blocking(move || own.keep()).await {
                tracing::error!("{fault}");
            }
        }
    }

    /// Take over the requests that got no answer since the last time.
    fn hear(&self) {
        let Unanswered { keys, more } = self.store.unanswered();
        let until_ms = self.clock.monotonic_ms() + self.limit_ms;
        for (bucket, key) in &keys {
            for source in self.sources.iter() {
                let own = key.strip_prefix(source.config.prefix.as_str());
                let Some(own) = own.filter(|_| source.config.bucket == *bucket) else {
                    continue;
                };
                match RelKey::parse(own) {
                    Ok(key) => source.late.owed().key(key, until_ms),
                    // A manifest: none takes its name again.
                    Err(ForeignKey::Own) => {}
                    // Its path is known to the bucket alone.
                    Err(_) => source.late.owed().whole(until_ms),
                }
            }
        }
        if more {
            let sources = self.sources.iter();
            sources.for_each(|source| source.late.owed().whole(until_ms));
        }
    }
}

/// Its bucket is not known to be unreachable or somebody else's.
fn can_be_asked(source: &SourceRuntime) -> bool {
    source.destination.may_send() && source.breaker.outage().is_none()
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Defaults};
    use crate::s3::LATE_MAX;

    #[test]
    fn the_default_is_the_longest_that_a_request_can_take() {
        let dir = tempfile::tempdir().unwrap();
        let (office, vault) = (dir.path().join("office"), dir.path().join("vault"));
        std::fs::create_dir(&office).unwrap();
        let defaults = Defaults {
            state_dir: dir.path().join("state"),
            log_dir: dir.path().join("log"),
            home: crate::types::Home::Nowhere,
            computer_time_zone: jiff::tz::TimeZone::UTC,
        };
        let config = Config::trial(&office, &vault, &defaults).unwrap();
        let late_ms = u128::from(config.limits.late_request_ms);
        assert_eq!(late_ms, LATE_MAX.as_millis());
    }
}
