//! What a check has found, and how it is reported.

use crate::cli::show;
use crate::types::{Class, Fault};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// How one check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Severity {
    Good,
    Warning,
    Bad,
}

/// One line of the answer.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct CheckFinding {
    pub(crate) verdict: Severity,
    /// What was looked at.
    pub(crate) about: String,
    /// What was found, and what to do.
    pub(crate) text: String,
    /// The file that the text names, and nothing beside it.
    #[serde(skip)]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Default)]
pub(crate) struct Findings(pub(crate) Vec<CheckFinding>, show::Told);

/// The name under which a failure of all buckets is reported.
pub(crate) const SERVER: &str = "server and credentials";

impl Findings {
    pub(crate) fn add(&mut self, verdict: Severity, about: &str, text: impl Into<String>) {
        self.0.push(CheckFinding {
            verdict,
            about: about.to_owned(),
            text: text.into(),
            file: None,
        });
    }

    /// A file that is as it should be.
    pub(crate) fn add_file(&mut self, about: &str, file: &Path) {
        self.0.push(CheckFinding {
            verdict: Severity::Good,
            about: about.to_owned(),
            text: file.display().to_string(),
            file: Some(file.to_owned()),
        });
    }

    /// True when the trouble is not the bucket's. It is explained once, and whatever else
    /// fails for it only refers to that.
    pub(crate) fn fault(&mut self, about: &str, fault: &Fault) -> bool {
        let is_of_all = matches!(
            fault.class,
            Class::Credentials | Class::Untrusted | Class::Transient
        );
        if !is_of_all {
            let line = self.1.line(fault);
            self.add(Severity::Bad, about, line);
            return false;
        }
        let told = format!("{} (what to do: {})", fault.cause, fault.hint);
        if !self.0.iter().any(|finding| finding.text == told) {
            self.add(Severity::Bad, SERVER, told);
        }
        self.add(
            Severity::Bad,
            about,
            format!("could not be looked at, as said under `{SERVER}`"),
        );
        true
    }
}
