//! What the guard keeps of one source: its baseline, its holds, and what was marked lately.

use super::baseline::Baseline;
use super::bursts::Bursts;
use super::counts::Lacks;
use super::fall::fall_max;
use super::hold::{DeletionHold, HoldCause};
use crate::types::RelKey;
use serde::{Deserialize, Serialize};

/// Marked files whose index record may not be gone yet: one for each worker, and as many
/// for which the index has failed.
const UNFORGOTTEN_MAX: usize = 256;

/// The time now, milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// By this computer's clock.
    pub here_ms: i64,
    /// By the server's.
    pub server_ms: i64,
}

/// What the guard remembers of one source, and what it holds back there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardState {
    /// What the number of files is measured by.
    #[serde(flatten)]
    pub baseline: Baseline,
    /// What is held back and why; one for each cause (and mounted folder).
    pub holds: Vec<DeletionHold>,
    /// Gone files that somebody has confirmed, and that wait to be marked.
    #[serde(default)]
    pub accepted: u64,
    /// Holds that the owner was told of and that have ended by themselves.
    pub ended: Vec<DeletionHold>,
    /// The deletions of the last minutes.
    #[serde(default)]
    pub bursts: Bursts,
    /// Files that are counted as marked and may still be in the index: after a kill they
    /// must not be counted again. At most [`UNFORGOTTEN_MAX`].
    #[serde(default, rename = "unsettled")]
    pub unforgotten: Vec<RelKey>,
}

impl GuardState {
    /// The baseline without what is known to be on a disk that is not mounted.
    pub fn expected(&self) -> u64 {
        self.baseline.files.saturating_sub(self.unmounted_files())
    }

    /// Known files on disks that are not mounted.
    fn unmounted_files(&self) -> u64 {
        let files = self.holds.iter().map(|hold| match hold.cause {
            HoldCause::Unmounted { .. } => hold.files,
            _ => 0,
        });
        files.sum()
    }

    /// How many files are missing when so many are there.
    pub fn missing(&self, on_disk: u64) -> u64 {
        self.expected().saturating_sub(on_disk)
    }

    /// True when so few files are there that their deletions are not believed.
    pub fn has_fallen(&self, on_disk: u64) -> bool {
        self.missing(on_disk) > fall_max(self.expected())
    }

    /// How many deletions may be marked, while so many files are there, before the files
    /// must be counted again. This is safe whatever comes and goes meanwhile: each
    /// deletion takes away one file at most. (As many may come as go: a renamed folder
    /// leaves the number as it was.)
    pub fn allowance(&self, on_disk: u64) -> u64 {
        (on_disk + fall_max(self.expected())).saturating_sub(self.expected())
    }

    /// The hold that covers a deletion at this key.
    pub fn held(&self, key: &RelKey) -> Option<&DeletionHold> {
        self.holds.iter().find(|hold| hold.cause.covers(key))
    }

    /// Whether deletions are held back for exactly this cause.
    pub fn holds_for(&self, cause: &HoldCause) -> bool {
        self.holds.iter().any(|hold| hold.cause == *cause)
    }

    /// Whether disks have come or gone so that a scan is needed. `before` is what was
    /// lost at the last look: one change asks once, or a disk below which nothing is
    /// known would have the source scanned for ever.
    pub fn wants_scan(&self, before: &[RelKey], lost: &[RelKey]) -> bool {
        let is_held = |lost: &RelKey| {
            let folder = lost.clone();
            self.holds_for(&HoldCause::Unmounted { folder })
        };
        before != lost && (lost.iter().any(|lost| !is_held(lost)) || self.misses_no_more(lost))
    }

    /// Whether a hold stands for a disk that is mounted again.
    pub fn misses_no_more(&self, lost: &[RelKey]) -> bool {
        self.holds.iter().any(|hold| match &hold.cause {
            HoldCause::Unmounted { folder } => !lost.contains(folder),
            _ => false,
        })
    }

    /// The index knows so many files: they were there, though no scan has seen them yet.
    pub fn raise(&mut self, known: u64, now_ms: i64) {
        // The index knows a confirmed file until it is marked.
        let were = known.saturating_sub(self.accepted);
        self.baseline.raise(were, now_ms);
    }

    /// A deletion was granted. `before_ms` is the server's time, which its marker comes
    /// after.
    pub fn granted(&mut self, before_ms: i64, now_ms: i64) {
        if self.accepted == 0 {
            self.bursts.granted(before_ms, now_ms);
        }
    }

    /// The bucket has taken the marker of a file or link. One that was `renamed` is not
    /// lost.
    pub fn marked(&mut self, key: &RelKey, renamed: bool) {
        if self.accepted > 0 || renamed {
            return;
        }
        self.bursts.marked();
        if self.unforgotten.len() >= UNFORGOTTEN_MAX {
            self.unforgotten.remove(0);
        }
        self.unforgotten.push(key.clone());
        // It was granted before these began.
        let covering = self.holds.iter_mut().filter(|hold| hold.cause.covers(key));
        for hold in covering {
            hold.marked += 1;
        }
    }

