//! Finds out whether another account can change Keepwatch's own files.

use crate::types::Stranger;
use std::path::{Path, PathBuf};

/// Something that another account can change, at or above the place asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strange {
    /// What can be changed.
    pub at: PathBuf,
    /// By whom.
    pub who: Stranger,
    /// It is the place itself, not a folder above it.
    pub is_itself: bool,
}

/// The nearest thing at or above `path` that another account can change; `None`
/// where there is none, and on systems whose rights are other ones. Blocks.
pub fn strange(path: &Path) -> Option<Strange> {
    let direct = path.ancestors().find_map(|at| stranger_at(at, at == path));
    direct.or_else(|| {
        // Where a link leads to is looked at as well.
        let real = path.canonicalize().ok()?;
        real.ancestors().find_map(|at| stranger_at(at, at == real))
    })
}

#[cfg(unix)]
fn stranger_at(at: &Path, is_itself: bool) -> Option<Strange> {
    use crate::types::{Account, Rights, stranger};
    use std::os::unix::fs::MetadataExt as _;
    let me = Account {
        id: rustix::process::geteuid().as_raw(),
        group: rustix::process::getegid().as_raw(),
    };
    let link = at.symlink_metadata().ok()?;
    let rights = |meta: &std::fs::Metadata, mode| Rights {
        owner: meta.uid(),
        group: meta.gid(),
        mode,
    };
    let of_link = link
        .is_symlink()
        // A link has no rights of its own, but somebody has put it there.
        .then(|| stranger(me, rights(&link, 0), !is_itself));
    let who = of_link.flatten().or_else(|| {
        let meta = at.metadata().ok()?;
        stranger(me, rights(&meta, meta.mode()), !is_itself)
    })?;
    Some(Strange {
        at: at.to_owned(),
        who,
        is_itself,
    })
}

#[cfg(not(unix))]
fn stranger_at(_at: &Path, _is_itself: bool) -> Option<Strange> {
    None
}

/// The account that has had root run this program, where it says so (sudo).
pub fn invoked_by() -> Option<u32> {
    std::env::var("SUDO_UID").ok()?.parse().ok()
}

/// The number of the account that this program runs as; empty where accounts have
/// none.
pub fn account() -> String {
    #[cfg(unix)]
    return rustix::process::geteuid().as_raw().to_string();
    #[cfg(not(unix))]
    String::new()
}
