//! How many folders the operating system lets one account watch.

/// The kernel's limits on watching folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchLimits {
    /// Folders that one account may watch.
    pub max_user_watches: u64,
    /// Watchers that one account may have.
    pub max_user_instances: u64,
}

/// The limits, where the platform has any (Linux); `None` elsewhere.
#[cfg(target_os = "linux")]
pub fn watch_limits() -> Option<WatchLimits> {
    let read = |name: &str| {
        let text = std::fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok()?;
        text.trim().parse().ok()
    };
    Some(WatchLimits {
        max_user_watches: read("max_user_watches")?,
        max_user_instances: read("max_user_instances")?,
    })
}

/// The limits, where the platform has any (Linux); `None` elsewhere.
#[cfg(not(target_os = "linux"))]
pub fn watch_limits() -> Option<WatchLimits> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn linux_tells_its_limits() {
        let limits = super::watch_limits().unwrap();
        assert!(limits.max_user_watches > 0 && limits.max_user_instances > 0);
    }
}
