//! Clears away uploads that nobody can resume, and forgets what is long past.

use super::beat::BEAT;
use super::disks::DISK_BEATS;
use crate::backup::OrphanedUploads;
use crate::clock::Clock;
use crate::index::Index;
use crate::os::blocking::blocking;
use crate::pacing::keep_costs;
use crate::retry::Backoff;
use crate::source::Sources;
use crate::types::Class;
use std::sync::Arc;

/// Time between two looks for orphaned uploads; it grows after a failure. Parts cost their
/// owner money by the month, not by the minute.
const SWEEP_MS: u64 = 60_000;

/// Clear away orphaned uploads while the daemon runs; never ends.
pub(super) async fn clear_uploads(orphaned: &OrphanedUploads, clock: &Clock) {
    let mut failures = 0;
    loop {
        let wait_ms = match failures {
            0 => SWEEP_MS,
            _ => SWEEP_MS.max(Backoff::of(Class::Denied).delay_ms(failures, fastrand::u64(..))),
        };
        // By the wall clock, beat by beat, since computers sleep.
        let from_ms = clock.now_ms();
        let is_over = || {
            !(0..i64::try_from(wait_ms).unwrap_or(i64::MAX)).contains(&(clock.now_ms() - from_ms))
        };
        while !is_over() {
            tokio::time::sleep(BEAT).await;
        }
        failures = match orphaned.sweep().await {
            true => 0,
            false => failures + 1,
        };
    }
}

/// Time between two looks for contents that no path has held for a day.
const FORGET_MS: i64 = 60 * 60 * 1000;

/// Forget where contents were long ago; never ends.
pub(super) async fn forget_past(sources: &Sources, index: &Index, clock: &Clock) {
    let mut from_ms = clock.now_ms();
    loop {
        tokio::time::sleep(BEAT * DISK_BEATS).await;
        let now_ms = clock.now_ms();
        if (0..FORGET_MS).contains(&(now_ms - from_ms)) {
            continue;
        }
        from_ms = now_ms;
        for source in sources.iter() {
            let (source, index) = (Arc::clone(source), index.clone());
            let forgotten = blocking(move || {
                keep_costs(&index, source.id, &source.pacing)?;
                // The times in the index are by this clock.
                index.forget_past(source.id)
            });
            match forgotten.await {
                Ok(0) => {}
                Ok(contents) => tracing::debug!(contents, "contents of yesterday are forgotten"),
                Err(fault) => tracing::error!("{fault}"),
            }
        }
    }
}
