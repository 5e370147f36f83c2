//! Why a drill is run.

use crate::types::Fault;

/// Why a drill ended early.
pub(crate) enum Why {
    /// It could not go on; in words.
    NotRun(String),
    /// The index failed.
    Index(Fault),
}

impl From<Fault> for Why {
    fn from(fault: Fault) -> Self {
        Self::Index(fault)
    }
}
