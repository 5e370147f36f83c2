//! What tests of other rooms need of the operating system.

use std::path::Path;

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
    #[cfg(windows)]
    return std::os::windows::fs::symlink_dir(target, path).is_ok();
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
