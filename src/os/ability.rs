//! What this operating system supports, known when the program is built.

/// Whether attributes of files are read and given here.
pub const KEEPS_ATTRIBUTES: bool = cfg!(any(target_os = "linux", windows));

/// Two names that differ only in case are one file here, as a rule. Patterns
/// then ignore case too, as git's do.
pub const NAMES_FOLD_CASE: bool = cfg!(any(windows, target_os = "macos"));

/// Files have permission bits and owners here. Elsewhere a fingerprint's mode
/// only tells "read-only", and a restored one is not comparable.
pub const HAS_MODES: bool = cfg!(unix);
