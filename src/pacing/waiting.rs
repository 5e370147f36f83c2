//! Files that change all the time wait for their next version, and are brought
//! back when it is due.
//!
//! Invariants: a path that waits is known here until it is in the queue again;
//! what does not fit is stored at once; nothing waits longer than its source's
//! settings say, nor beyond a stop that has time. A kill forgets what waits: the
//! next start's scan finds it, and stores it at once.

use super::costly::{Costly, Tally};
use super::policy::{Paid, Policy};
use crate::types::RelPath;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeSet, HashMap};

/// Files whose recent versions are remembered: some 4 MB. Files that change all
/// the time are few; beyond that they are stored each time.
const BOOK_MAX: usize = 20_000;

/// Paths that wait at a time, some 4 MB; further ones are stored at once.
const WAITING_MAX: usize = 10_000;

type At = (usize, RelPath);

#[derive(Default)]
struct State {
    policies: Vec<Policy>,
    book: HashMap<At, Paid>,
    waiting: HashMap<At, i64>,
    by_due: BTreeSet<(i64, At)>,
    /// Asked for by reconciliations, and for good at a stop.
    free: usize,
    tallies: Vec<Tally>,
}

/// What waits for its next version, and what that costs.
pub struct Pacing(Mutex<State>);

/// While it lives, nothing waits.
pub struct Free<'a>(&'a Pacing);

