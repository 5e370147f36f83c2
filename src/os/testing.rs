//! What tests of other rooms need of the operating system.

use std::cell::Cell;
use std::path::Path;

/// What this thread has asked of folders so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Folders listed.
    pub(crate) lists: u64,
    /// Names looked at.
    pub(crate) stats: u64,
}

thread_local! {
    static ASKED: Cell<Asked> = const { Cell::new(Asked { lists: 0, stats: 0 }) };
}

/// Called by [`super::Dir`].
pub(crate) fn count(change: impl FnOnce(&mut Asked)) {
    let mut asked = asked();
    change(&mut asked);
    ASKED.set(asked);
}

/// What this thread has asked of folders so far.
pub(crate) fn asked() -> Asked {
    ASKED.get()
}

/// Make a FIFO; `false` where there are none.
pub(crate) fn make_fifo(path: &Path) -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return rustix::fs::mknodat(
        rustix::fs::CWD,
        path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .is_ok();
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = path;
        false
    }
}

/// Make a socket; `false` where there are none.
pub(crate) fn make_socket(path: &Path) -> bool {
    #[cfg(unix)]
    return std::os::unix::net::UnixListener::bind(path).is_ok();
    #[cfg(windows)]
    {
        let _ = path;
        false
    }
}

/// Make a link; `false` where this account may not.
pub(crate) fn make_link(target: &Path, path: &Path) -> bool {
    #[cfg(unix)]
    return std::os::unix::fs::symlink(target, path).is_ok();
    // wine says that it has made one, and has not.
    #[cfg(windows)]
    return std::os::windows::fs::symlink_dir(target, path).is_ok()
        && path.symlink_metadata().is_ok();
}

/// Take every permission away from `path` (0), or give them all back.
pub(crate) fn set_path_mode(path: &Path, mode: u32) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    #[cfg(windows)]
    let _ = (path, mode);
}
