//! Whether a root is the folder that was backed up.

/// How the sentinel in a root compares with the identity that the index knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentinelMatch {
    /// It carries that identity.
    Equal,
    /// The index knows an identity, and there is no sentinel.
    Absent,
    /// It carries another identity.
    Different,
    /// The index knows none: a first run, or no sentinel can be kept there.
    Unused,
}

/// Whether a root is the folder that was backed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootVerdict {
    /// It is.
    Itself,
    /// It is not.
    Other,
    /// It has no sentinel and lies on another device: only its content can tell.
    Unproven,
}

/// Judge a root; `same_root` says whether device and inode are the known ones (`None`:
/// none are known yet).
pub fn judge_root(sentinel: SentinelMatch, same_root: Option<bool>) -> RootVerdict {
    match (sentinel, same_root) {
        (SentinelMatch::Equal, _) | (_, None | Some(true)) => RootVerdict::Itself,
        (SentinelMatch::Absent | SentinelMatch::Different, Some(false)) => RootVerdict::Other,
        (SentinelMatch::Unused, Some(false)) => RootVerdict::Unproven,
    }
}

/// True when so many of the known files are there unchanged that the root without a
/// sentinel is the same folder, whatever number its device has today.
pub fn is_alike(unchanged: u64, known: u64) -> bool {
    known == 0 || unchanged * 2 >= known
}
