//! The control socket's place, the computer's name, where configurations are,
//! and how the system asks a program to stop.

use std::io;
use std::path::{Path, PathBuf};

/// Where the daemon that owns `state_dir` listens: a socket in that folder, on
/// Windows a named pipe named after it.
pub fn control_socket(state_dir: &Path) -> PathBuf {
    if cfg!(windows) {
        let hash = crate::model::ContentHash::of(state_dir.as_os_str().as_encoded_bytes());
        PathBuf::from(format!(r"\\.\pipe\keepwatch-{}", &hash.to_hex()[..16]))
    } else {
        state_dir.join("control.sock")
    }
}

/// Remove what a killed daemon left. Only for who holds the index's lock.
pub fn remove_stale_socket(socket: &Path) {
    if cfg!(unix) {
        // Usually there is none; a real obstacle shows when binding.
        let _ = std::fs::remove_file(socket);
    }
}

/// True when the socket that was made there is not there any more. Of what cannot
/// be looked at nobody knows; a pipe goes only with who made it.
pub fn is_socket_gone(socket: &Path) -> bool {
    let missing = |error: io::Error| {
        matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        )
    };
    cfg!(unix) && std::fs::symlink_metadata(socket).is_err_and(missing)
}

/// Only the owner may talk to it (a pipe's default already says so).
///
/// # Errors
/// The mode cannot be set.
pub fn restrict_socket(socket: &Path) -> io::Result<()> {
    set_path_mode(socket, 0o600)
}

/// Set the permission bits of what stands at a path, where it has any.
///
/// # Errors
/// The mode cannot be set.
pub fn set_path_mode(path: &Path, mode: u32) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    }
    let _ = (path, mode);
    Ok(())
}

/// The computer's name, for messages.
pub fn computer_name() -> String {
    #[cfg(unix)]
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").unwrap_or_default();
    if name.is_empty() {
        "this computer".to_owned()
    } else {
        name
    }
}

/// What the system calls this computer for as long as it is installed, where it
/// says so: names change, and several computers may have one.
pub fn machine_id() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    // The second is where systems without systemd have it.
    ["/etc/machine-id", "/var/lib/dbus/machine-id"]
        .iter()
        .filter_map(|file| std::fs::read_to_string(file).ok())
        .map(|text| text.trim().to_owned())
        .find(|id| !id.is_empty() && id != "uninitialized")
}

/// Where a configuration is looked for when none is named, first match wins.
pub fn config_candidates() -> Vec<PathBuf> {
    let account = directories::ProjectDirs::from("", "", "Keepwatch")
        .map(|dirs| dirs.config_dir().join("keepwatch.toml"));
    let system = if cfg!(windows) {
        std::env::var_os("ProgramData").map(|d| PathBuf::from(d).join("Keepwatch"))
    } else if cfg!(target_os = "macos") {
        Some(PathBuf::from("/Library/Application Support/Keepwatch"))
    } else {
        Some(PathBuf::from("/etc/keepwatch"))
    };
    account
        .into_iter()
        .chain(system.map(|dir| dir.join("keepwatch.toml")))
        .collect()
}

/// The home folder of the account.
pub fn home_dir() -> Option<PathBuf> {
    directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_owned())
}

/// Returns when the system or the user asks the daemon to stop: Ctrl-C, and on
/// Unix SIGTERM. SIGHUP (a terminal that is closed, a reload that somebody asks
/// for) ends no backup: each one calls `hung_up`.
///
/// # Errors
/// The signal handlers cannot be set up.
pub async fn asked_to_end(hung_up: impl Fn()) -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let ctrl_c = tokio::signal::ctrl_c();
        tokio::pin!(ctrl_c);
        loop {
            tokio::select! {
                result = &mut ctrl_c => return result,
                _ = terminate.recv() => return Ok(()),
                Some(()) = hang_up.recv() => hung_up(),
            }
        }
    }
    #[cfg(not(unix))]
    {
        let _ = hung_up;
        tokio::signal::ctrl_c().await
    }
}

/// Returns when the system or the user asks a command to stop: Ctrl-C, and on
/// Unix SIGTERM and SIGHUP.
///
/// # Errors
/// The signal handlers cannot be set up.
pub async fn asked_to_stop() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        tokio::select! {
            result = tokio::signal::ctrl_c() => result,
            _ = terminate.recv() => Ok(()),
            _ = hang_up.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
