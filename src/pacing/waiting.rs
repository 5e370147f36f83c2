//! Files that change all the time wait for their next version, and are brought
//! back when it is due.
//!
//! Invariants: a path that waits is known here until it is in the queue again;
//! what does not fit is stored at once; nothing waits longer than its source's
//! settings say, nor beyond a stop that has time. A kill forgets what waits: the
//! next start's scan finds it, and stores it at once.

use super::costly::VersionCosts;
use super::policy::{Paid, Policy};
use crate::types::{RelPath, WallMs};
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeSet, HashMap};

/// Files of one source whose recent versions are remembered: some 4 MB. Files that change all
/// the time are few; beyond that they are stored each time.
const BOOK_MAX: usize = 20_000;

/// Paths of one source that wait at a time, some 4 MB; further ones are stored at once.
const WAITING_MAX: usize = 10_000;

#[derive(Default)]
struct State {
    policy: Policy,
    book: HashMap<RelPath, Paid>,
    waiting: HashMap<RelPath, WallMs>,
    by_due: BTreeSet<(WallMs, RelPath)>,
    /// Asked for by reconciliations, and for good at a stop.
    free: usize,
    costs: VersionCosts,
}

/// Which files of one source wait for their next version, and what versions cost.
pub struct Pacing(Mutex<State>);

/// While it lives, nothing waits.
pub struct Free<'a>(&'a Pacing);

impl Pacing {
    /// Of a source with this policy.
    pub fn new(policy: Policy) -> Self {
        Self(Mutex::new(State {
            policy,
            ..State::default()
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in it can be half changed in a way that matters.
        self.0.lock()
    }

    /// Whether a new version of this path may be stored now; if not, the path
    /// waits here. `stored_ms` is when the last one was stored.
    pub fn may_store(&self, path: &RelPath, stored_ms: WallMs, now_ms: WallMs) -> bool {
        let mut state = self.state();
        let policy = state.policy;
        let paid = state.book.get(path).copied();
        let due_ms = policy.due_ms(paid, stored_ms, now_ms);
        let has_room = state.waiting.len() < WAITING_MAX || state.waiting.contains_key(path);
        state.forget(path);
        if due_ms <= now_ms || state.free > 0 || !has_room {
            if policy.per_hour_max > 0 && paid.is_none() {
                state.book(path.clone(), Paid(now_ms), now_ms);
            }
            return true;
        }
        state.wait(path.clone(), due_ms);
        false
    }

    /// A version of this file was stored. It counts if [`Pacing::may_store`] was
    /// asked: nobody asks for a first version, and of those a first backup has
    /// more than can be remembered.
    pub fn stored(&self, path: &RelPath, stored_bytes: u64, now_ms: WallMs) {
        let mut state = self.state();
        state.costs.add(path, stored_bytes, now_ms);
        let policy = state.policy;
        if let Some(paid) = state.book.get_mut(path) {
            *paid = policy.stored(Some(*paid), now_ms);
        }
    }

    /// What belongs to this file was stored, and the file itself was not: that counts
    /// as one of its versions.
    pub fn stored_beside(&self, path: &RelPath, now_ms: WallMs) {
        let mut state = self.state();
        let policy = state.policy;
        if let Some(paid) = state.book.get_mut(path) {
            *paid = policy.stored(Some(*paid), now_ms);
        }
    }

    /// It need not wait any more: it is gone, or as it was stored.
    pub fn forget(&self, path: &RelPath) {
        let mut state = self.state();
        if !state.waiting.is_empty() {
            state.forget(path);
        }
    }

    /// Up to `max` paths whose time has come; they do not wait any more.
    pub fn due(&self, now_ms: WallMs, max: usize) -> Vec<RelPath> {
        let mut state = self.state();
        // Farther away than anything can be: the clock has been put back.
        let far_ms = now_ms + state.policy.wait_max_ms();
        let early = state.by_due.iter().take_while(|(due, _)| *due <= now_ms);
        let late = state
            .by_due
            .iter()
            .rev()
            .take_while(|(due, _)| *due > far_ms);
        let due: Vec<RelPath> = early
            .chain(late)
            .take(max)
            .map(|(_, path)| path.clone())
            .collect();
        due.iter().for_each(|path| state.forget(path));
        due
    }

    /// There was no room for it in the queue.
    pub fn wait_on(&self, path: RelPath, now_ms: WallMs) {
        self.state().wait(path, now_ms);
    }

    /// How many paths wait, and until when at most.
    pub fn waiting(&self) -> (u64, Option<WallMs>) {
        let state = self.state();
        let last_ms = state.waiting.values().max().copied();
        (state.waiting.len() as u64, last_ms)
    }

    /// Let nothing wait as long as the answer lives. What waits is not brought
    /// back by that: a scan finds it.
    pub fn free(&self) -> Free<'_> {
        self.state().free += 1;
        Free(self)
    }

    /// Let nothing wait any more: this run ends. Says what has waited.
    pub fn end(&self) -> Vec<RelPath> {
        let mut state = self.state();
        state.free += 1;
        state.by_due.clear();
        state.waiting.drain().map(|(path, _)| path).collect()
    }

    /// Work on what the versions cost.
    pub fn with_costs<T>(&self, work: impl FnOnce(&mut VersionCosts) -> T) -> T {
        work(&mut self.state().costs)
    }
}

impl Drop for Free<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.free = state.free.saturating_sub(1);
    }
}

