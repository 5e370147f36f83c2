//! Decides which version of each key was current at a moment, from a listing alone, and
//! reports where the listing alone cannot say.
//!
//! Pure. It keeps a bounded number of versions of one key, however many there are.

use super::state_time::{
    is_in_parts, is_whole_second, is_within_its_second, may_have_been, was_by,
};
use super::written_order::{Belief, WrittenTime, beliefs};
use crate::s3::{LATE_MAX, ListedVersion};
use crate::types::WallMs;
use std::collections::VecDeque;

/// Versions on each side of the moment whose times are compared with each other. A clock
/// that was wrong for more of them in a row is believed.
const BESIDE_MAX: usize = 64;

/// Versions within one second whose metadata is asked for, to find the last one.
const WITHIN_MAX: usize = 8;

/// What is known of one key from the listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Stored by then, and current unless another one was; `None` when there was nothing,
    /// or a deletion.
    pub(crate) by_then: Option<ListedVersion>,
    /// Stored after the moment or at about it, newest first. The first one whose metadata
    /// says that the file was so by then is the one.
    pub(crate) undecided: Vec<Undecided>,
    /// What was stored before `by_then`, and again after it: if that came late, this
    /// is the one.
    pub(crate) previous: Option<ListedVersion>,
    /// It cannot be decided; the rest is empty.
    pub(crate) doubt: Option<TimesInDoubt>,
}

/// Versions whose times do not say whether they had been written by the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TimesInDoubt {
    /// The newest first; there is one.
    pub(crate) versions: Vec<ListedVersion>,
    /// When the version before them was stored, if there was one.
    pub(crate) since_ms: Option<WallMs>,
}

/// A version whose metadata decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Undecided {
    pub(crate) version: ListedVersion,
    /// When the version or deletion before it was stored.
    before_ms: Option<WallMs>,
}

impl Undecided {
    /// Whether it was the file's state at the moment, given what its metadata says.
    pub(crate) fn was_current(&self, at_ms: WallMs, seen_ms: Option<WallMs>) -> bool {
        let stored_ms = self.version.modified_ms;
        let in_parts = is_in_parts(&self.version.etag);
        was_by(at_ms, stored_ms, seen_ms, in_parts, self.before_ms)
    }
}

/// Takes a listing in the order in which versions were written, the newest first
/// within each key.
#[derive(Debug, Default)]
pub(crate) struct VersionSelector {
    at_ms: Option<WallMs>,
    /// No version is from later than this.
    now_ms: WallMs,
    /// The server has times finer than a second, so a whole second is not a rounded time.
    is_exact: bool,
    key: Option<String>,
    decided: bool,
    /// Versions of this key, newest first: at most [`BESIDE_MAX`] from after the
    /// moment, and as many from the first one on that was stored by then.
    window: VecDeque<ListedVersion>,
    /// How many more are compared; `None` while all were stored after the moment.
    left: Option<usize>,
}

impl VersionSelector {
    /// What was current at a moment; `now_ms` is the server's time, or this computer's.
    pub(crate) fn new(at_ms: Option<WallMs>, now_ms: WallMs) -> Self {
        // A moment that has not come yet means: now.
        let now_ms = match at_ms {
            Some(at_ms) if at_ms > now_ms => WallMs::MAX,
            _ => now_ms,
        };
        Self {
            at_ms,
            now_ms,
            ..Self::default()
        }
    }

    /// Take the next version of the listing. Gives what is known of the previous key, when
    /// that ended undecided, and of its own key.
    pub(crate) fn push(&mut self, version: ListedVersion) -> [Option<Candidate>; 2] {
        let ended = match self.key.as_deref() == Some(version.key.as_str()) {
            true => None,
            false => {
                let ended = self.end();
                self.key = Some(version.key.clone());
                self.decided = false;
                ended
            }
        };
        self.is_exact |= !is_whole_second(version.modified_ms);
        if self.decided {
            return [ended, None];
        }
        let Some(at_ms) = self.at_ms else {
            self.decided = true;
            let by_then = (!version.is_marker).then_some(version);
            return [ended, some(by_then, Vec::new())];
        };
        match &mut self.left {
            Some(left) => *left -= 1,
            None if !is_after(&version, at_ms, self.is_exact) => self.left = Some(BESIDE_MAX),
            None if self.window.len() == BESIDE_MAX => {
                self.window.pop_front();
            }
            None => {}
        }
        self.window.push_back(version);
        if self.left != Some(0) {
            return [ended, None];
        }
        self.decided = true;
        [ended, self.decide(at_ms)]
    }

    /// The listing has ended, or a new key begins: what is known of the last one.
    pub(crate) fn end(&mut self) -> Option<Candidate> {
        let at_ms = self.at_ms?;
        match self.decided {
            true => None,
            false => self.decide(at_ms),
        }
    }

