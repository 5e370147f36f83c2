//! What the digest and the alerts say, in plain words for an office owner.
//!
//! The digest task fills a [`Report`], commands and the reconcile fill a
//! [`OneOff`]; both come out as subject and body within what SNS takes. Pure:
//! it gathers nothing and sends nothing. What must never be lost when a text
//! is too long is the verdict and the counts; lists are cut instead.

mod body;
pub(crate) mod messages;
pub(crate) mod start;
pub(crate) mod stuck;

use crate::drill::report;
use crate::pacing::CostlyFile;
use crate::types::text;

use crate::mail::{BODY_BYTES_MAX, COMPUTER_CHARS_MAX, FailureLine, Message, count_of, subject};

use crate::destination::{Kind, Trouble};
use crate::drill::Drill;
use crate::types::{Traffic, amount, shorten};
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};

/// Everything the daily digest says.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The computer's name.
    pub computer: String,
    /// When the report was due, milliseconds since 1970 (a missed one comes later).
    pub scheduled_ms: i64,
    /// Beginning of the time it covers, milliseconds since 1970; after the end when
    /// the clock that noted it was ahead.
    pub from_ms: i64,
    /// End of the time it covers, milliseconds since 1970.
    pub to_ms: i64,
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
    pub since_ms: i64,
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
    pub started_ms: i64,
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
    pub proven_ms: Option<i64>,
    /// How often it was set up again since the start of the program.
    pub rebuilt: u64,
}

/// A destination that takes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OutageLine {
    /// Since when, milliseconds since 1970.
    pub since_ms: i64,
    /// Why.
    pub reason: String,
    /// What to do about it; empty when it passes by itself.
    pub remedy: String,
}

impl SourceReport {
    /// Whether the whole folder has been compared with the bucket.
    fn is_checked(&self) -> bool {
        self.scan.is_some_and(|scan| scan.complete)
    }

    /// Whether somebody should look at it.
    fn is_troubled(&self) -> bool {
        self.outage.is_some()
            || !self.troubles.is_empty()
            || !self.is_checked()
            || self.unprotected_count() > 0
    }

    fn has(&self, kind: Kind) -> bool {
        self.troubles.iter().any(|trouble| trouble.kind == kind)
    }

    /// The list may not be longer than its total, whatever the caller counted.
    fn unprotected_count(&self) -> u64 {
        let lines = count_of(&self.unprotected);
        let files: u64 = self.unprotected.iter().map(UnprotectedLine::files).sum();
        self.unprotected_total.max(lines) - lines + files
    }

    fn failures_count(&self) -> u64 {
        self.failures_total.max(count_of(&self.failures))
    }
}

impl Report {
    /// True when every file is protected and every folder has been checked.
    pub fn is_well(&self) -> bool {
        self.problems().is_empty()
    }

    /// One line of ASCII that says whether all is well; at most
    /// [`SUBJECT_CHARS_MAX`] characters, beginning with a letter.
    pub fn subject(&self) -> String {
        let problems = self.problems();
        let whole = subject(&self.computer, &self.verdict(&problems, problems.len()));
        if problems.len() < 2 || !whole.ends_with(text::CUT) {
            return whole;
        }
        // Say fewer of them rather than half of one.
        (1..problems.len())
            .rev()
            .map(|shown| subject(&self.computer, &self.verdict(&problems, shown)))
            .find(|line| !line.ends_with(text::CUT))
            .unwrap_or(whole)
    }

    /// The text: verdict, what to do, then each folder's figures. At most
    /// [`BODY_BYTES_MAX`] bytes; lists are cut at their ends and say so.
    pub fn body(&self) -> String {
        body::page(self).render(BODY_BYTES_MAX)
    }

    /// Subject and body.
    pub fn message(&self) -> Message {
        Message {
            subject: self.subject(),
            body: self.body(),
        }
    }

    /// What the subject says after the computer's name.
    fn verdict(&self, problems: &[String], shown: usize) -> String {
        if !problems.is_empty() {
            let more = match problems.len() - shown {
                0 => String::new(),
                left => format!("; {left} more"),
            };
            return format!("ATTENTION, {}{more}", problems[..shown].join("; "));
        }
        let files = amount(self.total(|source| source.files_protected), "file");
        match self.total(|source| count_of(&source.warnings)) {
            0 => format!("all is well, {files} protected"),
            warnings => format!(
                "all is well, {files} protected, {}",
                amount(warnings, "warning")
            ),
        }
    }

    /// What is wrong, worst first; each is part of a sentence.
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let unprotected = self.total(SourceReport::unprotected_count);
        if unprotected > 0 {
            let verb = if unprotected == 1 { "is" } else { "are" };
            problems.push(format!(
                "{} {verb} not protected",
                amount(unprotected, "file")
            ));
        }
        for kind in Kind::ALL {
            problems.extend(
                self.which(|s| s.has(kind))
                    .map(|whose| kind.verdict(&whose)),
            );
        }
        let unreachable = self.which(|source| source.outage.is_some());
        if let Some(whose) = unreachable {
            problems.push(format!("the backup of {whose} cannot be reached"));
        }
        if let Some(whose) = self.which(|source| !source.is_checked()) {
            problems.push(format!("the check of {whose} is not complete"));
        }
        problems.extend(self.drill.as_ref().and_then(report::problem));
        if problems.is_empty() && self.total(|source| source.files_protected) == 0 {
            problems.push("no file is protected yet".to_owned());
        }
        problems
    }

    /// The one source, or the number of sources, for which something holds.
    fn which(&self, holds: impl Fn(&SourceReport) -> bool) -> Option<String> {
        let mut concerned = self.sources.iter().filter(|source| holds(source));
        let first = concerned.next()?;
        match concerned.count() {
            0 => Some(shorten(&first.name, COMPUTER_CHARS_MAX)),
            more => Some(amount(more as u64 + 1, "folder")),
        }
    }

    fn total(&self, figure: impl Fn(&SourceReport) -> u64) -> u64 {
        self.sources.iter().map(figure).fold(0, u64::saturating_add)
    }
}

/// A zone of the operating system may have no name; times carry offsets then.
fn zone_name<S: Serializer>(zone: &TimeZone, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(zone.iana_name().unwrap_or("local"))
}

#[cfg(test)]
mod tests;
