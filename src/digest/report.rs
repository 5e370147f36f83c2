//! What the digest and the alerts say, in plain words for an office owner.
//!
//! The digest task fills a [`Report`], commands and the reconcile fill a
//! [`OneOff`]; both come out as subject and body within what SNS takes. Pure:
//! it gathers nothing and sends nothing. What must never be lost when a text
//! is too long is the verdict and the counts; lists are cut instead.

mod body;
mod figures;
pub(crate) mod messages;
pub(crate) mod start;
pub(crate) mod stuck;

pub(crate) use figures::{OutageLine, ScanLine, WatchLine};
pub use figures::{Report, SourceReport, UnprotectedLine};

use crate::destination::Kind;
use crate::drill::report;
use crate::types::text;

use crate::mail::{BODY_BYTES_MAX, COMPUTER_CHARS_MAX, Message, count_of, subject};

use crate::types::{amount, shorten};

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

#[cfg(test)]
mod tests;