    /// The index has forgotten a file that is gone. Only now: while it knows the file, a
    /// confirmed one must not count as there ([`GuardState::raise`]).
    pub fn forgotten(&mut self, key: &RelKey) {
        self.accepted = self.accepted.saturating_sub(1);
        self.unforgotten.retain(|known| known != key);
    }

    /// Forget deletions that no loss can go on from; true when there were any.
    pub fn forget_bursts(&mut self, now_ms: i64) -> bool {
        let are_over = self.bursts.are_over(now_ms);
        if are_over {
            self.bursts.clear();
            self.unforgotten.clear();
        }
        are_over
    }

    /// Hold back from now on; true when that is new.
    pub fn hold(&mut self, cause: HoldCause, files: u64, of: u64, now: Now) -> bool {
        let mut standing = self.holds.iter_mut();
        if let Some(hold) = standing.find(|hold| hold.cause.is_same(&cause)) {
            hold.files = files;
            hold.of = of;
            return false;
        }
        // Of trouble that comes and goes, only the newest end is told.
        self.ended.retain(|hold| !hold.cause.is_same(&cause));
        self.holds.push(DeletionHold {
            cause,
            since_ms: now.here_ms,
            files,
            of,
            marked: 0,
            found_marked: 0,
            moment_ms: now.server_ms,
            told: 0,
            told_ms: 0,
        });
        true
    }

    /// Hold all deletions back; true when that is new.
    pub fn hold_all(&mut self, cause: HoldCause, now: Now) -> bool {
        let files = self.baseline.files;
        self.hold(cause, files, files, now)
    }

    /// Most files are missing; some may have been marked before it was too much.
    pub fn hold_fall(&mut self, missing: u64, of: u64, now: Now) -> bool {
        let loss = self.bursts.loss(now.here_ms);
        let is_new = self.hold(HoldCause::Fall, missing, of, now);
        let newest = self.holds.last_mut().filter(|_| is_new);
        if let (Some(hold), Some((before_ms, marked))) = (newest, loss) {
            hold.moment_ms = before_ms;
            hold.marked = marked;
        }
        is_new
    }

    /// All that was saved before is stored by now: this is the moment that the alerts
    /// name. Where another folder's files have come meanwhile, it is the moment before
    /// them.
    pub fn settle_moments(&mut self, server_ms: i64) {
        let mut holds = self.holds.iter();
        let other = holds.find(|hold| hold.cause == HoldCause::OtherRoot);
        let moment_ms = other.map_or(server_ms, |other| other.moment_ms);
        let untold = self.holds.iter_mut().filter(|hold| hold.told == 0);
        for hold in untold.filter(|hold| hold.may_move()) {
            hold.moment_ms = moment_ms;
        }
    }

    /// A fall that the owner has not heard of yet.
    pub fn has_untold_fall(&self) -> bool {
        let is_it = |hold: &DeletionHold| hold.told == 0 && hold.cause == HoldCause::Fall;
        self.holds.iter().any(is_it)
    }

    /// What the owner is told of a fall was counted file by file. What began the hold
    /// goes by numbers alone: new files beside the missing ones make them seem fewer.
    pub fn counted(&mut self, lacks: Lacks) {
        // The first are told by themselves; the others count as marked already.
        let apart = self.unmounted_files() + self.unforgotten.len() as u64;
        let (files, of) = (
            lacks.files.saturating_sub(apart),
            lacks.of.saturating_sub(apart),
        );
        if files == 0 {
            // All of them are back: the next scan ends the hold.
            return;
        }
        let untold = |hold: &&mut DeletionHold| hold.told == 0 && hold.cause == HoldCause::Fall;
        for hold in self.holds.iter_mut().filter(untold) {
            // The index still has those that only the bucket's list shows as marked.
            hold.files = files.saturating_add(hold.marked);
            hold.of = of.saturating_add(hold.marked);
        }
    }

    /// The owner was told that a hold stands, or (`is_over`) that it has ended.
    pub fn told(&mut self, told: DeletionHold, is_over: bool, now_ms: i64) {
        if is_over {
            self.ended.retain(|hold| *hold != told);
            return;
        }
        let standing = self
            .holds
            .iter_mut()
            .find(|hold| hold.cause.is_same(&told.cause) && hold.since_ms == told.since_ms);
        match standing {
            Some(hold) => {
                hold.told = hold.told.saturating_add(1);
                hold.told_ms = now_ms;
            }
            // It has ended while it was being told: its end is owed, too.
            None => self.ended.push(DeletionHold { told: 1, ..told }),
        }
    }

    /// End the holds whose cause is gone.
    pub(super) fn end(&mut self, is_over: impl Fn(&HoldCause) -> bool) {
        let (over, stands): (Vec<_>, Vec<_>) = std::mem::take(&mut self.holds)
            .into_iter()
            .partition(|hold| is_over(&hold.cause));
        self.holds = stands;
        // Nobody needs to hear the end of what was never told.
        self.ended
            .extend(over.into_iter().filter(|hold| hold.told > 0));
    }
}
