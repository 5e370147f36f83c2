//! What a source's files and mounted disks are measured by.

use super::counts::Scanned;
use crate::types::RelKey;
use serde::{Deserialize, Serialize};

/// A baseline is lowered only when it is as old as this. Scans run whenever in doubt,
/// also in the middle of a long `rm -rf`: if each of them lowered the baseline, the
/// source would go by halves. A little less than the daily scan's period.
pub const BASELINE_STANDS_MS: i64 = 20 * 60 * 60 * 1_000;

/// Mounted folders remembered per source: an office computer has a handful. Files below
/// further ones are guarded by the share rule alone.
pub const MOUNTS_MAX: usize = 64;

/// How many files a source had, and which disks were mounted in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// Files and links that a complete scan has seen, see [`BASELINE_STANDS_MS`].
    #[serde(rename = "baseline")]
    pub files: u64,
    /// When it saw them, milliseconds since 1970.
    #[serde(rename = "baseline_ms")]
    pub at_ms: i64,
    /// Folders on which another disk is mounted; at most [`MOUNTS_MAX`].
    pub mounts: Vec<RelKey>,
}

impl Baseline {
    /// So many files were there.
    pub fn raise(&mut self, files: u64, now_ms: i64) {
        if files > self.files {
            self.files = files;
            self.at_ms = now_ms;
        }
    }

    /// Remember how many files a trusted scan has seen, and what is mounted.
    pub fn learn(&mut self, found: &Scanned, now_ms: i64) {
        // What is on the missing disk still belongs to the source.
        let files = found.on_disk + found.lost_files();
        // A clock that jumps back and forth must not pass for time.
        let age_ms = now_ms.saturating_sub(self.at_ms);
        if files >= self.files || age_ms >= BASELINE_STANDS_MS {
            self.files = files;
            self.at_ms = now_ms;
        }
        let lost = found.lost.iter().filter(|(_, files)| *files > 0);
        let mut mounts: Vec<RelKey> = lost.map(|(folder, _)| folder.clone()).collect();
        mounts.extend_from_slice(&found.mounts);
        self.set_mounts(mounts);
    }

    /// An incomplete scan only adds: one folder that can never be read (a `lost+found`)
    /// must not leave the source without any measure.
    pub fn grow(&mut self, found: &Scanned, now_ms: i64) {
        let files = found.on_disk + found.lost_files();
        if files >= self.files {
            self.files = files;
            self.at_ms = now_ms;
        }
        let mut mounts = std::mem::take(&mut self.mounts);
        mounts.extend_from_slice(&found.mounts);
        self.set_mounts(mounts);
    }

    /// When there are too many, the first ones stay.
    fn set_mounts(&mut self, mounts: Vec<RelKey>) {
        self.mounts.clear();
        for folder in mounts {
            if self.mounts.len() < MOUNTS_MAX && !self.mounts.contains(&folder) {
                self.mounts.push(folder);
            }
        }
        self.mounts.sort();
    }
}
