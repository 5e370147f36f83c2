//! The two kinds of failure, and nothing else.
//!
//! [`Fatal`] stops the process. [`Fault`] concerns one path or one object and
//! the work goes on. They are two types so that neither can be mistaken for
//! the other. Both say what was being done, to what, why it failed and what to
//! do about it; both are logged once, where they stop travelling. Neither may
//! ever carry a credential.

use super::operation::Operation;
use keepwatch_vault::VaultError;
use serde::{Deserialize, Serialize};
use std::error::Error as StdError;
use std::sync::Arc;
use std::{fmt, io};

/// The error that a failure came from, for [`StdError::source`]. It is neither shown,
/// nor stored, nor compared: the cause in words says all of it.
#[derive(Clone, Default)]
pub struct Source(Option<Arc<dyn StdError + Send + Sync>>);

impl Source {
    fn get(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.as_deref().map(|error| error as _)
    }
}

impl fmt::Debug for Source {
    /// Errors of libraries may show what they were called with, credentials included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

impl PartialEq for Source {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Source {}

/// Why the process ends, which decides its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FatalKind {
    /// Something failed that the whole run depends on (exit code 1).
    Failed,
    /// The command line or the configuration is wrong (exit code 2).
    Usage,
    /// Somebody asked the process to stop before it was done (exit code 130).
    Interrupted,
}

/// A failure that ends the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fatal {
    /// Decides the exit code.
    pub kind: FatalKind,
    /// What was being done and to what, e.g. `open the index in /var/lib/keepwatch`.
    pub operation: String,
    /// Why it failed, as a chain of causes joined by `: `.
    pub cause: String,
    /// What the reader can do about it. Empty when nothing helps.
    pub hint: String,
    /// The error that it came from.
    pub source: Source,
}

impl Fatal {
    /// A failure of something the whole run depends on (exit code 1).
    pub fn new(
        operation: impl Into<String>,
        cause: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            kind: FatalKind::Failed,
            operation: operation.into(),
            cause: said(cause.into()),
            hint: hint.into(),
            source: Source::default(),
        }
    }

    /// The same, because of an error: its causes are the cause, and its source.
    pub fn from_error(
        operation: impl Into<String>,
        error: impl StdError + Send + Sync + 'static,
        hint: impl Into<String>,
    ) -> Self {
        let fatal = Self::new(operation, chain(&error), hint);
        Self {
            source: Source(Some(Arc::new(error))),
            ..fatal
        }
    }

    /// A wrong command line or configuration (exit code 2).
    pub fn usage(
        operation: impl Into<String>,
        cause: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            kind: FatalKind::Usage,
            ..Self::new(operation, cause, hint)
        }
    }

    /// The process was asked to stop before its work was complete (exit code 130).
    pub fn interrupted(operation: impl Into<String>) -> Self {
        Self {
            kind: FatalKind::Interrupted,
            ..Self::new(
                operation,
                "interrupted",
                "nothing is lost; run it again to go on",
            )
        }
    }

    /// The same as its display, on one line.
    pub fn one_line(&self) -> String {
        self.to_string().replace("\n  ", "; ")
    }

    /// The process exit code for this failure.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            FatalKind::Failed => 1,
            FatalKind::Usage => 2,
            FatalKind::Interrupted => 130,
        }
    }
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.operation, self.cause)?;
        if !self.hint.is_empty() {
            write!(f, "\n  what to do: {}", self.hint)?;
        }
        Ok(())
    }
}

impl StdError for Fatal {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.get()
    }
}

/// What kind of trouble one path or one request met. Decides retry and remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The network or the server is failing for now: time-out, reset, 5xx.
    Transient,
    /// The server asks for fewer requests (503 SlowDown, 429).
    SlowDown,
    /// Credentials are missing, wrong or expired.
    Credentials,
    /// The credentials are good but not allowed to do this.
    Denied,
    /// Whoever answers cannot prove to be the server: its certificate is not trusted,
    /// or no encryption can be agreed on.
    Untrusted,
    /// The bucket does not exist.
    NoBucket,
    /// The destination has no room left (a full disk, a quota): small things may
    /// still fit.
    Full,
    /// The key, version or upload does not exist in the bucket.
    NotFound,
    /// The server refused the request as such (400, 501): it will not pass by itself.
    Refused,
    /// The file was there and is gone.
    Vanished,
    /// The file changed while it was read.
    Changed,
    /// The operating system does not let us read the file.
    Unreadable,
    /// The file cannot be represented in the bucket (path too long).
    Unstorable,
    /// What came back is not what was stored (hash differs, metadata broken).
    Damaged,
    /// This computer fails: disk full, index broken.
    Local,
}

