//! When a fall in the number of files, another root or a missing disk is not
//! taken for deletions.
//!
//! Pure: the tasks count, look and persist; this decides. Invariant: when in
//! doubt a deletion is held back, never granted; what is held stays known and
//! is found again by the next scan, so holding loses nothing.

use crate::types::{RelKey, WallMs};
use serde::{Deserialize, Serialize};

/// So many files may always go: tidying up a small folder is no accident.
pub const FALL_MIN: u64 = 10;

/// One file in so many may go beyond [`FALL_MIN`]: half of what was there.
pub const FALL_SHARE: u64 = 2;

/// A fall is over when at most one known file in so many is still missing (or
/// [`FALL_MIN`]): whoever puts files back is not done when half of them are.
pub const BACK_SHARE: u64 = 20;

/// Or when, before the owner is told and within this time of its beginning, as many
/// files are there as before: a program that replaces files by others (a folder
/// renamed by copying) is done by then. Later, new work may have made up the
/// number, and who was told that nothing is marked must be able to rely on it.
pub const SWAP_MS: i64 = 60 * 60 * 1_000;

/// A baseline is lowered only when it is as old as this. Scans come whenever in
/// doubt, also in the middle of a long `rm -rf`: if each of them lowered it, the
/// source would go by halves. A little less than the daily scan's period.
pub const BASELINE_STANDS_MS: i64 = 20 * 60 * 60 * 1_000;

/// Mounted folders remembered per source: an office computer has a handful;
/// files below further ones are guarded by the share rule alone.
pub const MOUNTS_MAX: usize = 64;

/// Time between an alert and its reminder: once a day is what people still read.
pub const REMIND_MS: i64 = 24 * 60 * 60 * 1_000;

/// Alerts and reminders of one hold; the digest and `status` go on saying it.
pub const TOLD_MAX: u32 = 14;

/// Deletions marked with no longer pause between two than this are one burst.
pub const BURST_PAUSE_MS: i64 = 60 * 1_000;

/// Large bursts with no longer pause between two than this are one loss: somebody
/// deletes folder by folder.
pub const LOSS_PAUSE_MS: i64 = 10 * 60 * 1_000;

/// Bursts remembered per source; of more, the two oldest become one.
const BURSTS_MAX: usize = 16;

/// Marked files whose index entry may not be gone yet: one for each worker, and as
/// many of which the index has failed.
const UNSETTLED_MAX: usize = 256;

/// Why deletions are held back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Why {
    /// Most of the files are gone.
    Fall,
    /// The folder is not the one that was backed up.
    OtherRoot,
    /// The folder is not there at all.
    Away,
    /// A disk that was mounted on this folder of the source is not any more.
    Unmounted {
        /// The folder's key.
        folder: RelKey,
    },
    /// Many files look encrypted.
    Encrypted {
        /// Just before the first of them, milliseconds since 1970.
        before_ms: WallMs,
        /// The ending that they were renamed to, when it is one and the same.
        ending: Option<String>,
        /// Most of them hold nothing any more.
        #[serde(default)]
        is_emptied: bool,
    },
}

impl Why {
    /// Whether a deletion at this key is held back for this reason.
    pub fn covers(&self, key: &RelKey) -> bool {
        match self {
            Self::Unmounted { folder } => is_below(key, folder),
            Self::Fall | Self::OtherRoot | Self::Away | Self::Encrypted { .. } => true,
        }
    }

    /// The same trouble, whatever its figures.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Encrypted { .. }, Self::Encrypted { .. }) => true,
            _ => self == other,
        }
    }
}

/// True for the folder itself and all that is in it.
pub fn is_below(key: &RelKey, folder: &RelKey) -> bool {
    key.as_str().starts_with(folder.as_str())
        || folder.as_str().strip_suffix('/') == Some(key.as_str())
}

/// Deletions that are held back until things are as before, or somebody says
/// that they are meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Why.
    #[serde(flatten)]
    pub why: Why,
    /// Since when, milliseconds since 1970.
    pub since_ms: WallMs,
    /// How many files it is about, as last counted.
    pub files: u64,
    /// Of how many.
    pub of: u64,
    /// How many of them this program has marked as deleted before it held.
    #[serde(default)]
    pub marked: u64,
    /// How many more the bucket has as deleted, as last compared with it: of their
    /// markers no answer came, or a kill took the note of it.
    #[serde(default)]
    pub found_marked: u64,
    /// A moment of the server's clock before the first of them was marked, or
    /// before anything else came of it; milliseconds since 1970, 0: unknown.
    #[serde(default)]
    pub moment_ms: WallMs,
    /// How often the owner has been told.
    pub told: u32,
    /// When last, milliseconds since 1970.
    pub told_ms: WallMs,
}