impl State {
    /// Remember it if there is room.
    fn book(&mut self, path: RelPath, paid: Paid, now_ms: WallMs) {
        if self.book.len() >= BOOK_MAX {
            self.book.retain(|_, paid| !paid.is_over(now_ms));
        }
        if self.book.len() < BOOK_MAX {
            self.book.insert(path, paid);
        }
    }

    fn forget(&mut self, path: &RelPath) {
        if let Some((path, due_ms)) = self.waiting.remove_entry(path) {
            self.by_due.remove(&(due_ms, path));
        }
    }

    fn wait(&mut self, path: RelPath, due_ms: WallMs) {
        self.forget(&path);
        self.by_due.insert((due_ms, path.clone()));
        self.waiting.insert(path, due_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: i64 = 60_000;

    fn pacing(per_hour_max: u32) -> Pacing {
        Pacing::new(Policy {
            min_interval_ms: 0,
            per_hour_max,
        })
    }

    fn path(text: &str) -> RelPath {
        RelPath::from_bytes(text).unwrap()
    }

    /// Save it as often as it may be.
    fn until_it_waits(pacing: &Pacing, name: &str, now_ms: WallMs) -> u32 {
        for stored in 0..100 {
            if !pacing.may_store(&path(name), now_ms, now_ms) {
                return stored;
            }
            pacing.stored(&path(name), 1, now_ms);
        }
        100
    }

    #[test]
    fn what_waits_comes_back_when_it_is_due() {
        let pacing = pacing(12);
        assert_eq!(until_it_waits(&pacing, "db", WallMs(0)), 6);
        assert_eq!(until_it_waits(&pacing, "letter", WallMs(0)), 6);
        assert_eq!(pacing.waiting(), (2, Some(WallMs(5 * MINUTE_MS))));
        assert_eq!(pacing.due(WallMs(5 * MINUTE_MS - 1), 9), []);
        pacing.forget(&path("letter"));
        assert_eq!(pacing.due(WallMs(5 * MINUTE_MS), 9), [path("db")]);
        assert_eq!(pacing.waiting(), (0, None));
        pacing.wait_on(path("db"), WallMs(5 * MINUTE_MS));
        assert_eq!(pacing.due(WallMs(5 * MINUTE_MS), 9).len(), 1);
        assert!(pacing.may_store(&path("db"), WallMs(0), WallMs(5 * MINUTE_MS)));
    }

    #[test]
    fn nothing_waits_while_it_is_free_and_after_the_end() {
        let pacing = pacing(12);
        until_it_waits(&pacing, "db", WallMs(0));
        {
            let _free = pacing.free();
            assert!(pacing.may_store(&path("db"), WallMs(0), WallMs(0)));
        }
        assert!(!pacing.may_store(&path("db"), WallMs(0), WallMs(0)));
        assert_eq!(pacing.end(), [path("db")]);
        assert!(pacing.may_store(&path("db"), WallMs(0), WallMs(0)));
        assert_eq!(
            until_it_waits(&Pacing::new(Policy::default()), "db", WallMs(0)),
            100
        );
    }

    #[test]
    fn a_clock_that_is_put_back_keeps_nothing_waiting() {
        let pacing = pacing(12);
        until_it_waits(&pacing, "db", WallMs(100 * MINUTE_MS));
        assert_eq!(pacing.due(WallMs(0), 9), [path("db")]);
        // Nor does it wait again when it is looked at.
        assert!(pacing.may_store(&path("db"), WallMs(100 * MINUTE_MS), WallMs(0)));
        pacing.stored(&path("db"), 1, WallMs(0));
        assert!(!pacing.may_store(&path("db"), WallMs(0), WallMs(0)));
        assert_eq!(pacing.waiting(), (1, Some(WallMs(5 * MINUTE_MS))));
    }

    #[test]
    fn what_does_not_fit_is_stored_at_once() {
        let pacing = pacing(12);
        until_it_waits(&pacing, "db", WallMs(0));
        for i in 0..WAITING_MAX {
            pacing.wait_on(path(&format!("f{i}")), WallMs(1));
        }
        let (waiting, _) = pacing.waiting();
        // One that waits already goes on waiting.
        assert!(!pacing.may_store(&path("db"), WallMs(0), WallMs(0)));
        pacing.forget(&path("db"));
        assert!(pacing.may_store(&path("db"), WallMs(0), WallMs(0)));
        assert_eq!(waiting, WAITING_MAX as u64 + 1);
        for i in 0..BOOK_MAX + 5 {
            let file = path(&format!("f{i}"));
            assert!(pacing.may_store(&file, WallMs(0), WallMs(0)));
            pacing.stored(&file, 1, WallMs(0));
        }
        assert_eq!(pacing.state().book.len(), BOOK_MAX);
    }

    #[test]
    fn first_versions_take_no_place_of_files_that_change() {
        let pacing = pacing(12);
        for i in 0..BOOK_MAX + 5 {
            pacing.stored(&path(&format!("f{i}")), 1, WallMs(0));
        }
        assert_eq!(pacing.state().book.len(), 0);
        assert_eq!(until_it_waits(&pacing, "db", WallMs(0)), 6);
    }
}
