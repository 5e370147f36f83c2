//! What the program is given in addition to the configuration file.

use super::settings::Config;
use crate::types::{Fatal, Home};
use std::path::PathBuf;

/// What the command line overrides, and what the command needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--log-level`.
    pub log_level: Option<String>,
    /// What must be there for this command.
    pub needs: Needs,
}

/// What of the places that a configuration names must be there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Needs {
    /// All of them: `check` is asked whether they are.
    #[default]
    All,
    /// Where the copies go. A source that is away is told by message and backed
    /// up when it is there; the others do not wait for it.
    Store,
    /// The same, for commands that read only the bucket: on a new computer the
    /// sources are not there yet, and `restore` must work all the same.
    StoreAlone,
    /// None: whoever asks the running daemon touches nothing itself.
    Nothing,
}

impl Needs {
    /// All folders of the sources.
    pub(super) fn sources(self) -> bool {
        self == Self::All
    }

    /// The vault's folder, where there is one.
    pub(super) fn vault(self) -> bool {
        self != Self::Nothing
    }

    /// Patterns that leave out what they say.
    pub(super) fn patterns(self) -> bool {
        matches!(self, Self::All | Self::Store)
    }
}

/// What the platform offers when the configuration is silent.
#[derive(Debug, Clone)]
pub struct Defaults {
    /// Folder of the index and the control socket.
    pub state_dir: PathBuf,
    /// Folder of the log files.
    pub log_dir: PathBuf,
    /// What `~` stands for.
    pub home: Home,
    /// The computer's own zone.
    pub computer_time_zone: jiff::tz::TimeZone,
}

/// A configuration that cannot be used.
#[derive(Debug, Clone)]
pub struct Unusable {
    /// Why.
    pub why: Fatal,
    /// What is right in it, to tell of the rest: topic, state and log. `None` where
    /// these are not certain. Nothing may be backed up by it.
    pub rest: Option<Box<Config>>,
}

impl From<Fatal> for Unusable {
    fn from(why: Fatal) -> Self {
        Self { why, rest: None }
    }
}
