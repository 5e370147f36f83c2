//! The daily restore drill in figures and words: what came back, what did not,
//! and what it cost.
//!
//! Invariant: a drill that could not run, or restored nothing, never reads like
//! one that found everything in order.

use crate::types::{Traffic, VersionId, WallMs, amount, clean, command, id_or_empty, number};
use crate::verify::Damage;
use serde::{Deserialize, Serialize};

/// Failures that a report names; the budget in files bounds them further.
pub const FAILURES_NAMED_MAX: usize = 100;

/// Damaged versions of the past that a report names; the rest is counted.
pub const LASTING_NAMED_MAX: usize = 10;

/// One file that did not come back as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The source's name.
    pub source: String,
    /// The file, as shown to people.
    pub path: String,
    /// Full key in the bucket.
    pub key: String,
    /// Which of its versions.
    #[serde(with = "id_or_empty")]
    pub version_id: Option<VersionId>,
    /// When that was stored, milliseconds since 1970.
    pub stored_at_ms: WallMs,
    /// What is wrong, when it is damage; `None` when it only could not be had.
    pub damage: Option<Damage>,
    /// In full.
    pub why: String,
    /// A newer version is current: only the past is concerned.
    pub is_older: bool,
    /// When it was first found, milliseconds since 1970.
    pub since_ms: WallMs,
    /// The owner has been told.
    pub told: bool,
}

impl Failure {
    /// The same, of a version that is not current any more.
    pub fn now_past(mut self) -> Self {
        self.is_older = true;
        self
    }

    /// The same version as another finding's.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.source, &self.key, &self.version_id)
            == (&other.source, &other.key, &other.version_id)
    }
}

/// One drill.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drill {
    /// When it began, milliseconds since 1970.
    pub at_ms: WallMs,
    /// How long it took.
    pub took_ms: u64,
    /// Files, links and folders restored and compared, failures among them.
    pub files: u64,
    /// Different days those were of.
    pub dates: u64,
    /// Of files that are deleted now.
    pub deleted_now: u64,
    /// Bytes restored, unpacked.
    pub bytes: u64,
    /// Versions in cold storage that were drawn and left alone.
    pub cold: u64,
    /// Versions drawn that were larger than the budget.
    pub too_large: u64,
    /// Files that did not come back as they were.
    pub failures: Vec<Failure>,
    /// Versions of the past that are known not to come back, and that nobody can
    /// mend: told once, and left out of the draw. The first of them.
    #[serde(default)]
    pub lasting: Vec<Failure>,
    /// How many there are.
    #[serde(default)]
    pub lasting_total: u64,
    /// Requests and bytes that it took.
    pub traffic: Traffic,
    /// What AWS asks for both, millionths of a US dollar; `None` for a vault.
    pub micro_usd: Option<u64>,
    /// Why it could not run, or not to its end.
    pub not_run: Option<String>,
}

impl Drill {
    /// Everything that was restored is what was stored, and something was,
    /// unless the backup has nothing in it.
    pub fn is_well(&self) -> bool {
        self.failures.is_empty() && self.not_run.is_none()
    }

    /// At its end: a drill that restored nothing of a backup that has files was
    /// not done, and says why. `known_drawn`: chance fell on versions that are known
    /// to be damaged.
    pub fn conclude(&mut self, has_files: bool, is_used_up: bool, known_drawn: bool) {
        if self.files > 0 || !has_files || self.not_run.is_some() {
            return;
        }
        let left_alone = self.cold + self.too_large;
        let why = if is_used_up && left_alone == 0 {
            "what it may take was used up before the first file was restored: allow it more (`bytes_max`, `cost_max_usd` in [drill])".to_owned()
        } else {
            let text = match (self.cold, self.too_large) {
                (0, 0) if known_drawn => {
                    "all that it drew is known to be damaged, as was told before"
                }
                (0, 0) => {
                    "none of the files that it drew could be compared: they changed meanwhile, or do not say what they were"
                }
                (_, 0) => {
                    return self.conclude_cold();
                }
                (0, _) => {
                    "all that it drew is larger than it may fetch: allow it more (`bytes_max`, `cost_max_usd` in [drill])"
                }
                _ => {
                    "all that it drew is in cold storage, or larger than it may fetch (`bytes_max`, `cost_max_usd` in [drill])"
                }
            };
            text.to_owned()
        };
        self.not_run = Some(format!("no file was restored: {why}"));
    }