impl Hold {
    /// How many files are marked as deleted in the bucket because of it.
    pub fn marked_in_all(&self) -> u64 {
        self.marked.saturating_add(self.found_marked)
    }

    /// Nothing has come of it in the bucket, and nothing will: each later moment
    /// has more of what was saved before.
    pub fn may_move(&self) -> bool {
        let is_such = matches!(self.why, Why::Fall | Why::Unmounted { .. });
        is_such && self.moment_ms > WallMs::default() && self.marked_in_all() == 0
    }

    /// Whether an alert (`Some(false)`) or a reminder (`Some(true)`) is owed.
    pub fn owes(&self, now_ms: WallMs) -> Option<bool> {
        if self.told == 0 {
            return Some(false);
        }
        // A clock that was put back must not silence it.
        let waited_ms = (now_ms - self.told_ms).saturating_abs();
        (self.told < TOLD_MAX && waited_ms >= REMIND_MS).then_some(true)
    }
}

/// Deletions that were marked one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burst {
    /// A moment of the server's clock before the first of them, milliseconds since
    /// 1970.
    pub before_ms: WallMs,
    /// Files and links that the bucket has taken a marker for.
    pub marked: u64,
    /// When the last of them was let go, by this computer's clock.
    pub last_ms: WallMs,
}

/// What is remembered of one source's size, and what is held back there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brake {
    /// Files and links that a complete scan has seen, see [`BASELINE_STANDS_MS`].
    pub baseline: u64,
    /// When it saw them, milliseconds since 1970.
    pub baseline_ms: WallMs,
    /// Folders on which another disk is mounted; at most [`MOUNTS_MAX`].
    pub mounts: Vec<RelKey>,
    /// What is held back and why; one for each reason (and mounted folder).
    pub holds: Vec<Hold>,
    /// So many of the gone are confirmed, and wait to be marked.
    #[serde(default)]
    pub accepted: u64,
    /// Holds that the owner was told of and that have ended by themselves.
    pub ended: Vec<Hold>,
    /// The deletions of the last minutes, oldest first; at most [`BURSTS_MAX`].
    #[serde(default)]
    pub bursts: Vec<Burst>,
    /// Files that are counted as marked and may still stand in the index: after a
    /// kill they are not to be counted again. At most [`UNSETTLED_MAX`].
    #[serde(default)]
    pub unsettled: Vec<RelKey>,
}

/// What a scan of a whole source has found.
#[derive(Debug, Clone, Default)]
pub struct Scanned {
    /// Files and links on disk, or known and out of sight.
    pub on_disk: u64,
    /// Known and gone, except below lost mounts.
    pub gone: u64,
    /// Known, except below lost mounts.
    pub known: u64,
    /// Every folder could be read, and what is gone was looked for.
    pub complete: bool,
    /// The folder is not the one that was backed up.
    pub other_root: bool,
    /// Files of `gone` that the bucket has as deleted; `None` when it was not asked.
    pub absent: Option<u64>,
    /// Folders on which another disk is mounted.
    pub mounts: Vec<RelKey>,
    /// Known mounts that are not there any more, and how many known files below
    /// them are not either.
    pub lost: Vec<(RelKey, u64)>,
}

/// What is not on the disk of the files that are known, counted one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lacks {
    /// How many.
    pub files: u64,
    /// Of how many.
    pub of: u64,
}

/// The time now, milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// By this computer's clock.
    pub here_ms: WallMs,
    /// By the server's.
    pub server_ms: WallMs,
}

/// A clock that was put back must not pass for no time at all.
fn apart_ms(one_ms: WallMs, other_ms: WallMs) -> i64 {
    (one_ms - other_ms).saturating_abs()
}

impl Brake {
    /// How far the number of files may fall below the baseline.
    pub fn fall_max(&self) -> u64 {
        (self.expected() / FALL_SHARE).max(FALL_MIN)
    }

