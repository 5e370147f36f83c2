//! How a source's root compares with what is known of it.

use crate::files::RootId;

/// What a source's root is, compared with what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The sentinel carries the source's identity: the root is itself.
    Itself,
    /// Nothing is known of this source yet (first run, or the index is new), or the
    /// configuration wants no sentinel.
    Unknown,
    /// There is no sentinel although there was one.
    Absent {
        /// It is the folder of the last time: the sentinel was deleted.
        same_root: bool,
    },
    /// The sentinel carries another identity.
    Different {
        /// It is the folder of the last time.
        same_root: bool,
    },
    /// Something else has the sentinel's name: none can be kept.
    Foreign,
}

/// The verdict on one root, kept until the root or its sentinel changes: finding it takes
/// a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(super) root: RootId,
    pub(super) made_ns: Option<i64>,
    pub(super) standing: Standing,
    pub(super) is_itself: bool,
}
