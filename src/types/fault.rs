//! A failure of one path or one object.

use super::cause::{Source, said};
use super::class::Class;
use super::operation::Operation;
use serde::{Deserialize, Serialize};
use std::error::Error as StdError;
use std::fmt;

/// What decides besides its class what is done about a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultDetail {
    /// The disk that is written to is full, failing, read-only or gone: it refuses other
    /// files as well.
    DiskRefuses,
    /// Another program keeps the file to itself, and lets it go at any moment.
    HeldByProgram,
    /// The bytes of the version are in cold storage and must be thawed first.
    ColdStorage,
    /// The root of a source cannot be used, which says nothing of single files.
    Root,
    /// Another process writes to the vault.
    VaultInUse,
    /// The database of the index is damaged.
    IndexDamaged,
    /// The database of the index does not answer.
    IndexStuck,
}

/// A failure of one path or one object. The work on everything else goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What kind of trouble.
    pub class: Class,
    /// What was being done: `read`, `upload`, `list the versions of`.
    pub operation: Operation,
    /// The file (as shown to people) or `bucket/key` concerned.
    pub subject: String,
    /// Why it failed, as a chain of causes joined by `: `.
    pub cause: String,
    /// What the reader can do about it. Empty when it passes by itself.
    pub hint: String,
    /// For the run that meets it, and written down nowhere.
    #[serde(skip)]
    pub detail: Option<FaultDetail>,
    /// The error that it came from; written down nowhere.
    #[serde(skip)]
    pub source: Source,
}

impl Fault {
    /// A fault without a remedy; add one with [`Fault::hint`].
    pub fn new(
        class: Class,
        operation: impl Into<Operation>,
        subject: impl Into<String>,
        cause: impl Into<String>,
    ) -> Self {
        Self {
            class,
            operation: operation.into(),
            subject: subject.into(),
            cause: said(cause.into()),
            hint: String::new(),
            detail: None,
            source: Source::default(),
        }
    }

    /// The same fault with a remedy.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The same fault with the error that it came from.
    #[must_use]
    pub fn with_source(mut self, error: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Source::of(error);
        self
    }

    /// The same fault with what else decides about it.
    #[must_use]
    pub fn detail(mut self, detail: FaultDetail) -> Self {
        self.detail = Some(detail);
        self
    }

    /// The disk that is written to refuses other files as well.
    pub fn is_of_the_disk(&self) -> bool {
        self.detail == Some(FaultDetail::DiskRefuses)
    }

    /// The root of the source cannot be used: it is told of the source, not of its files.
    pub fn is_of_the_root(&self) -> bool {
        self.detail == Some(FaultDetail::Root)
    }

    /// The bytes were not given out because they are in cold storage.
    pub fn is_cold(&self) -> bool {
        self.detail == Some(FaultDetail::ColdStorage)
    }

    /// What could not be done and why, without subject and remedy.
    pub fn reason(&self) -> String {
        format!("cannot {}: {}", self.deed(), self.cause)
    }

    /// What could not be done, where its subject was named before: `list the versions of it`.
    pub fn deed(&self) -> String {
        let words = self.operation.to_string();
        match words.rsplit(' ').next() {
            Some("of" | "in" | "into" | "from" | "at" | "on") => format!("{words} it"),
            _ => words,
        }
    }

    /// The same fault, named after another subject (a file instead of its key).
    #[must_use]
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = subject.into();
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.reason())?;
        if !self.hint.is_empty() {
            write!(f, " (what to do: {})", self.hint)?;
        }
        Ok(())
    }
}

impl StdError for Fault {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Named after the bug: "b: cannot list the versions of: no".
    #[test]
    fn a_fault_is_a_whole_sentence() {
        for (operation, want) in [
            (
                "list the versions of",
                "b: cannot list the versions of it: no",
            ),
            (
                "go on with the index in",
                "b: cannot go on with the index in it: no",
            ),
            ("read", "b: cannot read: no"),
        ] {
            let fault = Fault::new(Class::Denied, operation, "b", "no");
            assert_eq!(fault.to_string(), want);
        }
    }

    #[test]
    fn a_fault_names_file_operation_cause_and_remedy() {
        let fault = Fault::new(
            Class::Unreadable,
            "read",
            "Invoices/a.xlsx",
            "permission denied",
        )
        .hint("let the account that runs Keepwatch read it");
        assert_eq!(
            fault.to_string(),
            "Invoices/a.xlsx: cannot read: permission denied (what to do: let the account that runs Keepwatch read it)"
        );
    }

    #[test]
    fn asking_is_told_from_storing() {
        for operation in ["list", "look up", "read the versioning state of"] {
            assert!(Operation::from(operation).is_reading(), "{operation}");
        }
        for operation in ["upload", "begin the upload of", "mark as deleted"] {
            assert!(!Operation::from(operation).is_reading(), "{operation}");
        }
    }

    /// As versions before stored it: an outage that is taken up again must be told from
    /// one of questions alone.
    #[test]
    fn faults_that_were_stored_before_operations_had_names_are_read() {
        for (kept, operation) in [
            (
                r#"{"class":"transient","operation":"upload","subject":"b/a.txt","cause":"reset","hint":""}"#,
                Operation::Upload,
            ),
            (
                r#"{"class":"denied","operation":"list the versions of","subject":"b","cause":"no","hint":"allow it"}"#,
                Operation::ListVersions,
            ),
            (
                r#"{"class":"unreadable","operation":"read","subject":"a.txt","cause":"permission denied","hint":""}"#,
                Operation::Other("read".to_owned()),
            ),
        ] {
            let fault: Fault = serde_json::from_str(kept).unwrap();
            assert_eq!(fault.operation, operation);
            assert_eq!(serde_json::to_string(&fault).unwrap(), kept);
        }
    }
}
