//! What `verify` is asked and what it finds, in words for an owner.
//!
//! Pure values that travel over the control socket and into reports.

use crate::types::{Fatal, Fault, Taken, VersionId, WallMs, id_or_empty, parse_bytes};
use serde::{Deserialize, Serialize};

/// Findings that a result carries; the rest is counted. Nobody reads longer lists, and
/// each is reported when it is found.
pub const FINDINGS_MAX: usize = 1_000;

/// Objects that a sample by number or bytes may draw. Their names stay in memory until
/// the listing has ended (some 400 bytes each).
pub const DRAWN_MAX: usize = 10_000;

/// One million: shares are counted in millionths.
const MILLION: f64 = 1_000_000.0;

/// Which contents are downloaded and hashed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deep {
    /// None: only the listing and each object's metadata are checked.
    #[default]
    No,
    /// All of them.
    All,
    /// This share, in millionths, each by its own lot.
    Share(u32),
    /// So many, drawn from all.
    Files(usize),
    /// As many as fit so many bytes of the bucket, drawn from all.
    Bytes(u64),
}

impl Deep {
    /// What `--deep` and `--sample TEXT` mean together.
    ///
    /// # Errors
    /// A usage error for what is no sample.
    pub fn parse(deep: bool, sample: Option<&str>) -> Result<Self, Fatal> {
        let Some(text) = sample else {
            return Ok(if deep { Self::All } else { Self::No });
        };
        let plain = text.trim();
        let parsed = match plain.strip_suffix('%') {
            Some(percent) => percent
                .trim()
                .parse::<f64>()
                .ok()
                .filter(|share| (0.0..=100.0).contains(share))
                .map(|share| Self::Share((share / 100.0 * MILLION).round() as u32))
                .filter(|share| *share != Self::Share(0)),
            None => match plain.parse::<usize>() {
                Ok(files) if (1..=DRAWN_MAX).contains(&files) => Some(Self::Files(files)),
                Ok(_) => None,
                Err(_) => parse_bytes(plain)
                    .filter(|bytes| *bytes > 0)
                    .map(Self::Bytes),
            },
        };
        parsed.ok_or_else(|| {
            Fatal::usage(
                format!("use --sample {}", plain.escape_debug()),
                "it is not a share, a number of files or an amount",
                format!("write \"5%\", \"200\" ({DRAWN_MAX} files at most) or \"2 GB\""),
            )
        })
    }

    /// Whether chance plays a part.
    pub fn is_random(self) -> bool {
        matches!(self, Self::Share(_) | Self::Files(_) | Self::Bytes(_))
    }
}

/// What is asked of a verification.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Paths and patterns, source by source: which of the configuration's
    /// sources, and what in it. Nothing in it means all of it.
    pub sources: Vec<(String, Vec<String>)>,
    /// Which contents are downloaded.
    pub deep: Deep,
    /// The seed of the sample.
    pub seed: u64,
    /// Older versions as well.
    pub all_versions: bool,
    /// Upload again what is damaged and still on disk.
    pub repair: bool,
}

/// What is wrong with a path in the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Damage {
    /// The bucket has nothing of it.
    Missing,
    /// Somebody else put a delete marker there, and the file is on disk.
    MarkedDeleted,
    /// The stored version no longer exists.
    VersionGone,
    /// A newer version was not stored by this computer.
    Overwritten,
    /// The bytes are not the ones that were stored.
    Altered,
    /// There are fewer bytes than were stored.
    Truncated,
    /// The object's metadata is missing, broken or not what was stored.
    Metadata,
    /// It was deleted here and is visible again: its delete marker is gone.
    Returned,
    /// Its moment had not come when it was written: the clock of its computer was wrong.
    Ahead,
}

impl Damage {
    /// In a few words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Missing => "MISSING: no version of it is in the bucket",
            Self::MarkedDeleted => {
                "MARKED AS DELETED in the bucket by somebody else, though the file is on this computer"
            }
            Self::VersionGone => {
                "GONE: the version that was backed up is not in the bucket any more"
            }
            Self::Overwritten => "OVERWRITTEN in the bucket by somebody else",
            Self::Altered => "ALTERED: its content in the bucket is not what was backed up",
            Self::Truncated => "TRUNCATED: the bucket holds less of it than was backed up",
            Self::Metadata => {
                "METADATA DAMAGED: what the bucket says of the file is not what was stored"
            }
            Self::Returned => {
                "DELETED here, but the bucket shows it again: its delete marker was removed"
            }
            Self::Ahead => "AHEAD OF ITS TIME: it was written with a clock that was wrong",
        }
    }
}

