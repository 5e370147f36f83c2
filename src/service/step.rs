//! One thing that is done to install or to remove a service.

use crate::os::{WindowsService, shell_word};
use std::path::PathBuf;

/// Whose something becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The account.
    pub user: String,
    /// The account whose group it gets.
    pub group: String,
}

impl Owner {
    /// Account and group of one name.
    pub(super) fn of(name: &str) -> Self {
        Self {
            user: name.to_owned(),
            group: name.to_owned(),
        }
    }
}

/// Another program that is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The program.
    pub program: &'static str,
    /// Its arguments. None is a secret.
    pub arguments: Vec<String>,
}

impl Call {
    /// A program with these arguments.
    pub(super) fn new(
        program: &'static str,
        arguments: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self {
            program,
            arguments: arguments.into_iter().map(Into::into).collect(),
        }
    }

    /// As it is typed.
    pub fn line(&self) -> String {
        let words = self.arguments.iter().map(|word| shell_word(word));
        let line: Vec<String> = std::iter::once(self.program.to_owned())
            .chain(words)
            .collect();
        line.join(" ")
    }
}

/// One thing that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Make an account that nobody can log on as.
    MakeAccount {
        /// Its name.
        name: String,
        /// How.
        call: Call,
    },
    /// Make a folder, and give it to its owner.
    MakeFolder {
        /// The folder.
        path: PathBuf,
        /// Permission bits.
        mode: u32,
        /// Whose; of whoever makes it when absent.
        owner: Option<Owner>,
        /// One that is there already is left as it is.
        only_new: bool,
    },
    /// Give what is there to its owner, where it is there.
    Give {
        /// The file or folder.
        path: PathBuf,
        /// Permission bits.
        mode: u32,
        /// Whose.
        owner: Owner,
    },
    /// Make a source's marker, and give it to its owner: the service itself may not write there.
    MakeMarker {
        /// The source's folder.
        folder: PathBuf,
        /// Whose.
        owner: Owner,
    },
    /// Write a file that says what the service is.
    Write {
        /// The file.
        path: PathBuf,
        /// What is in it.
        content: String,
        /// Permission bits.
        mode: u32,
    },
    /// Remove a file that says what the service is.
    Remove {
        /// The file.
        path: PathBuf,
    },
    /// Register a Windows service, or bring it up to date.
    Register {
        /// The service.
        service: Box<WindowsService>,
    },
    /// Stop a Windows service, and remove it from the register.
    Unregister {
        /// Its name.
        name: String,
    },
    /// Run a program.
    Run {
        /// The program.
        call: Call,
        /// What for.
        what: &'static str,
        /// Only when a file has been written or removed before.
        after_change: bool,
        /// It may fail: what it undoes is not there.
        may_fail: bool,
    },
}

impl Step {
    /// What it does, for people, without its end.
    pub fn describe(&self) -> String {
        let whose = |owner: &Owner| match owner.user == owner.group {
            true => format!("for {}", owner.user),
            false => format!("for {} and the group {}", owner.user, owner.group),
        };
        match self {
            Self::MakeAccount { name, call } => format!(
                "make the account {name}, which nobody can log on as ({})",
                call.line()
            ),
            Self::MakeFolder {
                path, mode, owner, ..
            } => format!(
                "make the folder {} {} (mode {mode:04o})",
                path.display(),
                owner
                    .as_ref()
                    .map_or_else(|| "for this account".to_owned(), whose)
            ),
            Self::Give { path, mode, owner } => {
                format!("keep {} {} (mode {mode:04o})", path.display(), whose(owner))
            }
            Self::MakeMarker { folder, owner } => format!(
                "put Keepwatch's marker {} {}: it may write nothing else there",
                folder.join(crate::files::MARKER_FILE_NAME).display(),
                whose(owner)
            ),
            Self::Write { path, .. } => format!("write {}", path.display()),
            Self::Remove { path } => format!("remove {}", path.display()),
            Self::Register { service } => format!(
                "register the service {}, which starts with the computer as {} and again after a failure",
                service.name,
                service.account.as_deref().unwrap_or("LocalSystem")
            ),
            Self::Unregister { name } => format!("stop the service {name}, and remove it"),
            Self::Run { call, what, .. } => format!("{what} ({})", call.line()),
        }
    }
}
