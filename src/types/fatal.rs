//! A failure that stops the process.

use super::cause::{Source, said};
use super::fault::Fault;
use keepwatch_vault::VaultError;
use std::error::Error as StdError;
use std::fmt;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
