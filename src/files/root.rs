//! A source's root: which folder it is, and whether it can be listed.
//!
//! A root that cannot be used is a fault, never a deletion.

use crate::os;
use crate::os::Trouble;
use crate::types::{Class, Fault, FaultDetail, chain};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// What to do about a root that cannot be used.
const ROOT_HINT: &str = "see whether the disk or network folder that it is on is connected, and whether the account that runs Keepwatch may list it";

/// What tells a source's root from another folder mounted or made in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RootId {
    /// The file system (0 where it has no number).
    pub dev: u64,
    /// The folder on it (on Windows, where the file system has no ids: when it was made).
    pub inode: u64,
}

impl RootId {
    /// Whether this root, which was made then, is the one that was noted: by this version
    /// or by an earlier one, which told folders in another way.
    pub fn is_noted_as(self, noted: Self, made_ns: Option<i64>) -> bool {
        self == noted || os::is_id_of_before((noted.dev, noted.inode), made_ns)
    }
}

/// What tells a source's root from another folder in its place, and when it was
/// made ([`root_made_ns`]), without listing it; `None` when it is not there.
/// Blocks.
pub fn root_id(root: &Path) -> Option<(RootId, Option<i64>)> {
    let (dev, inode) = os::id_at(root).ok()?;
    Some((RootId { dev, inode }, root_made_ns(root)))
}

/// See whether a source's root is a folder that can be listed; it may itself
/// be a link to one. Blocks.
///
/// # Errors
/// [`Fault`] with a remedy; then nothing may be concluded about its files.
pub fn root_state(root: &Path) -> Result<RootId, Fault> {
    let failed = |error: &io::Error| root_fault("list", root, error);
    let meta = std::fs::metadata(root).map_err(|error| failed(&error))?;
    if !meta.is_dir() {
        let error = io::Error::from(io::ErrorKind::NotADirectory);
        return Err(failed(&error));
    }
    let mut entries = std::fs::read_dir(root).map_err(|error| failed(&error))?;
    if let Some(first) = entries.next() {
        first.map_err(|error| failed(&error))?;
    }
    let (dev, inode) = os::id_at(root).map_err(|error| failed(&error))?;
    Ok(RootId { dev, inode })
}

/// The root could not be used. Never `Vanished`: that would say "deleted".
pub(super) fn root_fault(operation: &str, root: &Path, error: &io::Error) -> Fault {
    let cause = match os::trouble(error) {
        Trouble::NotFolder => "it is not a folder".to_owned(),
        Trouble::Missing => "the folder is not there".to_owned(),
        _ => chain(error),
    };
    Fault::new(
        Class::Unreadable,
        operation,
        root.display().to_string(),
        cause,
    )
    .hint(ROOT_HINT)
    .detail(FaultDetail::Root)
}

/// When the root was made, as its file system has it, in nanoseconds since 1970.
/// Another disk in the same place may have the same device and inode (a tmpfs,
/// or one USB stick after another), but not this. `None` where the file system
/// does not know. Blocks.
pub fn root_made_ns(root: &Path) -> Option<i64> {
    let made = std::fs::metadata(root).ok()?.created().ok()?;
    let since = made.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_nanos()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_made_later_is_told_from_its_predecessor() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir(&root).unwrap();
        let first = root_made_ns(&root);
        assert_eq!(root_made_ns(&root), first);
        // The clock's grain is some milliseconds, far less than so many tries.
        let is_told = (0..10_000).any(|_| {
            std::fs::remove_dir(&root).unwrap();
            assert_eq!(root_made_ns(&root), None);
            std::fs::create_dir(&root).unwrap();
            root_made_ns(&root) != first
        });
        assert!(is_told || first.is_none());
    }
}