/// What became of a repair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repair {
    /// Done, and verified again.
    Done,
    /// It was tried and did not help: why.
    Failed(String),
    /// The file is not on disk any more (or an older version is damaged).
    Impossible,
}

/// A version that is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WholeVersion {
    /// What S3 tools call it.
    #[serde(with = "id_or_empty")]
    pub version_id: Option<VersionId>,
    /// When the server stored it, milliseconds since 1970.
    pub stored_at_ms: WallMs,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The source's name, or the bucket's.
    pub source: String,
    /// The file, as shown to people.
    pub path: String,
    /// Its key without the prefix, never shortened; `None` for a key whose path
    /// cannot be told.
    pub key: Option<String>,
    /// What is wrong.
    pub damage: Damage,
    /// In full.
    pub why: String,
    /// The version concerned, if it is about one.
    #[serde(with = "id_or_empty")]
    pub version_id: Option<VersionId>,
    /// When that was stored, milliseconds since 1970.
    pub stored_at_ms: Option<WallMs>,
    /// It is about an older version than the current one.
    pub is_older: bool,
    /// The file is on this computer; `None` when that is not known.
    pub is_on_disk: Option<bool>,
    /// The newest other version that is whole, as far as they were tried.
    pub whole: Option<WholeVersion>,
    /// What became of its repair, when one was asked for.
    pub repair: Option<Repair>,
}

/// A part of a file's past that no repair brings back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Never {
    /// The version is there, and is not what was stored.
    Damaged,
    /// The version no longer exists.
    Gone,
}

impl Finding {
    /// What can never be restored again, whether the file is mended or not: the
    /// moments at which the version was current.
    pub fn never(&self) -> Option<Never> {
        match self.damage {
            Damage::Altered | Damage::Truncated | Damage::Metadata => Some(Never::Damaged),
            Damage::Missing | Damage::VersionGone => Some(Never::Gone),
            Damage::MarkedDeleted | Damage::Overwritten | Damage::Returned | Damage::Ahead => None,
        }
    }

    /// Nothing is left to do about it.
    pub fn is_repaired(&self) -> bool {
        self.repair == Some(Repair::Done)
    }

    /// Sending the file again, or marking it deleted again, would mend it.
    pub fn can_be_repaired(&self) -> bool {
        let is_returned = self.damage == Damage::Returned && self.is_on_disk == Some(false);
        !self.is_older && self.key.is_some() && (self.is_on_disk == Some(true) || is_returned)
    }
}

/// The progress of a verification.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Manifests looked at.
    #[serde(default)]
    pub manifests: u64,
    /// Objects of the listing and of the index seen.
    pub seen: u64,
    /// Asked about one by one.
    pub looked: u64,
    /// Downloaded and hashed.
    pub hashed: u64,
    /// Bytes of them, unpacked.
    pub hashed_bytes: u64,
    /// Findings.
    pub found: u64,
}

/// What was found in one source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// Its name, or the bucket's.
    pub name: String,
    /// Where its copies are.
    pub destination: String,
    /// The index was compared, too; otherwise the bucket was checked by itself.
    pub with_index: bool,
    /// Why not, when it was asked for.
    pub without_index_because: Option<String>,
    /// Older versions were looked at as well.
    #[serde(default)]
    pub all_versions: bool,
    /// Figures.
    pub progress: Progress,
    /// In cold storage: looked at, but not downloaded.
    pub cold: u64,
    /// Not written by Keepwatch.
    pub foreign: u64,
    /// Changed while they were checked.
    pub moving: u64,
    /// Larger than the whole sample may be.
    pub too_large: u64,
    /// The first findings.
    pub findings: Vec<Finding>,
    /// How many there are.
    pub findings_total: u64,
    /// What could not be looked at, the first few.
    pub not_looked: Vec<Fault>,
    /// How much could not.
    pub not_looked_total: u64,
    /// What was asked for and matched nothing.
    pub unmatched: Vec<String>,
    /// What was asked for and is there.
    #[serde(default)]
    pub matched: Vec<String>,
    /// What exists with nearly such a name, as a person types it.
    #[serde(default)]
    pub near: Vec<String>,
    /// How the texts were taken that could have meant something else, too.
    #[serde(default)]
    pub taken: Vec<Taken>,
}

