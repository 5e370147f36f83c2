//! What a scan of a whole source begins, ends or changes.

use super::counts::Scanned;
use super::fall::{BACK_SHARE, FALL_MIN, SWAP_MS, nothing_like_it};
use super::hold::HoldCause;
use super::state::{GuardState, Now};

impl GuardState {
    /// Take in what a scan of the whole source found, and decide what is held back from
    /// now on. True when a new hold has begun.
    pub fn take_in(&mut self, found: &Scanned, now: Now) -> bool {
        let mut is_new = self.take_in_mounts(found, now);
        // The root could be scanned, so it is there.
        self.end(|cause| *cause == HoldCause::Away);
        is_new |= if found.other_root {
            self.hold(HoldCause::OtherRoot, found.gone, found.known, now)
        } else {
            self.end(|cause| *cause == HoldCause::OtherRoot);
            self.take_in_fall(found, now)
        };
        if let Some(absent) = found.absent {
            let is_meant =
                |cause: &HoldCause| matches!(cause, HoldCause::Fall | HoldCause::OtherRoot);
            for hold in self.holds.iter_mut().filter(|hold| is_meant(&hold.cause)) {
                hold.found_marked = absent;
            }
        }
        if found.complete {
            self.accepted = self.accepted.min(found.gone);
        }
        if !self.holds_for(&HoldCause::Fall) && !found.other_root {
            if found.complete {
                self.baseline.learn(found, now.here_ms);
            } else {
                self.baseline.grow(found, now.here_ms);
            }
        }
        is_new
    }

    fn take_in_mounts(&mut self, found: &Scanned, now: Now) -> bool {
        let mut is_new = false;
        for (folder, files) in found.lost.iter().filter(|(_, files)| *files > 0) {
            let folder = folder.clone();
            is_new |= self.hold(HoldCause::Unmounted { folder }, *files, *files, now);
        }
        self.end(|cause| match cause {
            HoldCause::Unmounted { folder } => {
                let lost = found.lost.iter().find(|(lost, _)| lost == folder);
                // What is mounted again is proven, whatever could not be read.
                lost.is_none_or(|(_, files)| found.complete && *files == 0)
            }
            _ => false,
        });
        is_new
    }

    fn take_in_fall(&mut self, found: &Scanned, now: Now) -> bool {
        if self.is_fall(found) || self.is_fall_still(found, now.here_ms) {
            // Some may have been marked before it was too much.
            let files = found.gone.max(self.missing(found.on_disk));
            let of = found.known.max(self.expected());
            return self.hold_fall(files, of, now);
        }
        if found.complete {
            // What is told at its end is about what is still missing.
            let fall = |cause: &HoldCause| *cause == HoldCause::Fall;
            for hold in self.holds.iter_mut().filter(|hold| fall(&hold.cause)) {
                hold.files = found.gone;
            }
            self.end(fall);
        }
        false
    }

    /// Whether what the scan found may be held back as a fall, now or still. Then the
    /// files are counted again, and old names of files that are there are told apart.
    pub fn may_be_fall(&self, found: &Scanned) -> bool {
        let stands = self.holds_for(&HoldCause::Fall);
        found.gone > 0 && stands || self.has_fallen(found.on_disk) || self.is_fall(found)
    }

    /// What is gone is not believed. A confirmation lowered the baseline, and the index
    /// goes on knowing what the workers have not marked yet.
    fn is_fall(&self, found: &Scanned) -> bool {
        let unconfirmed = found.gone > self.accepted;
        found.gone > 0
            && (self.has_fallen(found.on_disk)
                || unconfirmed && nothing_like_it(found.gone, found.known, found.on_disk))
    }

    /// What had fallen is not back yet.
    fn is_fall_still(&self, found: &Scanned, now_ms: i64) -> bool {
        let mut holds = self.holds.iter();
        let Some(hold) = holds.find(|hold| hold.cause == HoldCause::Fall) else {
            return false;
        };
        let age_ms = now_ms.saturating_sub(hold.since_ms);
        let is_in_time = (0..=SWAP_MS).contains(&age_ms);
        // Once the owner was told that nothing is marked, only the files end it.
        let swapped = hold.told == 0 && is_in_time && self.missing(found.on_disk) == 0;
        found.gone > FALL_MIN.max(found.known / BACK_SHARE) && !swapped
    }

    /// Somebody has said that everything which is missing was really deleted: what this
    /// scan found is how it shall be.
    pub fn confirm(&mut self, found: &Scanned, now_ms: i64) {
        self.holds.clear();
        self.ended.clear();
        self.bursts.clear();
        self.baseline.files = 0;
        self.accepted = found.gone;
        let found = Scanned {
            lost: Vec::new(),
            ..found.clone()
        };
        self.baseline.learn(&found, now_ms);
    }
}
