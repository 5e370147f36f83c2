//! What the system's service manager is told by the process that it has started: systemd by
//! sd_notify, Windows by the service's own status. Any other start has nobody to tell.

use super::told::Told;
#[cfg(target_os = "linux")]
use crate::types::command;
use std::path::Path;
use std::time::Duration;

/// Tell the service manager, where one has started this process. Blocks while that is busy.
pub fn tell_manager(told: &Told) {
    #[cfg(target_os = "linux")]
    {
        use sd_notify::NotifyState;
        let states = match told {
            Told::Ready(words) => vec![NotifyState::Ready, NotifyState::Status(words)],
            Told::Alive => vec![NotifyState::Watchdog],
            Told::Status(words) => vec![NotifyState::Status(words)],
            Told::Stopping(limit) => vec![
                NotifyState::Stopping,
                NotifyState::Status("stopping"),
                NotifyState::ExtendTimeoutUsec(
                    u32::try_from(limit.as_micros()).unwrap_or(u32::MAX),
                ),
            ],
        };
        // A manager that does not listen has nothing to hear.
        let _ = sd_notify::notify(&states);
    }
    #[cfg(windows)]
    super::windows::as_service::tell_service(told);
    let _ = told;
}

/// How often the manager's watchdog wants to hear that this process is well; `None` where it
/// has none.
pub fn manager_watchdog() -> Option<Duration> {
    #[cfg(target_os = "linux")]
    return sd_notify::watchdog_enabled();
    #[cfg(not(target_os = "linux"))]
    None
}

/// Who keeps services running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Services {
    /// Windows' service manager, and its Task Scheduler.
    Windows,
    /// macOS's launchd.
    Launchd,
    /// systemd, where [`has_systemd`] says so.
    Others,
}

/// Who keeps services running here.
pub const SERVICES: Services = if cfg!(windows) {
    Services::Windows
} else if cfg!(target_os = "macos") {
    Services::Launchd
} else {
    Services::Others
};

/// Whether a service gets an account of its own, which is made for it.
pub const SERVICE_HAS_OWN_ACCOUNT: bool = cfg!(target_os = "linux");

/// This account may install, start and stop the computer's services.
pub fn may_change_services() -> bool {
    // What Windows allows, it says itself.
    cfg!(windows) || super::platform::is_privileged()
}

/// A command as the administrator gives it.
pub fn with_rights(line: &str) -> String {
    match cfg!(windows) {
        true => format!("in a terminal opened with \"Run as administrator\": {line}"),
        false if super::platform::is_privileged() => line.to_owned(),
        false => format!("sudo {line}"),
    }
}

/// The command that shows what a service prints, where the system keeps that.
pub fn service_journal(is_users: bool) -> Option<&'static str> {
    has_systemd().then_some(match is_users {
        true => "journalctl --user-unit keepwatch",
        false => "journalctl --unit keepwatch",
    })
}

/// What to do where this process is a service of systemd whose unit lets it write to few places:
/// the rest of the computer is read-only to it, just as a disk that is write-protected. `None`
/// where it is not. Blocks.
pub fn remedy_for_read_only() -> Option<String> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{StatVfsMountFlags, statvfs};
        // systemd sets it for a service that says how it is, and for nothing in a session.
        let is_service = std::env::var_os("NOTIFY_SOCKET").is_some();
        let is_fenced = || {
            let root = statvfs("/");
            root.is_ok_and(|root| root.f_flag.contains(StatVfsMountFlags::RDONLY))
        };
        if is_service && is_fenced() {
            let install = with_rights(&command::with_configuration("service install"));
            return Some(format!(
                "have the service's unit made from the configuration, so that it may write there: {install} (unless the disk itself is write-protected)"
            ));
        }
    }
    None
}

/// The computer is run by systemd.
pub fn has_systemd() -> bool {
    cfg!(target_os = "linux") && Path::new("/run/systemd/system").is_dir()
}