impl Verified {
    /// Count a finding, and keep it if there is room.
    pub fn found(&mut self, finding: Finding) {
        self.findings_total += 1;
        self.progress.found += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }

    /// Count what could not be looked at.
    pub fn not_looked(&mut self, fault: Fault) {
        self.not_looked_total += 1;
        if self.not_looked.len() < FINDINGS_MAX {
            self.not_looked.push(fault);
        }
    }

    /// Versions that stay damaged or gone although their files are mended: a repair stores
    /// a newer version.
    pub fn left_behind(&self) -> u64 {
        let mended = self.findings.iter().filter(|f| f.is_repaired());
        mended.filter(|f| f.never().is_some()).count() as u64
    }

    /// What was asked about and cannot be restored as it was stored: who asks about
    /// the current state alone is answered about that.
    pub fn not_restorable(&self) -> u64 {
        match self.all_versions {
            true => self.open_findings() + self.left_behind(),
            false => self.open_findings(),
        }
    }

    /// Findings that nothing has mended.
    pub fn open_findings(&self) -> u64 {
        let mended = self.findings.iter().filter(|f| f.is_repaired()).count();
        self.findings_total.saturating_sub(mended as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_as_people_write_them() {
        for (deep, text, want) in [
            (false, None, Some(Deep::No)),
            (true, None, Some(Deep::All)),
            (true, Some("5%"), Some(Deep::Share(50_000))),
            (true, Some("0.5 %"), Some(Deep::Share(5_000))),
            (true, Some("200"), Some(Deep::Files(200))),
            (true, Some("2 GB"), Some(Deep::Bytes(2_000_000_000))),
            (true, Some("101%"), None),
            (true, Some("-1"), None),
            (true, Some("0"), None),
            (true, Some("0%"), None),
            (true, Some("0.00000001%"), None),
            (true, Some("0 MB"), None),
            (true, Some("99999999"), None),
            (true, Some("some"), None),
        ] {
            assert_eq!(Deep::parse(deep, text).ok(), want, "{text:?}");
        }
        assert_eq!(Deep::parse(true, Some("x")).unwrap_err().exit_code(), 2);
    }

    fn finding(damage: Damage, is_on_disk: Option<bool>) -> Finding {
        Finding {
            source: "s".into(),
            path: "a".into(),
            key: Some("a".into()),
            damage,
            why: String::new(),
            version_id: VersionId::new("v"),
            stored_at_ms: None,
            is_older: false,
            is_on_disk,
            whole: None,
            repair: None,
        }
    }

    #[test]
    fn what_can_be_repaired() {
        for (damage, is_on_disk, want) in [
            (Damage::Altered, Some(true), true),
            (Damage::Altered, Some(false), false),
            (Damage::Altered, None, false),
            (Damage::Returned, Some(false), true),
            (Damage::Returned, None, false),
        ] {
            assert_eq!(finding(damage, is_on_disk).can_be_repaired(), want);
        }
        let older = Finding {
            is_older: true,
            ..finding(Damage::Altered, Some(true))
        };
        assert!(!older.can_be_repaired());
    }

    #[test]
    fn what_is_mended_does_not_count_any_more() {
        let mut verified = Verified::default();
        verified.found(finding(Damage::Altered, Some(true)));
        verified.found(finding(Damage::Missing, Some(true)));
        verified.findings[0].repair = Some(Repair::Done);
        assert_eq!((verified.findings_total, verified.open_findings()), (2, 1));
    }

    #[test]
    fn a_mended_file_leaves_its_damaged_version_to_who_asks_about_all_versions() {
        for (damage, left_behind) in [
            (Damage::Altered, 1),
            (Damage::VersionGone, 1),
            (Damage::Overwritten, 0),
            (Damage::Returned, 0),
        ] {
            let mut verified = Verified::default();
            verified.found(finding(damage, Some(true)));
            assert_eq!(verified.not_restorable(), 1, "{damage:?}");
            verified.findings[0].repair = Some(Repair::Done);
            assert_eq!(verified.left_behind(), left_behind, "{damage:?}");
            assert_eq!(verified.not_restorable(), 0, "{damage:?}");
            verified.all_versions = true;
            assert_eq!(verified.not_restorable(), left_behind, "{damage:?}");
        }
    }
}