    /// The baseline without what is known to be on a disk that is not mounted.
    pub fn expected(&self) -> u64 {
        let away = self.holds.iter().map(|hold| match hold.why {
            Why::Unmounted { .. } => hold.files,
            _ => 0,
        });
        self.baseline.saturating_sub(away.sum())
    }

    /// How many files are missing when so many are there.
    pub fn missing(&self, on_disk: u64) -> u64 {
        self.expected().saturating_sub(on_disk)
    }

    /// True when so few files are there that their deletions are not believed.
    pub fn has_fallen(&self, on_disk: u64) -> bool {
        self.missing(on_disk) > self.fall_max()
    }

    /// How many deletions may be marked, while so many files are there, before
    /// somebody must count again. Sound whatever comes and goes meanwhile: each
    /// of them takes away one file at most. (As many may come as go: a renamed
    /// folder leaves the number as it was.)
    pub fn allowance(&self, on_disk: u64) -> u64 {
        (on_disk + self.fall_max()).saturating_sub(self.expected())
    }

    /// Why a deletion at this key may not be marked now.
    pub fn held(&self, key: &RelKey) -> Option<&Hold> {
        self.holds.iter().find(|hold| hold.why.covers(key))
    }

    /// Whether disks have come or gone so that somebody must scan. `before` is
    /// what was lost at the last look: one change asks once, or a disk below
    /// which nothing is known would have the source scanned for ever.
    pub fn wants_scan(&self, before: &[RelKey], lost: &[RelKey]) -> bool {
        let is_held = |lost: &RelKey| {
            let is_it =
                |hold: &Hold| matches!(&hold.why, Why::Unmounted { folder } if folder == lost);
            self.holds.iter().any(is_it)
        };
        before != lost && (lost.iter().any(|lost| !is_held(lost)) || self.misses_no_more(lost))
    }

    /// A hold stands for a disk that is there again.
    pub fn misses_no_more(&self, lost: &[RelKey]) -> bool {
        self.holds.iter().any(|hold| match &hold.why {
            Why::Unmounted { folder } => !lost.contains(folder),
            _ => false,
        })
    }

    /// As many as the index knows were there, whatever no scan has seen yet.
    pub fn raise(&mut self, known: u64, now_ms: WallMs) {
        // What is confirmed to be gone is known until it is marked.
        let were = known.saturating_sub(self.accepted);
        if were > self.baseline {
            self.baseline = were;
            self.baseline_ms = now_ms;
        }
    }

    /// A deletion is about to be marked. `before_ms` is the server's time, which
    /// the marker comes after.
    pub fn marking(&mut self, before_ms: WallMs, now_ms: WallMs) {
        if self.accepted > 0 {
            return;
        }
        match self.bursts.last_mut() {
            Some(burst) if apart_ms(now_ms, burst.last_ms) <= BURST_PAUSE_MS => {
                // To the second: each change is written down.
                if apart_ms(now_ms, burst.last_ms) >= 1_000 {
                    burst.last_ms = now_ms;
                }
            }
            _ => self.bursts.push(Burst {
                before_ms,
                marked: 0,
                last_ms: now_ms,
            }),
        }
        if self.bursts.len() > BURSTS_MAX {
            let oldest = self.bursts.remove(0);
            if let Some(next) = self.bursts.first_mut() {
                next.before_ms = oldest.before_ms.min(next.before_ms);
                next.marked += oldest.marked;
            }
        }
    }

    /// Before which moment the newest burst began.
    pub fn burst_since(&self) -> Option<WallMs> {
        self.bursts.last().map(|burst| burst.before_ms)
    }

    /// The bucket has taken the marker of a file or link. One that was `renamed` is
    /// not lost.
    pub fn marked(&mut self, key: &RelKey, renamed: bool) {
        if self.accepted > 0 || renamed {
            return;
        }
        if let Some(burst) = self.bursts.last_mut() {
            burst.marked += 1;
        }
        if self.unsettled.len() >= UNSETTLED_MAX {
            self.unsettled.remove(0);
        }
        self.unsettled.push(key.clone());
        // One that was let go before it held.
        for hold in self.holds.iter_mut().filter(|hold| hold.why.covers(key)) {
            hold.marked += 1;
        }
    }

    /// The index has let go of a file that is gone. Only now: while it knows the file,
    /// a confirmed one must not count as there ([`Brake::raise`]).
    pub fn settled(&mut self, key: &RelKey) {
        self.accepted = self.accepted.saturating_sub(1);
        self.unsettled.retain(|unsettled| unsettled != key);
    }

