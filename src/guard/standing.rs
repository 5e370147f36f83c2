//! How a source's root stands to what is known of it.

use crate::files::RootId;

/// What a source's root is, compared with what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The marker carries the source's identity: it is itself.
    Itself,
    /// Nothing is known of this source yet (first run, or the index is new), or
    /// it has no marker to compare with because the configuration says so.
    Unknown,
    /// There is no marker although there was one.
    Absent {
        /// It is the folder of the last time: the marker was deleted.
        same_root: bool,
    },
    /// It carries another identity.
    Different {
        /// It is the folder of the last time.
        same_root: bool,
    },
    /// Something of that name is not ours: no marker can be kept.
    Foreign,
}

/// The answer for one root, kept until either changes: finding it takes a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(super) root: RootId,
    pub(super) made_ns: Option<i64>,
    pub(super) standing: Standing,
    pub(super) is_itself: bool,
}
