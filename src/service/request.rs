//! What service is wished.

use std::path::{Path, PathBuf};

/// The account that is made for the service.
pub const OWN_ACCOUNT: &str = "keepwatch";

/// The name under which the service is registered.
pub const NAME: &str = "keepwatch";

/// Time that a stop takes beside the uploads that it lets end: the index is written and the
/// state is written down within 10 s each, and what hangs is left behind after 2.
const STOP_REST_S: u64 = 30;

/// Who the service belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The computer: it starts with it.
    System,
    /// One account: it starts when that logs on.
    User,
}

/// As which account the service runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// One of its own, which may read everything and write nothing but Keepwatch's folders.
    Own,
    /// The one with all rights: root, or Windows' LocalSystem.
    Highest,
    /// One that is there already, with its own rights.
    Named(String),
    /// Whoever installs it.
    Caller,
}

/// A folder that is backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// The folder.
    pub path: PathBuf,
    /// Keepwatch keeps a marker in it.
    pub has_marker: bool,
}

/// The service that is wished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Whose it is.
    pub level: Level,
    /// As which account it runs.
    pub account: Account,
    /// The program.
    pub program: PathBuf,
    /// The configuration.
    pub config: PathBuf,
    /// The configuration is the computer's own, in a folder that is Keepwatch's.
    pub is_usual_config: bool,
    /// Index and control socket.
    pub state_dir: PathBuf,
    /// Log files.
    pub log_dir: PathBuf,
    /// The configuration says so, and whoever reads it knows where they are.
    pub names_folders: bool,
    /// What is backed up.
    pub folders: Vec<Folder>,
    /// The vault, where the copies go into one.
    pub vault: Option<PathBuf>,
    /// The file with the keys, where it is not looked for in the account's home folder.
    pub credentials: Option<PathBuf>,
    /// How long a stop lets uploads end.
    pub shutdown_timeout_ms: u64,
}

impl Request {
    /// The account's name; `None` for the one with all rights and for the caller's.
    pub(super) fn account_name(&self) -> Option<&str> {
        match &self.account {
            Account::Own => Some(OWN_ACCOUNT),
            Account::Named(name) => Some(name),
            Account::Highest | Account::Caller => None,
        }
    }

    /// Arguments of the program, as systemd and launchd start it.
    pub(super) fn arguments(&self) -> [&Path; 2] {
        [Path::new("--config"), &self.config]
    }

    /// Longer than any stop takes, seconds.
    pub(super) fn stop_max_s(&self) -> u64 {
        self.shutdown_timeout_ms.div_ceil(1_000) + STOP_REST_S
    }

    /// Variables that the service is started with. None is a secret.
    pub(super) fn variables(&self) -> Vec<(&'static str, &Path)> {
        let mut variables = Vec::new();
        if let Some(file) = &self.credentials {
            variables.push(("AWS_SHARED_CREDENTIALS_FILE", file.as_path()));
        }
        if !self.names_folders {
            variables.push(("KEEPWATCH_STATE__DIR", self.state_dir.as_path()));
            variables.push(("KEEPWATCH_LOG__DIR", self.log_dir.as_path()));
        }
        variables
    }

    /// What the packages for Linux bring: the computer's own configuration, whatever is in it.
    pub fn packaged() -> Self {
        Self {
            level: Level::System,
            account: Account::Own,
            program: "/usr/bin/keepwatch".into(),
            config: "/etc/keepwatch/keepwatch.toml".into(),
            is_usual_config: true,
            state_dir: "/var/lib/keepwatch".into(),
            log_dir: "/var/log/keepwatch".into(),
            names_folders: true,
            folders: Vec::new(),
            vault: None,
            credentials: Some("/etc/keepwatch/credentials".into()),
            shutdown_timeout_ms: 30_000,
        }
    }
}

/// Whether Windows keeps a password for this account. Those that the system or the domain
/// manages have none.
pub fn has_password(account: &str) -> bool {
    !account.ends_with('$') && !account.to_uppercase().starts_with("NT ")
}