    /// Forget deletions that no loss can go on from; true when there were any.
    pub fn forget_bursts(&mut self, now_ms: WallMs) -> bool {
        let is_over = |burst: &Burst| apart_ms(now_ms, burst.last_ms) > LOSS_PAUSE_MS;
        let is_over = self.bursts.last().is_some_and(is_over);
        if is_over {
            self.bursts.clear();
            self.unsettled.clear();
        }
        is_over
    }

    /// The program has started: the time that it did not run is no pause.
    pub fn go_on(&mut self, now_ms: WallMs) {
        if let Some(burst) = self.bursts.last_mut() {
            burst.last_ms = now_ms;
        }
    }

    /// Before which moment the loss began that is going on, and how many of it are
    /// marked: the newest burst, and the large ones before it that hang together.
    fn loss(&self, now_ms: WallMs) -> Option<(WallMs, u64)> {
        let mut after_ms = now_ms;
        let mut first = None;
        for (at, burst) in self.bursts.iter().enumerate().rev() {
            if apart_ms(after_ms, burst.last_ms) > LOSS_PAUSE_MS {
                break;
            }
            after_ms = burst.last_ms;
            let is_large = burst.marked >= FALL_MIN;
            let is_now = first.is_none() && apart_ms(now_ms, burst.last_ms) <= BURST_PAUSE_MS;
            if is_large || is_now {
                first = Some(at);
            }
        }
        let bursts = self.bursts.get(first?..)?;
        let marked = bursts.iter().map(|burst| burst.marked).sum();
        Some((bursts.first()?.before_ms, marked))
    }

    /// Hold back from now on; true when that is new. `before_ms` is the server's
    /// time.
    pub fn hold(&mut self, why: Why, files: u64, of: u64, now: Now) -> bool {
        let Now {
            here_ms: now_ms,
            server_ms: moment_ms,
        } = now;
        if let Some(hold) = self.holds.iter_mut().find(|hold| hold.why.is_same(&why)) {
            hold.files = files;
            hold.of = of;
            return false;
        }
        // Of trouble that comes and goes, the newest end says all.
        self.ended.retain(|hold| !hold.why.is_same(&why));
        self.holds.push(Hold {
            why,
            since_ms: now_ms,
            files,
            of,
            marked: 0,
            found_marked: 0,
            moment_ms,
            told: 0,
            told_ms: WallMs::default(),
        });
        true
    }

    /// Most files are missing; some may have been marked before it was too much.
    pub fn hold_fall(&mut self, missing: u64, of: u64, now: Now) -> bool {
        let loss = self.loss(now.here_ms);
        let is_new = self.hold(Why::Fall, missing, of, now);
        let newest = self.holds.last_mut().filter(|_| is_new);
        if let (Some(hold), Some((before_ms, marked))) = (newest, loss) {
            hold.moment_ms = before_ms;
            hold.marked = marked;
        }
        is_new
    }

    /// All that was saved before is stored by now: the moment that the alerts name.
    /// Not where another folder's files have come meanwhile.
    pub fn settle_moments(&mut self, server_ms: WallMs) {
        let other = self.holds.iter().find(|hold| hold.why == Why::OtherRoot);
        let moment_ms = other.map_or(server_ms, |other| other.moment_ms);
        let untold = self.holds.iter_mut().filter(|hold| hold.told == 0);
        for hold in untold.filter(|hold| hold.may_move()) {
            hold.moment_ms = moment_ms;
        }
    }

    /// A fall that the owner has not heard of yet.
    pub fn has_untold_fall(&self) -> bool {
        let is_it = |hold: &Hold| hold.told == 0 && hold.why == Why::Fall;
        self.holds.iter().any(is_it)
    }

    /// What is told of a fall is what was counted file by file. What began the hold goes
    /// by numbers alone: new files beside the missing ones make them seem fewer.
    pub fn counted(&mut self, lacks: Lacks) {
        let away = self.holds.iter().map(|hold| match hold.why {
            Why::Unmounted { .. } => hold.files,
            _ => 0,
        });
        // Told by themselves; and those that the index is about to let go of count as
        // marked already.
        let apart = away.sum::<u64>() + self.unsettled.len() as u64;
        let (files, of) = (
            lacks.files.saturating_sub(apart),
            lacks.of.saturating_sub(apart),
        );
        let untold = |hold: &&mut Hold| hold.told == 0 && hold.why == Why::Fall;
        // All of them are back: the next scan ends it.
        for hold in self.holds.iter_mut().filter(untold).filter(|_| files > 0) {
            // Those that only the bucket's list shows as marked the index still has.
            hold.files = files.saturating_add(hold.marked);
            hold.of = of.saturating_add(hold.marked);
        }
    }

