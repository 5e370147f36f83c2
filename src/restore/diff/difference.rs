//! What differs between a moment and a folder, or another moment.

use crate::files::Rules;
use crate::history::Selector;
use crate::restore::report::Covered;
use crate::types::{Fault, Fingerprint, Kind, ObjectMeta, Origin, WallMs};
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;

/// What a moment is compared with.
#[derive(Debug, Clone)]
pub enum Against {
    /// A folder as it is now, with all that is in it.
    Folder {
        /// Where it is.
        root: PathBuf,
        /// What of it is not backed up.
        rules: Arc<Rules>,
    },
    /// What stands now where the moment's files would be put, and nothing else.
    Target(PathBuf),
    /// Another moment, milliseconds since 1970; `None` for the latest.
    Moment(Option<WallMs>),
}

/// What to compare.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// Where the objects are.
    pub origin: Origin,
    /// Which of them.
    pub selector: Arc<Selector>,
    /// As of when, milliseconds since 1970; `None` for the latest.
    pub at_ms: Option<WallMs>,
    /// With what.
    pub against: Against,
}

/// From the moment to what it is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It was not there at the moment.
    Added,
    /// It was there at the moment, and is not any more.
    Removed,
    /// Other content, or something else of that name.
    Changed,
    /// The same content with another mode or time.
    Metadata,
    /// The same.
    Same,
}

/// One path on one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Side {
    /// File, link or folder.
    pub kind: Kind,
    /// Size of the file itself.
    pub size_bytes: u64,
    /// Its modification time, nanoseconds since 1970; as text where a number of 64
    /// bits does not hold it.
    #[serde(serialize_with = "far_as_text")]
    pub mtime_ns: i128,
    /// Its permission bits.
    pub mode: u32,
}

pub(crate) fn far_as_text<S: serde::Serializer>(ns: &i128, to: S) -> Result<S::Ok, S::Error> {
    match i64::try_from(*ns) {
        Ok(near) => to.serialize_i64(near),
        Err(_) => to.collect_str(ns),
    }
}

impl Side {
    pub(crate) fn of_meta(meta: &ObjectMeta) -> Self {
        Self {
            kind: meta.kind,
            size_bytes: meta.size_bytes,
            mtime_ns: meta.mtime_ns,
            mode: meta.mode,
        }
    }

    pub(crate) fn of_disk(found: &Fingerprint) -> Self {
        Self {
            kind: found.kind,
            size_bytes: found.size_bytes,
            mtime_ns: found.mtime_ns,
            mode: found.mode,
        }
    }
}

/// One path on both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The path; a folder's ends in `/`.
    pub path: String,
    /// How it differs.
    pub change: Change,
    /// At the moment.
    pub then: Option<Side>,
    /// On the other side.
    pub now: Option<Side>,
    /// Another program has put something over it in the bucket; what is compared
    /// is Keepwatch's own version beneath.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub covered: Option<Covered>,
}

/// What one look came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Both sides are known.
    Compared(Difference),
    /// Keepwatch did not write the object.
    Foreign,
    /// It could not be compared.
    Failed(Fault),
    /// It is told elsewhere, or was not asked for.
    Nothing,
}
