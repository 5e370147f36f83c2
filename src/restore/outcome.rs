//! How one object of a restore ended.

use super::report::Covered;
use crate::types::{Fault, Kind};

/// How one object ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It was written, or got its metadata back.
    Written {
        kind: Kind,
        bytes: u64,
        left_out: Option<Fault>,
        /// Its path, when it never rested while it was backed up.
        torn: Option<String>,
    },
    /// A folder that this restore has made for what lies in it.
    FolderMade,
    /// The same was there already.
    Identical,
    /// Another file was there already and stays.
    Kept(Fault),
    /// A link or a folder: it waits until all files are there.
    PutOff,
    /// It is in cold storage and being thawed; what to say of it.
    Thawing(Fault),
    /// Keepwatch did not write it, nor any older version that it shadows.
    Foreign,
    /// Keepwatch did not write it; the older version that Keepwatch did write ended so.
    Shadowed(Box<Outcome>, Covered),
    /// It was not asked for, or is another pass's business.
    Skipped,
}