    /// End a hold because its cause is gone; true when it stood.
    fn end(&mut self, is_over: impl Fn(&Why) -> bool) -> bool {
        let (over, stands): (Vec<_>, Vec<_>) = std::mem::take(&mut self.holds)
            .into_iter()
            .partition(|hold| is_over(&hold.why));
        self.holds = stands;
        let any = !over.is_empty();
        // Nobody needs to hear the end of what was never told.
        self.ended
            .extend(over.into_iter().filter(|hold| hold.told > 0));
        any
    }

    /// Take in what a scan of the whole source found, and decide what is held
    /// back from now on. True when a new hold has begun.
    pub fn scanned(&mut self, found: &Scanned, now: Now) -> bool {
        let now_ms = now.here_ms;
        let mut is_new = false;
        for (folder, files) in &found.lost {
            let why = Why::Unmounted {
                folder: folder.clone(),
            };
            if *files > 0 {
                is_new |= self.hold(why, *files, *files, now);
            }
        }
        self.end(|why| match why {
            Why::Unmounted { folder } => {
                let lost = found.lost.iter().find(|(lost, _)| lost == folder);
                // What is mounted again is proven, whatever could not be read.
                lost.is_none_or(|(_, files)| found.complete && *files == 0)
            }
            _ => false,
        });
        // Or it could not have been scanned.
        self.end(|why| *why == Why::Away);
        if found.other_root {
            is_new |= self.hold(Why::OtherRoot, found.gone, found.known, now);
        } else {
            self.end(|why| *why == Why::OtherRoot);
        }
        let fallen = self.is_fall(found) || self.is_fall_still(found, now_ms);
        if fallen && !found.other_root {
            // Some may have been marked before it was too much.
            let files = found.gone.max(self.missing(found.on_disk));
            let of = found.known.max(self.expected());
            is_new |= self.hold_fall(files, of, now);
        } else if found.complete && !found.other_root {
            // What it says at its end is about what is still missing.
            for hold in self.holds.iter_mut().filter(|hold| hold.why == Why::Fall) {
                hold.files = found.gone;
            }
            self.end(|why| *why == Why::Fall);
        }
        if let Some(absent) = found.absent {
            let is_meant = |why: &Why| matches!(why, Why::Fall | Why::OtherRoot);
            for hold in self.holds.iter_mut().filter(|hold| is_meant(&hold.why)) {
                hold.found_marked = absent;
            }
        }
        if found.complete {
            self.accepted = self.accepted.min(found.gone);
        }
        let is_held = self.holds.iter().any(|hold| hold.why == Why::Fall);
        if !is_held && !found.other_root {
            if found.complete {
                self.learn(found, now_ms);
            } else {
                self.grow(found, now_ms);
            }
        }
        is_new
    }

    /// What the scan found may be held back as a fall, now or still: files are to be
    /// counted again, and told from old names of those that are there.
    pub fn may_be_fall(&self, found: &Scanned) -> bool {
        let stands = self.holds.iter().any(|hold| hold.why == Why::Fall);
        found.gone > 0 && stands || self.has_fallen(found.on_disk) || self.is_fall(found)
    }

    /// What is gone is not believed. A confirmation lowered the baseline, and
    /// the index goes on knowing what the workers have not marked yet.
    fn is_fall(&self, found: &Scanned) -> bool {
        let unconfirmed = found.gone > self.accepted;
        found.gone > 0
            && (self.has_fallen(found.on_disk)
                || unconfirmed && nothing_like_it(found.gone, found.known, found.on_disk))
    }

    /// What had fallen is not back yet.
    fn is_fall_still(&self, found: &Scanned, now_ms: WallMs) -> bool {
        let Some(hold) = self.holds.iter().find(|hold| hold.why == Why::Fall) else {
            return false;
        };
        let age_ms = now_ms - hold.since_ms;
        let is_in_time = (0..=SWAP_MS).contains(&age_ms);
        // The owner was told that nothing is marked: then only the files end it.
        let swapped = hold.told == 0 && is_in_time && self.missing(found.on_disk) == 0;
        found.gone > FALL_MIN.max(found.known / BACK_SHARE) && !swapped
    }