impl Class {
    /// True when trying again later, with nobody doing anything, can succeed.
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Class::Transient | Class::SlowDown | Class::Changed | Class::Local
        )
    }

    /// True when the trouble is the destination's (bucket, credentials,
    /// network) and will meet every other path in the same way.
    pub fn is_destination(self) -> bool {
        matches!(
            self,
            Class::Transient
                | Class::SlowDown
                | Class::Credentials
                | Class::Denied
                | Class::Untrusted
                | Class::NoBucket
                | Class::Full
        )
    }

    /// True when whoever only reads can stop at once: no other object is to be had
    /// either, and waiting mends nothing.
    pub fn ends_reading(self) -> bool {
        matches!(
            self,
            Class::Credentials | Class::NoBucket | Class::Untrusted
        )
    }
}

/// What decides besides its class what is done about a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultDetail {
    /// The disk that is written to is full, failing, read-only or gone: it refuses other
    /// files as well.
    DiskRefuses,
    /// The bytes of the version are in cold storage and must be thawed first.
    ColdStorage,
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

    /// The same because of an error: its causes are the cause, and its source.
    pub fn from_error(
        class: Class,
        operation: impl Into<Operation>,
        subject: impl Into<String>,
        error: impl StdError + Send + Sync + 'static,
    ) -> Self {
        Self::new(class, operation, subject, chain(&error)).with_source(error)
    }

    /// The same fault with the error that it came from.
    #[must_use]
    pub fn with_source(mut self, error: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Source(Some(Arc::new(error)));
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

    /// The bytes were not given out because they are in cold storage.
    pub fn is_cold(&self) -> bool {
        self.detail == Some(FaultDetail::ColdStorage)
    }

    /// What could not be done and why, without subject and remedy.
    pub fn reason(&self) -> String {
        format!("cannot {}: {}", self.operation, self.cause)
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

/// A fault that nothing can outlive becomes fatal.
impl From<Fault> for Fatal {
    fn from(fault: Fault) -> Self {
        Fatal {
            source: fault.source,
            ..Fatal::new(
                format!("{} {}", fault.operation, fault.subject),
                fault.cause,
                fault.hint,
            )
        }
    }
}

/// A vault that cannot be used ends the process.
impl From<VaultError> for Fatal {
    fn from(error: VaultError) -> Self {
        let kind = match error.is_misuse {
            true => FatalKind::Usage,
            false => FatalKind::Failed,
        };
        Fatal {
            kind,
            ..Fatal::new(error.operation, error.cause, error.hint)
        }
    }
}

/// No message ends in nothing: who gave no reason is said to have given none.
fn said(cause: String) -> String {
    match cause.trim().is_empty() {
        true => "no reason was given".to_owned(),
        false => cause,
    }
}

/// The chain of causes of an error as one line, outermost first.
///
/// A level that only repeats the one below it, or says nothing, is left out.
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string().trim().to_owned();
    let mut next = below(error);
    while let Some(cause) = next {
        let line = cause.to_string();
        let line = line.trim();
        if !text.ends_with(line) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(line);
        }
        next = below(cause);
    }
    text
}

