//! The control socket's place, the computer's name, where configurations are,
//! and how the system asks a program to stop.

use std::io;
use std::path::{Path, PathBuf};

/// Where the daemon that owns `state_dir` listens: a socket in that folder, on
/// Windows a named pipe named after it.
pub fn control_socket(state_dir: &Path) -> PathBuf {
    if cfg!(windows) {
        let hash = crate::types::ContentHash::of(state_dir.as_os_str().as_encoded_bytes());
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

/// The account that this program runs as, for messages.
pub fn account_name() -> String {
    #[cfg(unix)]
    {
        let id = rustix::process::geteuid().as_raw().to_string();
        let of_line = |line: &str| {
            let mut fields = line.split(':');
            let (name, is_it) = (fields.next()?, fields.nth(1)? == id);
            is_it.then(|| name.to_owned())
        };
        let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let known = accounts.lines().find_map(of_line);
        // Accounts of a directory service are not in the file.
        let told = || std::env::var("USER").ok().filter(|name| !name.is_empty());
        known
            .or_else(told)
            .unwrap_or_else(|| format!("the account number {id}"))
    }
    #[cfg(not(unix))]
    std::env::var("USERNAME").unwrap_or_else(|_| "the service's account".to_owned())
}

/// The account as Windows' Task Scheduler names it.
pub fn account_with_domain() -> String {
    match std::env::var("USERDOMAIN") {
        Ok(domain) if !domain.is_empty() => format!("{domain}\\{}", account_name()),
        _ => account_name(),
    }
}

/// Whether macOS lets this process read what it protects (Full Disk Access); `None` where
/// there is no such thing. Blocks.
pub fn full_disk_access() -> Option<bool> {
    if !cfg!(target_os = "macos") {
        return None;
    }
    // The list of such permissions is itself one of the protected files.
    let list = "/Library/Application Support/com.apple.TCC/TCC.db";
    Some(std::fs::File::open(list).is_ok())
}

/// True when this account can make files in the folder, as far as that can be
/// known before. Blocks.
pub fn can_write_in(dir: &Path) -> bool {
    #[cfg(unix)]
    {
        use rustix::fs::{Access, access};
        dir.is_dir() && access(dir, Access::WRITE_OK | Access::EXEC_OK).is_ok()
    }
    #[cfg(not(unix))]
    super::windows::can_write_in(dir)
}

/// Where a configuration is looked for when none is named, first match wins.
pub fn config_candidates() -> Vec<PathBuf> {
    let account = directories::ProjectDirs::from("", "", "Keepwatch")
        .map(|dirs| dirs.config_dir().join("keepwatch.toml"));
    account.into_iter().chain(system_config()).collect()
}

/// The computer's own configuration.
pub fn system_config() -> Option<PathBuf> {
    let folder = if cfg!(windows) {
        // A service may have no such variable; the folder has the same name in every language.
        let named = std::env::var_os("ProgramData");
        named
            .map_or_else(|| PathBuf::from(r"C:\ProgramData"), PathBuf::from)
            .join("Keepwatch")
    } else if cfg!(target_os = "macos") {
        PathBuf::from("/Library/Application Support/Keepwatch")
    } else {
        PathBuf::from("/etc/keepwatch")
    };
    Some(folder.join("keepwatch.toml"))
}

/// It is the computer's own configuration; names of files have no case on Windows.
pub fn is_system_config(file: &Path) -> bool {
    let text = |path: &Path| path.display().to_string();
    system_config().is_some_and(|system| match cfg!(windows) {
        true => text(&system).eq_ignore_ascii_case(&text(file)),
        false => system == file,
    })
}

/// Where the account's programs keep their configurations.
pub fn user_config_dir() -> PathBuf {
    directories::BaseDirs::new().map_or_else(PathBuf::new, |dirs| dirs.config_dir().to_owned())
}

/// The path without links in it; on Windows as it is, since the long form of a path there is
/// not what other programs take.
pub fn plain_path(path: PathBuf) -> PathBuf {
    match cfg!(windows) {
        true => path,
        false => path.canonicalize().unwrap_or(path),
    }
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
        tokio::select! {
            heard = tokio::signal::ctrl_c() => heard,
            () = super::windows::as_service::service_asked_to_stop() => Ok(()),
        }
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

/// A command line for the system's shell, with no input, both outputs to be read, and
/// ended when it is dropped.
pub fn shell_command(line: &str) -> tokio::process::Command {
    #[cfg(not(windows))]
    let mut command = {
        let mut command = tokio::process::Command::new("sh");
        command.args(["-c", line]);
        // A group of its own, so that ending it ends what it has started.
        command.process_group(0);
        command
    };
    #[cfg(windows)]
    let mut command = {
        let mut command = tokio::process::Command::new("cmd.exe");
        // `cmd.exe` wants the whole line in one more pair of quotes, unescaped.
        command.arg("/C").raw_arg(format!("\"{line}\""));
        command
    };
    command
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true);
    command
}

/// End at once what a command of [`shell_command`] has started, which had this id, where
/// the system can tell (Unix); it may have ended itself.
pub fn end_group(id: u32) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(id)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
    {
        // There may be nothing left of it.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = id;
}
