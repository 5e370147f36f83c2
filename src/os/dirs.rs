//! Where Keepwatch keeps its own files when the configuration does not say.

use super::platform::is_privileged;
use super::process::system_config;
use crate::types::Fatal;
use directories::ProjectDirs;
use std::path::PathBuf;

/// The folders used when the configuration names none. None is created here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultDirs {
    /// Index and control socket.
    pub state: PathBuf,
    /// Log files.
    pub log: PathBuf,
    /// What belongs to the owner: the vault of the trial run.
    pub data: PathBuf,
}

/// The default folders: the computer's own for root and for the computer's own configuration
/// (`is_system`), which is the same service whoever asks after it; the account's otherwise.
///
/// # Errors
/// [`Fatal`] (usage) when the account has no home folder.
pub fn default_dirs(is_system: bool) -> Result<DefaultDirs, Fatal> {
    let is_computers = is_system || (is_privileged() && !cfg!(windows));
    if let Some(system) = system_dirs().filter(|_| is_computers) {
        return Ok(system);
    }
    // Its names differ by platform: lower case on Linux, as given elsewhere.
    ProjectDirs::from("", "", "Keepwatch")
        .map(|dirs| account_dirs(&dirs))
        .ok_or_else(|| {
            Fatal::usage(
                "find a folder for Keepwatch's own files",
                "this account has no home folder",
                "set dir under [state] and under [log] in the configuration, or set HOME",
            )
        })
}

fn system_dirs() -> Option<DefaultDirs> {
    if cfg!(windows) {
        let folder = system_config()?.parent()?.to_owned();
        return Some(DefaultDirs {
            state: folder.join("state"),
            log: folder.join("log"),
            data: folder.join("data"),
        });
    }
    Some(if cfg!(target_os = "macos") {
        DefaultDirs {
            state: "/Library/Application Support/Keepwatch/state".into(),
            log: "/Library/Logs/Keepwatch".into(),
            data: "/Library/Application Support/Keepwatch/data".into(),
        }
    } else {
        DefaultDirs {
            state: "/var/lib/keepwatch".into(),
            log: "/var/log/keepwatch".into(),
            data: "/var/lib/keepwatch/data".into(),
        }
    })
}

fn account_dirs(dirs: &ProjectDirs) -> DefaultDirs {
    // Never the roaming folder of Windows: an index does not travel.
    let local = dirs.data_local_dir();
    let state = match dirs.state_dir() {
        Some(state) => state.to_owned(),
        None => local.join("state"),
    };
    DefaultDirs {
        log: state.join("log"),
        data: local.join("data"),
        state,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_accounts_have_their_own_places() {
        let account = account_dirs(&ProjectDirs::from("", "", "Keepwatch").unwrap());
        for dir in [&account.state, &account.log, &account.data] {
            assert!(dir.is_absolute(), "{dir:?}");
        }
        assert_ne!(account.state, account.data);
        if cfg!(target_os = "linux") {
            let system = system_dirs().unwrap();
            assert_eq!(system.state, PathBuf::from("/var/lib/keepwatch"));
            assert_eq!(system.log, PathBuf::from("/var/log/keepwatch"));
            assert!(account.log.starts_with(&account.state));
        }
    }
}