/// The cause of an error. A [`Fault`] or [`Fatal`] tells its own causes.
fn below<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    let is_ours = |error: &(dyn StdError + 'static)| error.is::<Fault>() || error.is::<Fatal>();
    let inside = error.downcast_ref().and_then(io::Error::get_ref);
    let is_told = is_ours(error) || inside.is_some_and(|inside| is_ours(inside));
    error.source().filter(|_| !is_told)
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[derive(Debug)]
    struct Says(&'static str, Option<Box<Says>>);

    impl fmt::Display for Says {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl StdError for Says {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    #[test]
    fn no_message_has_an_empty_cause() {
        for cause in ["", " ", "\n"] {
            let fault = Fault::new(Class::Refused, "copy", "a", cause);
            assert_eq!(fault.to_string(), "a: cannot copy: no reason was given");
            let fatal = Fatal::new("open the index", cause, "");
            assert_eq!(
                fatal.to_string(),
                "cannot open the index: no reason was given"
            );
        }
        for (outer, inner, want) in [
            ("", "the disk is full", "the disk is full"),
            ("it failed", "", "it failed"),
            ("it failed", " \n", "it failed"),
            (
                "it failed",
                "the disk is full",
                "it failed: the disk is full",
            ),
            ("", "", ""),
        ] {
            let error = Says(outer, Some(Box::new(Says(inner, None))));
            assert_eq!(chain(&error), want);
        }
    }

    #[test]
    fn a_fatal_error_fits_one_line() {
        let fatal = Fatal::new("open the index", "disk full", "free some space");
        assert_eq!(
            fatal.one_line(),
            "cannot open the index: disk full; what to do: free some space"
        );
    }

    #[test]
    fn exit_codes_follow_the_kind() {
        assert_eq!(Fatal::new("a", "b", "").exit_code(), 1);
        assert_eq!(Fatal::usage("a", "b", "").exit_code(), 2);
        assert_eq!(Fatal::interrupted("a").exit_code(), 130);
    }

    #[test]
    fn what_the_vault_says_is_said_in_full() {
        let error = VaultError {
            path: "/mnt/disk".into(),
            operation: "open the vault in /mnt/disk".to_owned(),
            cause: "permission denied".to_owned(),
            hint: "check that the disk is attached".to_owned(),
            is_misuse: false,
        };
        let misuse = VaultError {
            is_misuse: true,
            ..error.clone()
        };
        let fatal = Fatal::from(error);
        assert_eq!(
            fatal.to_string(),
            "cannot open the vault in /mnt/disk: permission denied\n  what to do: check that the disk is attached"
        );
        assert_eq!(fatal.exit_code(), 1);
        assert_eq!(Fatal::from(misuse).exit_code(), 2);
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

    /// A source is a real error, and neither shown, nor stored, nor compared.
    #[test]
    fn what_a_failure_came_from_is_kept_beside_what_it_says() {
        let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
        let plain = Fault::new(Class::Local, "write", "a", chain(&denied()));
        let fault = Fault::from_error(Class::Local, "write", "a", denied());
        assert_eq!(fault, plain);
        assert_eq!(fault.to_string(), plain.to_string());
        assert_eq!(format!("{fault:?}"), format!("{plain:?}"));
        assert_eq!(
            serde_json::to_string(&fault).unwrap(),
            serde_json::to_string(&plain).unwrap()
        );
        let kind = |error: &dyn StdError| {
            let source = error.source().and_then(|error| error.downcast_ref());
            source.map(io::Error::kind)
        };
        assert_eq!(kind(&fault), Some(io::ErrorKind::PermissionDenied));
        assert!(plain.source().is_none());
        // What passes a reader on its way says nothing twice.
        let passed = io::Error::other(fault.clone().hint("do"));
        assert_eq!(chain(&passed), fault.clone().hint("do").to_string());
        let fatal = Fatal::from(fault);
        assert_eq!(kind(&fatal), Some(io::ErrorKind::PermissionDenied));
        assert_eq!(fatal, Fatal::from(plain));
    }

    #[test]
    fn destination_trouble_is_told_from_trouble_with_one_file() {
        for class in [
            Class::Transient,
            Class::Credentials,
            Class::Untrusted,
            Class::NoBucket,
        ] {
            assert!(class.is_destination(), "{class:?}");
        }
        for class in [
            Class::Unreadable,
            Class::Changed,
            Class::Refused,
            Class::Local,
        ] {
            assert!(!class.is_destination(), "{class:?}");
        }
    }
}