impl Pacing {
    /// One policy per source.
    pub fn new(policies: Vec<Policy>) -> Self {
        Self(Mutex::new(State {
            tallies: vec![Tally::default(); policies.len()],
            policies,
            ..State::default()
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in it can be half changed in a way that matters.
        self.0.lock()
    }

    /// Whether a new version of this path may be stored now; if not, the path
    /// waits here. `stored_ms` is when the last one was stored.
    pub fn may_store(&self, source: usize, path: &RelPath, stored_ms: i64, now_ms: i64) -> bool {
        let mut state = self.state();
        let at = (source, path.clone());
        let policy = state.policies.get(source).copied().unwrap_or_default();
        let paid = state.book.get(&at).copied();
        let due_ms = policy.due_ms(paid, stored_ms, now_ms);
        let has_room = state.waiting.len() < WAITING_MAX || state.waiting.contains_key(&at);
        state.forget(&at);
        if due_ms <= now_ms || state.free > 0 || !has_room {
            if policy.per_hour_max > 0 && paid.is_none() {
                state.book(at, Paid(now_ms), now_ms);
            }
            return true;
        }
        state.wait(at, due_ms);
        false
    }

    /// A version of this file was stored. It counts if [`Pacing::may_store`] was
    /// asked: nobody asks for a first version, and of those a first backup has
    /// more than can be remembered.
    pub fn stored(&self, source: usize, path: &RelPath, stored_bytes: u64, now_ms: i64) {
        let mut state = self.state();
        if let Some(tally) = state.tallies.get_mut(source) {
            tally.add(path, stored_bytes, now_ms);
        }
        let policy = state.policies.get(source).copied().unwrap_or_default();
        if let Some(paid) = state.book.get_mut(&(source, path.clone())) {
            *paid = policy.stored(Some(*paid), now_ms);
        }
    }

    /// What belongs to this file was stored, and the file itself was not: that counts
    /// as one of its versions.
    pub fn stored_beside(&self, source: usize, path: &RelPath, now_ms: i64) {
        let mut state = self.state();
        let policy = state.policies.get(source).copied().unwrap_or_default();
        if let Some(paid) = state.book.get_mut(&(source, path.clone())) {
            *paid = policy.stored(Some(*paid), now_ms);
        }
    }

    /// It need not wait any more: it is gone, or as it was stored.
    pub fn forget(&self, source: usize, path: &RelPath) {
        let mut state = self.state();
        if !state.waiting.is_empty() {
            state.forget(&(source, path.clone()));
        }
    }

    /// Up to `max` paths whose time has come; they do not wait any more.
    pub fn due(&self, now_ms: i64, max: usize) -> Vec<At> {
        let mut state = self.state();
        let most_ms = state.policies.iter().map(|p| p.wait_max_ms()).max();
        // Farther away than anything can be: the clock has been put back.
        let far_ms = now_ms.saturating_add(most_ms.unwrap_or(0));
        let early = state.by_due.iter().take_while(|(due, _)| *due <= now_ms);
        let late = state
            .by_due
            .iter()
            .rev()
            .take_while(|(due, _)| *due > far_ms);
        let due: Vec<At> = early
            .chain(late)
            .take(max)
            .map(|(_, at)| at.clone())
            .collect();
        due.iter().for_each(|at| state.forget(at));
        due
    }

    /// There was no room for it in the queue.
    pub fn wait_on(&self, at: At, now_ms: i64) {
        self.state().wait(at, now_ms);
    }

    /// How many paths of a source wait, and until when at most.
    pub fn waiting(&self, source: usize) -> (u64, Option<i64>) {
        let state = self.state();
        let own = state.waiting.iter().filter(|((s, _), _)| *s == source);
        own.fold((0, None), |(count, last), (_, due)| {
            (count + 1, last.max(Some(*due)))
        })
    }

    /// Let nothing wait as long as the answer lives. What waits is not brought
    /// back by that: a scan finds it.
    pub fn free(&self) -> Free<'_> {
        self.state().free += 1;
        Free(self)
    }

    /// Let nothing wait any more: this run ends. Says what has waited.
    pub fn end(&self) -> Vec<At> {
        let mut state = self.state();
        state.free += 1;
        state.by_due.clear();
        state.waiting.drain().map(|(at, _)| at).collect()
    }

    /// The files of a source that cost most since the last digest.
    pub fn costliest(&self, source: usize, most: usize) -> Vec<Costly> {
        let state = self.state();
        let tally = state.tallies.get(source);
        tally.map_or_else(Vec::new, |tally| tally.costliest(most))
    }

    /// Work on a source's tally.
    pub fn with_tally<T>(&self, source: usize, work: impl FnOnce(&mut Tally) -> T) -> Option<T> {
        self.state().tallies.get_mut(source).map(work)
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
    fn book(&mut self, at: At, paid: Paid, now_ms: i64) {
        if self.book.len() >= BOOK_MAX {
            self.book.retain(|_, paid| !paid.is_over(now_ms));
        }
        if self.book.len() < BOOK_MAX {
            self.book.insert(at, paid);
        }
    }

    fn forget(&mut self, at: &At) {
        if let Some((at, due_ms)) = self.waiting.remove_entry(at) {
            self.by_due.remove(&(due_ms, at));
        }
    }

    fn wait(&mut self, at: At, due_ms: i64) {
        self.forget(&at);
        self.by_due.insert((due_ms, at.clone()));
        self.waiting.insert(at, due_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: i64 = 60_000;

    fn pacing(per_hour_max: u32) -> Pacing {
        Pacing::new(vec![Policy {
            min_interval_ms: 0,
            per_hour_max,
        }])
    }

    fn path(text: &str) -> RelPath {
        RelPath::from_bytes(text).unwrap()
    }

    /// Save it as often as it may be.
    fn until_it_waits(pacing: &Pacing, name: &str, now_ms: i64) -> u32 {
        for stored in 0..100 {
            if !pacing.may_store(0, &path(name), now_ms, now_ms) {
                return stored;
            }
            pacing.stored(0, &path(name), 1, now_ms);
        }
        100
    }

    #[test]
    fn what_waits_comes_back_when_it_is_due() {
        let pacing = pacing(12);
        assert_eq!(until_it_waits(&pacing, "db", 0), 6);
        assert_eq!(until_it_waits(&pacing, "letter", 0), 6);
        assert_eq!(pacing.waiting(0), (2, Some(5 * MINUTE_MS)));
        assert_eq!(pacing.due(5 * MINUTE_MS - 1, 9), []);
        pacing.forget(0, &path("letter"));
        assert_eq!(pacing.due(5 * MINUTE_MS, 9), [(0, path("db"))]);
        assert_eq!(pacing.waiting(0), (0, None));
        pacing.wait_on((0, path("db")), 5 * MINUTE_MS);
        assert_eq!(pacing.due(5 * MINUTE_MS, 9).len(), 1);
        assert!(pacing.may_store(0, &path("db"), 0, 5 * MINUTE_MS));
    }

    #[test]
    fn nothing_waits_while_it_is_free_and_after_the_end() {
        let pacing = pacing(12);
        until_it_waits(&pacing, "db", 0);
        {
            let _free = pacing.free();
            assert!(pacing.may_store(0, &path("db"), 0, 0));
        }
        assert!(!pacing.may_store(0, &path("db"), 0, 0));
        assert_eq!(pacing.end(), [(0, path("db"))]);
        assert!(pacing.may_store(0, &path("db"), 0, 0));
        assert_eq!(
            until_it_waits(&Pacing::new(vec![Policy::default()]), "db", 0),
            100
        );
    }

    #[test]
    fn a_clock_that_is_put_back_keeps_nothing_waiting() {
        let pacing = pacing(12);
        until_it_waits(&pacing, "db", 100 * MINUTE_MS);
        assert_eq!(pacing.due(0, 9), [(0, path("db"))]);
        // Nor does it wait again when it is looked at.
        assert!(pacing.may_store(0, &path("db"), 100 * MINUTE_MS, 0));
        pacing.stored(0, &path("db"), 1, 0);
        assert!(!pacing.may_store(0, &path("db"), 0, 0));
        assert_eq!(pacing.waiting(0), (1, Some(5 * MINUTE_MS)));
    }

    #[test]
    fn what_does_not_fit_is_stored_at_once() {
        let pacing = pacing(12);
        until_it_waits(&pacing, "db", 0);
        for i in 0..WAITING_MAX {
            pacing.wait_on((0, path(&format!("f{i}"))), 1);
        }
        let (waiting, _) = pacing.waiting(0);
        // One that waits already goes on waiting.
        assert!(!pacing.may_store(0, &path("db"), 0, 0));
        pacing.forget(0, &path("db"));
        assert!(pacing.may_store(0, &path("db"), 0, 0));
        assert_eq!(waiting, WAITING_MAX as u64 + 1);
        for i in 0..BOOK_MAX + 5 {
            let file = path(&format!("f{i}"));
            assert!(pacing.may_store(0, &file, 0, 0));
            pacing.stored(0, &file, 1, 0);
        }
        assert_eq!(pacing.state().book.len(), BOOK_MAX);
    }

    #[test]
    fn first_versions_take_no_place_of_files_that_change() {
        let pacing = pacing(12);
        for i in 0..BOOK_MAX + 5 {
            pacing.stored(0, &path(&format!("f{i}")), 1, 0);
        }
        assert_eq!(pacing.state().book.len(), 0);
        assert_eq!(until_it_waits(&pacing, "db", 0), 6);
    }
}