    /// Remember how many files a trusted scan has seen, and what is mounted.
    fn learn(&mut self, found: &Scanned, now_ms: WallMs) {
        let lost = found.lost.iter().filter(|(_, files)| *files > 0);
        let lost_files: u64 = lost.clone().map(|(_, files)| files).sum();
        // What is on the missing disk still belongs to it.
        let files = found.on_disk + lost_files;
        // A clock that jumps back and forth must not pass for time.
        let age_ms = now_ms - self.baseline_ms;
        if files >= self.baseline || age_ms >= BASELINE_STANDS_MS {
            self.baseline = files;
            self.baseline_ms = now_ms;
        }
        let lost = lost.map(|(folder, _)| folder);
        let mut mounts: Vec<RelKey> = lost.cloned().collect();
        mounts.extend_from_slice(&found.mounts);
        self.set_mounts(mounts);
    }

    /// An incomplete scan only adds: one folder that can never be read (a
    /// `lost+found`) must not leave the source without any measure.
    fn grow(&mut self, found: &Scanned, now_ms: WallMs) {
        let lost_files: u64 = found.lost.iter().map(|(_, files)| files).sum();
        let files = found.on_disk + lost_files;
        if files >= self.baseline {
            self.baseline = files;
            self.baseline_ms = now_ms;
        }
        let mut mounts = std::mem::take(&mut self.mounts);
        mounts.extend_from_slice(&found.mounts);
        self.set_mounts(mounts);
    }

    /// Those that come first stay when there are too many.
    fn set_mounts(&mut self, mounts: Vec<RelKey>) {
        self.mounts.clear();
        for folder in mounts {
            if self.mounts.len() < MOUNTS_MAX && !self.mounts.contains(&folder) {
                self.mounts.push(folder);
            }
        }
        self.mounts.sort();
    }

    /// Somebody has said that everything which is missing was really deleted:
    /// what a scan finds now is how it shall be.
    pub fn confirm(&mut self, found: &Scanned, now_ms: WallMs) {
        self.holds.clear();
        self.ended.clear();
        self.bursts.clear();
        self.baseline = 0;
        self.accepted = found.gone;
        self.learn(
            &Scanned {
                lost: Vec::new(),
                ..found.clone()
            },
            now_ms,
        );
    }
}

/// More than half of what index or bucket know is gone and nothing like it has
/// come instead (a renamed folder), or nothing is left at all. Says so also
/// where no scan has ever set a baseline: an empty folder on a new computer.
pub fn nothing_like_it(gone: u64, known: u64, on_disk: u64) -> bool {
    let nothing_left = on_disk == 0 && gone > 0;
    nothing_left || most_is_gone(gone, known, on_disk)
}

/// The same for a part of a source, which may well become empty.
pub fn most_is_gone(gone: u64, known: u64, on_disk: u64) -> bool {
    let most = gone >= FALL_MIN && gone * FALL_SHARE > known;
    most && on_disk * FALL_SHARE < known
}

/// What a root's marker says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// The identity that the index knows.
    Equal,
    /// The index knows one, and no marker is there.
    Absent,
    /// Another one.
    Different,
    /// The index knows none: a first run, or no marker can be kept there.
    Unused,
}

/// Whether a folder is the one that was backed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// It is.
    Itself,
    /// It is not.
    Other,
    /// Without a marker on another device: only its content can tell.
    Unproven,
}

/// Decide; `same_root` says whether device and inode are those known (`None`:
/// none are known yet).
pub fn identity(marker: Marker, same_root: Option<bool>) -> Identity {
    match (marker, same_root) {
        (Marker::Equal, _) | (_, None | Some(true)) => Identity::Itself,
        (Marker::Absent | Marker::Different, Some(false)) => Identity::Other,
        (Marker::Unused, Some(false)) => Identity::Unproven,
    }
}

/// Without a marker: so many of the known files are there unchanged that it is
/// the same folder, whatever number its device has today.
pub fn is_alike(unchanged: u64, known: u64) -> bool {
    known == 0 || unchanged * 2 >= known
}

#[cfg(test)]
mod tests;