    fn decide(&mut self, at_ms: WallMs) -> Option<Candidate> {
        let is_cut = self.left.take() == Some(0);
        let versions: Vec<ListedVersion> = std::mem::take(&mut self.window).into();
        let stamps: Vec<WrittenTime> = versions.iter().map(stamp).collect();
        let beliefs = beliefs(&stamps, self.now_ms);
        let is_right = |at: &usize| beliefs[*at] == Belief::Right;
        let is_after = |at: usize| is_after(&versions[at], at_ms, self.is_exact);
        let base = (0..versions.len()).find(|at| is_right(at) && !is_after(*at));
        // What stands between it and the next right one may be of the moment, too.
        let end = base.unwrap_or(versions.len());
        let next = (0..end).rev().find(is_right);
        let between = next.map_or(0, |next| next + 1)..end;
        let mut by_then = base;
        if !between.is_empty() {
            // Once the moment is past every time that anybody claims, the order decides.
            let is_past = |at: usize| beliefs[at] == Belief::Unknown && !is_after(at);
            if !between.clone().all(is_past) {
                let before = base.map(|at| &versions[at]);
                let before = before.filter(|version| !version.is_marker);
                return in_doubt(&versions[between], before.map(|v| v.modified_ms));
            }
            by_then = Some(between.start);
        } else if base.is_none() && is_cut {
            return in_doubt(&versions, None);
        }
        let undecided = undecided(
            &versions[..by_then.unwrap_or(end)],
            by_then.map(|at| &versions[at]),
            at_ms,
        );
        let previous = by_then.and_then(|at| previous(&versions, at)).cloned();
        let by_then = by_then.map(|at| versions[at].clone());
        // If a delete marker was current, there was no file.
        let by_then = by_then.filter(|version| !version.is_marker);
        let candidate = some(by_then, undecided);
        candidate.map(|candidate| Candidate {
            previous,
            ..candidate
        })
    }
}

fn stamp(version: &ListedVersion) -> WrittenTime {
    WrittenTime {
        stored_ms: version.modified_ms,
        in_parts: is_in_parts(&version.etag),
    }
}

/// Whether it may have been stored after the moment. Times that are exact are not
/// rounded.
fn is_after(version: &ListedVersion, at_ms: WallMs, is_exact: bool) -> bool {
    let stored_ms = version.modified_ms;
    stored_ms > at_ms || (!is_exact && is_within_its_second(at_ms, stored_ms))
}

/// What the file may have been instead of `versions[at]` (newest first). A request of
/// a run that was cut off can arrive after those of the next run; within [`LATE_MAX`]
/// that looks again, and stores anew what it had stored. So does everybody who takes
/// a change back: the metadata tells them apart. An upload in parts says when it
/// began, which may be days before, and is never taken for one that came late.
fn previous(versions: &[ListedVersion], at: usize) -> Option<&ListedVersion> {
    let (again, late) = (versions.get(at.checked_sub(1)?)?, versions.get(at)?);
    let previous = versions.get(at + 1)?;
    let all = [again, late, previous];
    let is_one_piece = |version: &ListedVersion| !version.is_marker && !is_in_parts(&version.etag);
    let late_ms = i64::try_from(LATE_MAX.as_millis()).unwrap_or(i64::MAX);
    let is_soon = late.modified_ms - previous.modified_ms <= late_ms;
    let is_same = again.etag == previous.etag && late.etag != previous.etag;
    (all.into_iter().all(is_one_piece) && is_soon && is_same).then_some(previous)
}

/// Of those after the moment (newest first; `before` was stored before them) only
/// the first can have been read before it: each is read after the one before it is
/// stored. Beside it those of the moment's own second.
fn undecided(
    after: &[ListedVersion],
    before: Option<&ListedVersion>,
    at_ms: WallMs,
) -> Vec<Undecided> {
    let mut found = Vec::new();
    let mut before_ms = before.map(|before| before.modified_ms);
    for version in after.iter().rev() {
        let is_within = version.modified_ms <= at_ms;
        let in_parts = is_in_parts(&version.etag);
        let may_have_been = is_within || may_have_been(at_ms, version.modified_ms, in_parts);
        // A deletion of that second has nothing that could be asked: as long as
        // nobody knows that it had come, the file was there.
        if !version.is_marker && may_have_been && found.len() < WITHIN_MAX {
            found.push(Undecided {
                version: version.clone(),
                before_ms,
            });
        }
        if !is_within {
            break;
        }
        before_ms = Some(version.modified_ms);
    }
    found.reverse();
    found
}

fn some(by_then: Option<ListedVersion>, undecided: Vec<Undecided>) -> Option<Candidate> {
    let is_some = by_then.is_some() || !undecided.is_empty();
    is_some.then_some(Candidate {
        by_then,
        undecided,
        ..Candidate::default()
    })
}

fn in_doubt(versions: &[ListedVersion], since_ms: Option<WallMs>) -> Option<Candidate> {
    Some(Candidate {
        doubt: Some(TimesInDoubt {
            versions: versions.to_vec(),
            since_ms,
        }),
        ..Candidate::default()
    })
}

#[cfg(test)]
#[path = "version_selector_tests.rs"]
mod tests;
