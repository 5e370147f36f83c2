//! Looks whether disks have come or gone, and asks for scans now and then.

use super::beat::BEAT;
use crate::clock::Clock;
use crate::files;
use crate::files::Pulse;
use crate::guard;
use crate::source::{SourceRuntime, Sources};
use std::sync::Arc;

/// Beats between looks whether disks have come or gone: a few `stat` calls.
pub(super) const DISK_BEATS: u32 = 10;

/// Look for disks that have come or gone, which makes no event; never ends.
pub(super) async fn revisit(sources: &Sources) {
    for look in 1.. {
        tokio::time::sleep(BEAT * DISK_BEATS).await;
        let all = sources.iter().map(|source| revisit_one(source, look));
        futures::future::join_all(all).await;
    }
}

async fn revisit_one(source: &SourceRuntime, look: u64) {
    if !source.watchdog.may_work() {
        return;
    }
    let guard = Arc::clone(&source.guard);
    let work = move || guard::revisit(&guard, look);
    if let Err(fault) = source.watchdog.run(&Pulse::default(), work).await {
        tracing::error!("{fault}");
    }
}

/// After a scan the disk rests at least this many times as long as the scan took: on a
/// slow disk, or with millions of files, scanning must not be all that it does.
const RESCAN_REST: i64 = 20;

/// Ask for scans that find what no event tells of (a file that was changed through a name
/// outside the folder, or through a memory map); never ends.
pub(super) async fn rescan(sources: &Sources, clock: &Clock, rescan_ms: u64) {
    let each = sources.iter().map(|source| (source, Rescan::default()));
    let mut each: Vec<_> = each.collect();
    loop {
        tokio::time::sleep(BEAT).await;
        let now_ms = clock.steady_ms();
        for (source, last) in &mut each {
            let status = source.status.snapshot();
            let is_busy = status.scanning.is_some() || source.work.scans.is_asked();
            let scan = status.last_scan.map(|scan| (scan.started_ms, scan.took_ms));
            if last.is_due(scan, now_ms, rescan_ms) && !is_busy && is_there(source).await {
                source.work.scans.ask_whole(false);
            }
        }
    }
}

/// The last whole scan of one source.
#[derive(Debug, Clone, Copy, Default)]
struct Rescan {
    /// When it began and what it took; `None` before the first.
    scan: Option<(i64, i64)>,
    /// When it was first seen to have ended, by the steady clock.
    seen_ms: i64,
}

impl Rescan {
    /// Whether the next one is due, `scan` being the last that has ended.
    fn is_due(&mut self, scan: Option<(i64, i64)>, now_ms: i64, rescan_ms: u64) -> bool {
        if scan != self.scan {
            *self = Self {
                scan,
                seen_ms: now_ms,
            };
        }
        let Some((_, took_ms)) = scan else {
            // The start asks for the first scan.
            return false;
        };
        let rest_ms = took_ms.max(0).saturating_mul(RESCAN_REST);
        let wait_ms = rest_ms.max(i64::try_from(rescan_ms).unwrap_or(i64::MAX));
        now_ms.saturating_sub(self.seen_ms) >= wait_ms
    }
}

/// Whether the folder is there: one that is away is scanned when it is back.
async fn is_there(source: &SourceRuntime) -> bool {
    if !source.watchdog.may_work() {
        return false;
    }
    let root = source.config.path.clone();
    let work = move || files::root_state(&root);
    source.watchdog.run(&Pulse::default(), work).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_disk_rests_between_two_scans() {
        let mut last = Rescan::default();
        assert!(!last.is_due(None, 0, 1_000));
        let quick = Some((5, 10));
        assert!(!last.is_due(quick, 100, 1_000));
        assert!(!last.is_due(quick, 1_099, 1_000));
        assert!(last.is_due(quick, 1_100, 1_000));
        // One that took a minute.
        let slow = Some((1_100, 60_000));
        assert!(!last.is_due(slow, 61_100, 1_000));
        assert!(!last.is_due(slow, 61_100 + 20 * 60_000 - 1, 1_000));
        assert!(last.is_due(slow, 61_100 + 20 * 60_000, 1_000));
        // A clock that was put back while it ran.
        assert!(!last.is_due(Some((7, -5_000)), 0, 1_000));
        assert!(last.is_due(Some((7, -5_000)), 1_000, 1_000));
    }
}