    fn conclude_cold(&mut self) {
        self.not_run = Some(format!(
            "no file was restored: all that it drew is in cold storage, which the drill does not thaw (`{}` brings such files back; `enabled = false` in [drill] switches the drill off)",
            command::on_copies("restore --thaw --to FOLDER")
        ));
    }

    /// What it found, on one line: `14 files from 9 dates restored and compared:
    /// all identical, 3.2 s, 0.01 USD of requests`.
    pub fn line(&self) -> String {
        if let Some(why) = &self.not_run {
            let before = match self.files {
                0 => String::new(),
                files => format!(" (after {})", amount(files, "file")),
            };
            return format!("NOT DONE{before}: {}", clean(why));
        }
        if self.files == 0 {
            return "nothing to restore yet: the backup has no files".to_owned();
        }
        let verdict = match self.failures.len() as u64 {
            0 => "all identical".to_owned(),
            failed => format!("{} NOT AS STORED", number(failed)),
        };
        format!(
            "{} from {} restored and compared: {verdict}, {:.1} s{}{}",
            amount(self.files, "file"),
            amount(self.dates, "date"),
            self.took_ms as f64 / 1e3,
            self.cost(),
            self.left_alone()
        )
    }

    fn cost(&self) -> String {
        match self.micro_usd {
            None => String::new(),
            Some(0..10_000) => ", under 0.01 USD of requests".to_owned(),
            Some(micro) => format!(", {:.2} USD of requests", micro as f64 / 1e6),
        }
    }

    fn left_alone(&self) -> String {
        let mut text = String::new();
        if self.cold > 0 {
            text += &format!("; {} in cold storage left alone", number(self.cold));
        }
        if self.too_large > 0 {
            let large = number(self.too_large);
            text += &format!("; {large} larger than the drill may fetch");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_drill_says() {
        let well = Drill {
            files: 14,
            dates: 9,
            took_ms: 3_210,
            micro_usd: Some(12_000),
            ..Drill::default()
        };
        let failure = Failure {
            source: "s".into(),
            path: "a".into(),
            key: "a".into(),
            version_id: VersionId::new("v"),
            stored_at_ms: WallMs(0),
            damage: Some(Damage::Altered),
            why: "x".into(),
            is_older: false,
            since_ms: WallMs(0),
            told: false,
        };
        for (drill, want) in [
            (
                well.clone(),
                "14 files from 9 dates restored and compared: all identical, 3.2 s, 0.01 USD of requests",
            ),
            (
                Drill {
                    micro_usd: Some(900),
                    files: 1,
                    dates: 1,
                    cold: 2,
                    ..well.clone()
                },
                "1 file from 1 date restored and compared: all identical, 3.2 s, under 0.01 USD of requests; 2 in cold storage left alone",
            ),
            (
                Drill {
                    micro_usd: None,
                    failures: vec![failure],
                    ..well.clone()
                },
                "14 files from 9 dates restored and compared: 1 NOT AS STORED, 3.2 s",
            ),
            (
                Drill {
                    not_run: Some("offline".into()),
                    ..well.clone()
                },
                "NOT DONE (after 14 files): offline",
            ),
            (
                Drill::default(),
                "nothing to restore yet: the backup has no files",
            ),
        ] {
            assert_eq!(drill.line(), want);
            let sounds_well = want.contains("identical") || want.contains("nothing");
            assert_eq!(drill.is_well(), sounds_well, "{want}");
        }
    }

    #[test]
    fn a_drill_that_restored_nothing_is_done_only_where_nothing_is() {
        let drawn = |files, cold, too_large| Drill {
            files,
            cold,
            too_large,
            ..Drill::default()
        };
        let mut drill = drawn(0, 0, 0);
        drill.conclude(true, false, true);
        assert!(drill.line().contains("is known to be damaged"));
        for (mut drill, has_files, is_used_up, why) in [
            (drawn(0, 0, 0), false, false, None),
            (drawn(1, 3, 3), true, true, None),
            (drawn(0, 0, 0), true, true, Some("used up before the first")),
            (drawn(0, 0, 0), true, false, Some("could be compared")),
            (drawn(0, 2, 0), true, false, Some("is in cold storage")),
            (drawn(0, 0, 2), true, true, Some("larger than it may")),
            (drawn(0, 1, 1), true, false, Some("cold storage, or larger")),
        ] {
            drill.conclude(has_files, is_used_up, false);
            let line = drill.line();
            assert_eq!(drill.is_well(), why.is_none(), "{line}");
            assert_eq!(line.starts_with("NOT DONE"), why.is_some(), "{line}");
            assert!(line.contains(why.unwrap_or_default()), "{line}");
        }
    }
}
