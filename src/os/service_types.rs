//! Windows' services as every system knows them.

use std::path::PathBuf;
use std::time::Duration;

/// A service as it is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowsService {
    /// Its name.
    pub name: String,
    /// The same for people.
    pub display_name: String,
    /// What it does.
    pub description: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments. None is a secret.
    pub arguments: Vec<String>,
    /// As which account it runs; LocalSystem when absent.
    pub account: Option<String>,
    /// Until a failed one is started again, the last value for every further time.
    pub restart_after: Vec<Duration>,
    /// How long a computer that shuts down waits for it to stop.
    pub stop_max: Duration,
}

/// A service as it is found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceFound {
    /// The command line that it is started with.
    pub command: String,
    /// The account.
    pub account: Option<String>,
    /// It starts with the computer.
    pub is_automatic: bool,
    /// Whether it runs.
    pub phase: Phase,
    /// Its process.
    pub pid: Option<u64>,
    /// Its exit code, once it has ended.
    pub exit_code: Option<u32>,
    /// It has failed, and the service manager starts it again in a while.
    pub waits_to_restart: bool,
    /// The service manager starts it again also after an end that it has reported.
    pub restarts_after_word: bool,
}

/// Whether a service runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Phase {
    /// It does not.
    #[default]
    Stopped,
    /// On its way up.
    Starting,
    /// It runs.
    Running,
    /// On its way down.
    Stopping,
}

/// How a service's work has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The exit code.
    pub code: u8,
    /// Another try may end better: what it needs was away, say.
    pub may_pass: bool,
}

/// What a service does.
pub type Work = Box<dyn FnOnce() -> Ended + Send>;
