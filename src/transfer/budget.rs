//! The memory that file contents may take on their way, all workers together.

use super::sizes::{COMPRESSING_BYTES, SMALL_BYTES_MAX};
use crate::work::Lane;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Buffers of the backlog: six parts of 8 MiB. With the index's cache and the
/// program itself this stays under 150 MB.
const BACKLOG_BYTES: u64 = 48 * 1024 * 1024;

/// Buffers of edits, reserved so that a save never waits for the memory of a large
/// upload: two files of the largest size that is read in one go.
const EDIT_BYTES: u64 = 2 * SMALL_BYTES_MAX;

/// Small files that are read together and held until the large ones among them are sent.
/// It is not the backlog's memory, which the parts of the large ones take: whoever holds
/// some of that must not wait for more, or a dozen databases block each other for good.
const TOGETHER_BYTES: u64 = 2 * SMALL_BYTES_MAX;

/// What compressing may take besides, for one large file of each lane. No file waits for
/// it while it holds parts, so there is no deadlock.
const _: () = assert!(2 * COMPRESSING_BYTES <= 32 * 1024 * 1024);

/// One permit stands for this many bytes.
const GRAIN_BYTES: u64 = 64 * 1024;

/// Permits to hold file contents in memory.
#[derive(Clone)]
pub struct Budget {
    backlog: Arc<Semaphore>,
    edits: Arc<Semaphore>,
    together: Arc<Semaphore>,
    compressing: [Arc<Semaphore>; 2],
}

/// Bytes are counted while this lives.
pub struct Permit(#[allow(dead_code)] Option<OwnedSemaphorePermit>);

impl Permit {
    /// For memory that is counted elsewhere.
    pub(crate) fn none() -> Self {
        Self(None)
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            backlog: Arc::new(Semaphore::new(grains(BACKLOG_BYTES) as usize)),
            edits: Arc::new(Semaphore::new(grains(EDIT_BYTES) as usize)),
            together: Arc::new(Semaphore::new(grains(TOGETHER_BYTES) as usize)),
            compressing: [Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(1))],
        }
    }
}

impl Budget {
    /// Wait until a large file of that lane may be compressed. Whoever waits for the disk
    /// holds the permit, so that it is free again when a disk hangs.
    pub(crate) async fn compressing(&self, lane: Lane) -> Permit {
        let slot = match lane {
            Lane::Backlog => &self.compressing[0],
            Lane::Edit => &self.compressing[1],
        };
        Permit(Arc::clone(slot).acquire_owned().await.ok())
    }

    /// Wait until `bytes` may be held. A request beyond the whole budget (parts
    /// of a file over 480 GB) waits for all of it and then goes on alone.
    pub async fn take(&self, lane: Lane, bytes: u64) -> Permit {
        let (pool, all) = match lane {
            Lane::Backlog => (&self.backlog, grains(BACKLOG_BYTES)),
            Lane::Edit => (&self.edits, grains(EDIT_BYTES)),
        };
        let wanted = grains(bytes).min(all);
        // The semaphores are never closed, so this cannot fail.
        Permit(Arc::clone(pool).acquire_many_owned(wanted).await.ok())
    }

    /// The same for small files that are held while large ones are sent.
    pub async fn take_together(&self, bytes: u64) -> Permit {
        let wanted = grains(bytes).min(grains(TOGETHER_BYTES));
        let pool = Arc::clone(&self.together);
        Permit(pool.acquire_many_owned(wanted).await.ok())
    }

    /// The same for content that is small, if it may be held at once.
    pub fn try_take(&self, lane: Lane, bytes: u64) -> Option<Permit> {
        let pool = match lane {
            Lane::Backlog => &self.backlog,
            Lane::Edit => &self.edits,
        };
        let permit = Arc::clone(pool).try_acquire_many_owned(grains(bytes));
        permit.ok().map(|permit| Permit(Some(permit)))
    }
}

fn grains(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(GRAIN_BYTES).max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn edits_do_not_wait_for_the_backlogs_memory() {
        let budget = Budget::default();
        let all = budget.take(Lane::Backlog, u64::MAX).await;
        let more = tokio::time::timeout(Duration::from_secs(1), budget.take(Lane::Backlog, 1));
        assert!(more.await.is_err(), "the backlog's memory is taken");
        assert!(budget.try_take(Lane::Backlog, 1).is_none());
        assert!(budget.try_take(Lane::Edit, 1).is_some());
        let _edit = budget.take(Lane::Edit, SMALL_BYTES_MAX).await;
        drop(all);
        let _again = budget.take(Lane::Backlog, 1).await;
    }

    /// Named after the bug: each group held its small files' memory and waited for
    /// the parts of its database, and nobody went on.
    #[tokio::test(start_paused = true)]
    async fn a_dozen_databases_with_their_journals_do_not_block_each_other() {
        const WORKERS: u64 = 12;
        for lane in [Lane::Backlog, Lane::Edit] {
            let budget = Budget::default();
            let group = async || {
                let _small = budget.take_together(SMALL_BYTES_MAX).await;
                // All that can read now does.
                tokio::task::yield_now().await;
                let _part = budget.take(lane, SMALL_BYTES_MAX).await;
                tokio::time::sleep(Duration::from_millis(1)).await;
            };
            let all = futures::future::join_all((0..WORKERS).map(|_| group()));
            let done = tokio::time::timeout(Duration::from_secs(60), all).await;
            assert!(done.is_ok(), "{lane:?}: they block each other");
        }
        // Who waits for a turn to read keeps nobody from sending.
        let budget = Budget::default();
        let _held = budget.take_together(u64::MAX).await;
        for lane in [Lane::Backlog, Lane::Edit] {
            assert!(budget.try_take(lane, SMALL_BYTES_MAX).is_some(), "{lane:?}");
        }
    }
}
