//! Tells a policy that denies some paths from one that denies all.

use crate::retry::policy::Backoff;
use crate::types::WallMs;
use std::collections::HashSet;

/// Once others have passed beside a path that was denied, the policy has a hole: so many
/// different paths in a row must be denied before it is the whole bucket again.
const PATHS_TO_OPEN: usize = 16;

/// With a hole in the policy, denials without a success between for this long are the
/// bucket's too: a small office may save fewer files than `PATHS_TO_OPEN`.
const LASTING_MS: u64 = 5 * 60_000;

/// A denial takes one small request and says nothing of the next path. So many paths find
/// out one soon after the other, before the wait grows: a folder's worth.
const QUICK_PROBES: u32 = 64;

/// Between two of those.
const QUICK_MS: u64 = 1_000;

/// After those. A file that is allowed must not wait longer beside any number of others.
pub(super) const PROBES: Backoff = Backoff {
    first_ms: 10_000,
    cap_ms: 60_000,
};

/// Paths known to be denied while others pass; 8 bytes each. They do not open the breaker.
const EXCUSED_MAX: usize = 4_096;

/// Which paths were denied, and beside which successes.
#[derive(Debug, Clone, Default)]
pub(super) struct Denials {
    /// Different paths that were denied without a success between, at most `EXCUSED_MAX`.
    denied: HashSet<u64>,
    /// When the first of them was.
    since_ms: Option<WallMs>,
    /// Paths that are denied for themselves.
    excused: HashSet<u64>,
    /// Others have passed beside a path that was denied.
    has_hole: bool,
}

impl Denials {
    /// This path was denied. Says since when paths are, without a success between.
    pub(super) fn note(&mut self, path_hash: u64, now_ms: WallMs) -> WallMs {
        if self.denied.len() < EXCUSED_MAX {
            self.denied.insert(path_hash);
        }
        *self.since_ms.get_or_insert(now_ms)
    }

    /// This path was denied: whether that is the whole bucket's trouble.
    pub(super) fn are_of_the_bucket(&mut self, path_hash: u64, now_ms: WallMs) -> bool {
        if self.excused.contains(&path_hash) {
            return false;
        }
        let since_ms = self.note(path_hash, now_ms);
        !self.has_hole
            || self.denied.len() >= PATHS_TO_OPEN
            || now_ms.elapsed_ms(since_ms) >= LASTING_MS
    }

    /// This path passed. Those that were denied meanwhile are denied for themselves.
    pub(super) fn excuse_others(&mut self, path_hash: u64) {
        self.excused.remove(&path_hash);
        self.denied.remove(&path_hash);
        self.has_hole |= !self.denied.is_empty();
        let room = EXCUSED_MAX.saturating_sub(self.excused.len());
        self.excused.extend(self.denied.drain().take(room));
        self.since_ms = None;
    }

    /// Nothing waits that could be denied.
    pub(super) fn forget(&mut self) {
        self.denied.clear();
        self.since_ms = None;
    }

    /// Paths that were denied without a success between.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.denied.len()
    }
}

/// How long to wait for the next probe after so many that were denied.
pub(super) fn probe_delay_ms(attempts: u32, random: u64) -> u64 {
    match attempts.checked_sub(QUICK_PROBES) {
        None => QUICK_MS,
        Some(attempt) => PROBES.delay_ms(attempt + 1, random),
    }
}
