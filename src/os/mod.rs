//! What differs between operating systems, and nothing else.
//!
//! `files` does all its work through [`Dir`], a handle on one folder whose
//! operations take a single name and never follow a link; everyone else comes
//! here for default folders, private files and limits. This room decides
//! nothing about backup, logs nothing and keeps no state. Every function
//! blocks. The only `cfg(unix)` and `cfg(windows)` of the crate are here.

mod attributes;
pub(crate) mod blocking;
pub(crate) mod clock;
mod dirs;
mod limits;
mod mounts;
mod names;
mod process;
mod shell;
mod strangers;
mod trouble;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

/// Whether attributes of files are read and given here. Elsewhere a folder is no file
/// that can be opened for it.
pub const KEEPS_ATTRIBUTES: bool = cfg!(target_os = "linux");

pub use attributes::{Named, attribute_names, attributes_of, remove_attribute, set_attribute};
pub use dirs::{DefaultDirs, default_dirs};
pub use limits::{LimitMet, WatchLimit, WatchLimits, limit_met, watch_limits};
pub use mounts::{Mount, Mounts, changes_unseen, mounts_of};
pub use names::NameRefused;
pub use process::{
    account_name, asked_to_end, asked_to_stop, can_write_in, computer_name, config_candidates,
    control_socket, end_group, home_dir, is_socket_gone, machine_id, remove_stale_socket,
    restrict_socket, set_path_mode, shell_command,
};
pub use shell::shell_word;
pub use strangers::{Strange, account, invoked_by, strange};
pub use trouble::{Trouble, trouble};
#[cfg(unix)]
pub use unix::{
    Dir, bytes_of_name, create_private_dir_all, fingerprint_of, folder_id, free_bytes,
    is_bad_descriptor, is_own, is_own_private_file, is_privileged, name_of_bytes,
    path_for_patterns, private_options, set_mode, set_owner, sparse_bytes, steady_ms,
    writable_name,
};
#[cfg(windows)]
pub use windows::{
    Dir, bytes_of_name, create_private_dir_all, fingerprint_of, folder_id, free_bytes,
    is_bad_descriptor, is_own, is_own_private_file, is_privileged, name_of_bytes,
    path_for_patterns, private_options, set_mode, set_owner, sparse_bytes, steady_ms,
    writable_name,
};

use crate::types::{Fingerprint, Kind, PathRefused, RelPath};
use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Nanoseconds in a second.
const NS_PER_S: i64 = 1_000_000_000;

/// Two names that differ only in case are one file here, as a rule. Patterns
/// then ignore case too, as git's do.
pub const NAMES_FOLD_CASE: bool = cfg!(any(windows, target_os = "macos"));

/// Files have permission bits and owners here. Elsewhere a fingerprint's mode
/// only tells "read-only", and a restored one is not comparable.
pub const HAS_MODES: bool = cfg!(unix);

/// What a `stat` of one name found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// What stands there.
    pub fingerprint: Fingerprint,
    /// The file system it is on; 0 where the platform does not say.
    pub dev: u64,
    /// How many names the file has; 1 where the platform does not say.
    pub links: u64,
}

/// The path below a source's root as the operating system writes it.
///
/// # Errors
/// [`NameRefused`] when a component would mean something else here (Windows:
/// `a\b`, `a:b`). Never on Unix.
pub fn rel_to_os(path: &RelPath) -> Result<PathBuf, NameRefused> {
    let mut out = PathBuf::new();
    for name in path.components() {
        out.push(name_of_bytes(name)?);
    }
    Ok(out)
}

/// A path relative to a source's root, as [`RelPath`].
///
/// # Errors
/// [`PathRefused`] when it is absolute or has a `..`.
pub fn os_to_rel(path: &Path) -> Result<RelPath, PathRefused> {
    let mut out = RelPath::root();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(name) => out = out.join(&bytes_of_name(name))?,
            Component::ParentDir => return Err(PathRefused::Dots),
            Component::RootDir | Component::Prefix(_) => return Err(PathRefused::Empty),
        }
    }
    Ok(out)
}

/// Create, or empty, a file that only its owner can read (0600).
///
/// # Errors
/// What the operating system says.
pub fn create_private_file(path: &Path) -> io::Result<File> {
    let file = private_options().truncate(true).open(path)?;
    // The mode above counts for a new file only.
    set_mode(&file, 0o600)?;
    Ok(file)
}

