//! The figures that a digest is made of.

use crate::destination::{Kind, Trouble};
use crate::drill::Drill;
use crate::mail::{FailureLine, count_of};
use crate::pacing::CostlyFile;
use crate::types::{Traffic, WallMs};
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};

/// Everything the daily digest says.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The computer's name.
    pub computer: String,
    /// When the report was due, milliseconds since 1970 (a missed one comes later).
    pub scheduled_ms: WallMs,
    /// Beginning of the time it covers, milliseconds since 1970; after the end when
    /// the clock that noted it was ahead.
    pub from_ms: WallMs,
    /// End of the time it covers, milliseconds since 1970.
    pub to_ms: WallMs,
    /// The zone its times are shown in.
    #[serde(serialize_with = "zone_name")]
    pub time_zone: TimeZone,
    /// What went over the line in that time.
    pub traffic: Traffic,
    /// Requests cost money: the copies go to a server, not to a vault.
    pub is_billed: bool,
    /// The newest restore drill.
    pub drill: Option<Drill>,
    /// The program as whoever reads this can run it, with its configuration.
    #[serde(skip)]
    pub program: String,
    /// One part for each watched folder.
    pub sources: Vec<SourceReport>,
}

/// One watched folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SourceReport {
    /// Its name in the configuration.
    pub name: String,
    /// The folder, as shown to people.
    pub path: String,
    /// Where its copies go, as shown to people.
    pub destination: String,
    /// Files whose current content is in the bucket.
    pub files_protected: u64,
    /// Their size together.
    pub bytes_protected: u64,
    /// Files that the last scan saw and that are in no bucket yet.
    pub files_not_stored: u64,
    /// Versions stored in the period.
    pub versions: u64,
    /// Size of the files behind those versions.
    pub raw_bytes: u64,
    /// Bytes that they take in the bucket.
    pub stored_bytes: u64,
    /// Bytes that compression and reuse saved.
    pub saved_bytes: u64,
    /// The files whose versions cost most, the costliest first.
    pub costly: Vec<CostlyFile>,
    /// Deletions noted in the bucket in the period (older versions stay).
    pub deletions: u64,
    /// Failures in the period, the first few; most have been made good since.
    pub failures: Vec<FailureLine>,
    /// How many paths failed in the period.
    pub failures_total: u64,
    /// Files that are not protected now, the first few.
    pub unprotected: Vec<UnprotectedLine>,
    /// How many files are not protected now.
    pub unprotected_total: u64,
    /// What an owner should know although no file is in danger now.
    pub warnings: Vec<String>,
    /// What is as it is and no trouble, but good to know.
    pub notes: Vec<String>,
    /// How far the watch can be relied on; `None` when it was never proven and
    /// never renewed.
    pub watch: Option<WatchLine>,
    /// The last comparison of the whole folder with the bucket.
    pub scan: Option<ScanLine>,
    /// Present while the destination takes nothing.
    pub outage: Option<OutageLine>,
    /// What is wrong with the destination though it can be reached.
    pub troubles: Vec<Trouble>,
}

/// A file that is not protected now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct UnprotectedLine {
    /// The file, as shown to people.
    pub path: String,
    /// Why.
    pub reason: String,
    /// What to do about it; empty when it passes by itself.
    pub remedy: String,
    /// Since when, milliseconds since 1970.
    pub since_ms: WallMs,
    /// Of a folder: the files in it that the backup knows; they are not protected
    /// either.
    pub files_below: u64,
}

impl UnprotectedLine {
    /// How many files it stands for.
    pub fn files(&self) -> u64 {
        self.files_below.max(1)
    }
}

/// One comparison of a whole folder with the bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ScanLine {
    /// When it began, milliseconds since 1970.
    pub started_ms: WallMs,
    /// How long it took.
    pub took_ms: u64,
    /// Files that it saw.
    pub files: u64,
    /// It has seen every folder.
    pub complete: bool,
}

/// How far a watch can be relied on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct WatchLine {
    /// When it was last proven, milliseconds since 1970.
    pub proven_ms: Option<WallMs>,
    /// How often it was set up again since the start of the program.
    pub rebuilt: u64,
}

/// A destination that takes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OutageLine {
    /// Since when, milliseconds since 1970.
    pub since_ms: WallMs,
    /// Why.
    pub reason: String,
    /// What to do about it; empty when it passes by itself.
    pub remedy: String,
}

impl SourceReport {
    /// Whether the whole folder has been compared with the bucket.
    pub(super) fn is_checked(&self) -> bool {
        self.scan.is_some_and(|scan| scan.complete)
    }

    /// Whether somebody should look at it.
    pub(super) fn is_troubled(&self) -> bool {
        self.outage.is_some()
            || !self.troubles.is_empty()
            || !self.is_checked()
            || self.unprotected_count() > 0
    }

    pub(super) fn has(&self, kind: Kind) -> bool {
        self.troubles.iter().any(|trouble| trouble.kind == kind)
    }

    /// The list may not be longer than its total, whatever the caller counted.
    pub(super) fn unprotected_count(&self) -> u64 {
        self.named_count().max(self.files_not_stored)
    }

    /// Those that are named, and those that they stand for.
    pub(super) fn named_count(&self) -> u64 {
        let lines = count_of(&self.unprotected);
        let files: u64 = self.unprotected.iter().map(UnprotectedLine::files).sum();
        self.unprotected_total.max(lines) - lines + files
    }

    pub(super) fn failures_count(&self) -> u64 {
        self.failures_total.max(count_of(&self.failures))
    }
}

/// A zone of the operating system may have no name; times carry offsets then.
fn zone_name<S: Serializer>(zone: &TimeZone, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(zone.iana_name().unwrap_or("local"))
}
