//! How many folders the operating system lets one account watch.

use super::trouble::{Trouble, trouble};
use std::io;

/// What is enough for a million folders; a watch takes some 500 bytes of the
/// kernel's memory while it is used, the limit itself takes none.
#[cfg(any(target_os = "linux", test))]
const WATCHES_WANTED: u64 = 1_048_576;

/// Each program that watches folders takes one or a few.
#[cfg(target_os = "linux")]
const INSTANCES_WANTED: u64 = 1_024;

/// One limit of the kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchLimit {
    /// What counts here.
    pub value: u64,
    /// The name that `sysctl` knows it by.
    pub key: &'static str,
    /// Enough for nearly everybody.
    wanted: u64,
}

impl WatchLimit {
    /// The one command that raises it, now and after the next start.
    pub fn remedy(&self) -> String {
        let to = self.wanted.max(self.value.saturating_mul(2));
        let (_, name) = self.key.rsplit_once('.').unwrap_or(("", self.key));
        let file = format!("/etc/sysctl.d/90-keepwatch-{}.conf", name.replace('_', "-"));
        format!(
            "echo {}={to} | sudo tee {file} && sudo sysctl -p {file}",
            self.key
        )
    }
}

/// The kernel's limits on watching folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchLimits {
    /// Folders that one account may watch.
    pub watches: WatchLimit,
    /// Watchers that one account may have.
    pub instances: WatchLimit,
}

/// Which limit an attempt to watch has met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitMet {
    /// No more folders can be watched.
    Watches,
    /// No more watchers can be made.
    Instances,
    /// This process has too many files open: no limit of watching at all.
    OpenFiles,
}

/// Which limit this error of a watch is about; `None` when it is about something else.
/// Only Linux has limits on watching, and numbers mean other things elsewhere.
pub fn limit_met(error: &io::Error) -> Option<LimitMet> {
    match trouble(error) {
        Trouble::Full if cfg!(target_os = "linux") => Some(LimitMet::Watches),
        Trouble::TooManyOpen => Some(
            // The same answer for two limits: with one more file open it is inotify's.
            match cfg!(target_os = "linux") && std::fs::File::open(std::env::temp_dir()).is_ok() {
                true => LimitMet::Instances,
                false => LimitMet::OpenFiles,
            },
        ),
        _ => None,
    }
}

/// In a container or user namespace the lower of two limits counts.
#[cfg(any(target_os = "linux", test))]
fn effective(
    system: u64,
    namespace: Option<u64>,
    keys: [&'static str; 2],
    wanted: u64,
) -> WatchLimit {
    match namespace {
        Some(value) if value < system => WatchLimit {
            value,
            key: keys[1],
            wanted,
        },
        _ => WatchLimit {
            value: system,
            key: keys[0],
            wanted,
        },
    }
}

/// The limits, where the platform has any (Linux); `None` elsewhere.
#[cfg(target_os = "linux")]
pub fn watch_limits() -> Option<WatchLimits> {
    let read = |path: &str| {
        let text = std::fs::read_to_string(path).ok()?;
        text.trim().parse().ok()
    };
    Some(WatchLimits {
        watches: effective(
            read("/proc/sys/fs/inotify/max_user_watches")?,
            read("/proc/sys/user/max_inotify_watches"),
            ["fs.inotify.max_user_watches", "user.max_inotify_watches"],
            WATCHES_WANTED,
        ),
        instances: effective(
            read("/proc/sys/fs/inotify/max_user_instances")?,
            read("/proc/sys/user/max_inotify_instances"),
            [
                "fs.inotify.max_user_instances",
                "user.max_inotify_instances",
            ],
            INSTANCES_WANTED,
        ),
    })
}

/// The limits, where the platform has any (Linux); `None` elsewhere.
#[cfg(not(target_os = "linux"))]
pub fn watch_limits() -> Option<WatchLimits> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_tells_its_limits() {
        let limits = watch_limits().unwrap();
        assert!(limits.watches.value > 0 && limits.instances.value > 0);
    }

    #[test]
    fn the_lower_limit_counts_and_its_remedy_names_it() {
        let keys = ["fs.inotify.max_user_watches", "user.max_inotify_watches"];
        for (system, namespace, want, to) in [
            (
                8_192,
                None,
                ("fs.inotify.max_user_watches", 8_192),
                1_048_576,
            ),
            (
                8_192,
                Some(8_192),
                ("fs.inotify.max_user_watches", 8_192),
                1_048_576,
            ),
            (8_192, Some(20), ("user.max_inotify_watches", 20), 1_048_576),
            (
                2_000_000,
                None,
                ("fs.inotify.max_user_watches", 2_000_000),
                4_000_000,
            ),
        ] {
            let limit = effective(system, namespace, keys, WATCHES_WANTED);
            assert_eq!((limit.key, limit.value), want);
            let remedy = limit.remedy();
            assert!(remedy.contains(&format!("{}={to} ", want.0)), "{remedy}");
            assert!(
                remedy.contains("sysctl -p /etc/sysctl.d/90-keepwatch-max-"),
                "{remedy}"
            );
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn errors_tell_which_limit_is_met() {
        use rustix::io::Errno;
        for (errno, want) in [
            (Errno::NOSPC, Some(LimitMet::Watches)),
            (Errno::MFILE, Some(LimitMet::Instances)),
            (Errno::ACCESS, None),
        ] {
            let error = io::Error::from_raw_os_error(errno.raw_os_error());
            assert_eq!(limit_met(&error), want, "{errno:?}");
        }
    }

    /// "Bad length" and "out of paper", which Linux uses the numbers of for its limits.
    #[cfg(windows)]
    #[test]
    fn the_numbers_of_other_errors_are_no_limits() {
        for (code, want) in [
            (24, None),
            (28, None),
            (112, None),
            (4, Some(LimitMet::OpenFiles)),
        ] {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(limit_met(&error), want, "{code}");
        }
    }
}