/// A time stamp as the standard library has it.
pub fn time_of_ns(ns: i128) -> SystemTime {
    let all = ns.unsigned_abs();
    let per_s = NS_PER_S.unsigned_abs();
    let seconds = u64::try_from(all / u128::from(per_s)).unwrap_or(u64::MAX);
    let span = Duration::new(seconds, (all % u128::from(per_s)) as u32);
    if ns < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(span)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(span)
    }
    .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Nanoseconds since 1970.
fn ns_of_parts(seconds: i64, nanoseconds: i64) -> i128 {
    i128::from(seconds) * i128::from(NS_PER_S) + i128::from(nanoseconds)
}

/// The same in 64 bits; beyond what they hold, the nearest time that they do.
fn near_ns_of_parts(seconds: i64, nanoseconds: i64) -> i64 {
    seconds.saturating_mul(NS_PER_S).saturating_add(nanoseconds)
}

/// A folder's size means nothing and differs between file systems.
fn size_of_kind(kind: Kind, size_bytes: u64) -> u64 {
    match kind {
        Kind::File | Kind::Symlink => size_bytes,
        Kind::Folder | Kind::Special => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_outside_the_root_have_no_relative_form() {
        for (path, want) in [
            ("../a", PathRefused::Dots),
            ("a/../b", PathRefused::Dots),
            ("/a", PathRefused::Empty),
        ] {
            assert_eq!(os_to_rel(Path::new(path)), Err(want), "{path}");
        }
        assert_eq!(os_to_rel(Path::new("./a/./b")).unwrap().as_bytes(), b"a/b");
        assert!(os_to_rel(Path::new("")).unwrap().is_root());
    }

    #[test]
    fn times_before_1970_and_far_away() {
        for ns in [
            0,
            1,
            -1,
            -1_500_000_000,
            1_700_000_000_123_456_789,
            i128::from(i64::MAX) + 1,
            // The years 9999 and 1601.
            253_402_300_799_999_999_999,
            -11_644_473_600_000_000_001,
        ] {
            let time = time_of_ns(ns);
            let back = match time.duration_since(SystemTime::UNIX_EPOCH) {
                Ok(after) => i128::try_from(after.as_nanos()).unwrap(),
                Err(before) => -i128::try_from(before.duration().as_nanos()).unwrap(),
            };
            assert_eq!(back, ns);
        }
        assert_eq!(ns_of_parts(-2, 500_000_000), -1_500_000_000);
        assert_eq!(near_ns_of_parts(i64::MAX, 5), i64::MAX);
        assert_eq!(ns_of_parts(1 << 40, 5), (1 << 40) * 1_000_000_000 + 5);
    }

    #[test]
    fn private_means_private_even_for_a_file_that_was_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "old").unwrap();
        let open = std::fs::File::open(&path).unwrap();
        set_mode(&open, 0o666).unwrap();
        drop(create_private_file(&path).unwrap());
        let meta = std::fs::metadata(&path).unwrap();
        assert_eq!(meta.len(), 0);
        let nested = dir.path().join("a/b");
        create_private_dir_all(&nested).unwrap();
        create_private_dir_all(&nested).unwrap();
        if !cfg!(windows) {
            assert_eq!(fingerprint_of(&meta).mode, 0o600);
            for made in ["a", "a/b"] {
                let meta = std::fs::metadata(dir.path().join(made)).unwrap();
                assert_eq!(fingerprint_of(&meta).mode, 0o700, "{made}");
            }
        }
    }

    #[test]
    fn the_steady_clock_goes_on_and_never_back() {
        let first = steady_ms();
        let began = std::time::Instant::now();
        while began.elapsed() < Duration::from_millis(5) {
            std::thread::yield_now();
        }
        assert!((5..60_000).contains(&(steady_ms() - first)));
    }

    #[test]
    fn free_space_is_told() {
        assert!(free_bytes(&std::env::temp_dir()).unwrap() > 0);
    }

    proptest! {
        #[test]
        fn every_path_survives_the_way_to_the_system_and_back(
            bytes in proptest::collection::vec(any::<u8>(), 0..30)
        ) {
            if let Ok(path) = RelPath::from_bytes(bytes)
                && let Ok(os) = rel_to_os(&path)
            {
                prop_assert_eq!(os_to_rel(&os), Ok(path));
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod testing;
