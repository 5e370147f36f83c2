//! What differs between a moment and a folder, or between two moments.
//!
//! Reads only, and never opens an object's body. It holds one page of the listing,
//! one batch of the walk and a bounded number of looks (`eye`). Keys come in one
//! order from bucket and disk, so the two are merged as they stream (`pairs`).

mod entry_comparer;
pub(crate) mod pairs;

use super::tally::{Bounded, Covered};
use crate::files::Rules;
use crate::history::Selector;
use crate::retry::Stop;
use crate::s3::Store;
use crate::types::{Fatal, Fault, Fingerprint, Kind, ObjectMeta, Origin};
use entry_comparer::Look;
use pairs::Pairs;
use serde::Serialize;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

/// Paths that are looked at at once: enough to hide the way to a server.
const LOOKS_AT_ONCE: usize = 32;

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
    Moment(Option<i64>),
}

/// What to compare.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// Where the objects are.
    pub origin: Origin,
    /// Which of them.
    pub selector: Arc<Selector>,
    /// As of when, milliseconds since 1970; `None` for the latest.
    pub at_ms: Option<i64>,
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

fn far_as_text<S: serde::Serializer>(ns: &i128, to: S) -> Result<S::Ok, S::Error> {
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

/// What a comparison came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// Not there at the moment.
    pub added: u64,
    /// There at the moment only.
    pub removed: u64,
    /// Of other content.
    pub changed: u64,
    /// Of other mode or time alone.
    pub metadata: u64,
    /// The same on both sides.
    pub same: u64,
    /// Bytes, unpacked, that the moment has and the other side has not.
    pub bytes: u64,
    /// Objects that Keepwatch did not write.
    pub foreign: u64,
    /// Files that another program has put something over in the bucket.
    pub covered: u64,
    /// What could not be compared.
    pub failed: Bounded<Fault>,
    /// What was asked for and matched nothing.
    pub unmatched: Vec<String>,
    /// When the earliest version that was seen was stored, milliseconds since 1970.
    pub first_ms: Option<i64>,
}

impl Compared {
    /// True when nothing differs.
    pub fn is_same(&self) -> bool {
        self.added + self.removed + self.changed + self.metadata == 0
    }

    fn count(&mut self, finding: &Finding) {
        match finding {
            Finding::Compared(difference) => {
                self.covered += u64::from(difference.covered.is_some());
                let missing = difference.then.map_or(0, |then| then.size_bytes);
                match difference.change {
                    Change::Added => self.added += 1,
                    Change::Removed => {
                        self.removed += 1;
                        self.bytes += missing;
                    }
                    Change::Changed => {
                        self.changed += 1;
                        self.bytes += missing;
                    }
                    Change::Metadata => self.metadata += 1,
                    Change::Same => self.same += 1,
                }
            }
            Finding::Foreign => self.foreign += 1,
            Finding::Failed(fault) => self.failed.push(fault.clone()),
            Finding::Nothing => {}
        }
    }
}

/// Compare, and tell each finding in the order of paths.
///
/// # Errors
/// [`Fatal`] when nothing more can be had: credentials, bucket, listing, or a
/// list out of order, by which nothing can be said to be missing.
pub async fn compare(
    store: &Store,
    comparison: &Comparison,
    mut tell: impl FnMut(&Finding),
    stop: &Stop,
) -> Result<Compared, Fatal> {
    let mut stop = stop.clone();
    let mut pairs = Pairs::new(store, comparison);
    let mut line: VecDeque<Look> = VecDeque::new();
    let mut compared = Compared::default();
    let mut ended = false;
    loop {
        while !ended && line.len() < LOOKS_AT_ONCE {
            match pairs.next(&mut stop).await? {
                Some(pair) => line.push_back(Look::begin(store, comparison, pair, &stop)),
                None => ended = true,
            }
            for fault in pairs.take_faults() {
                let finding = Finding::Failed(fault);
                compared.count(&finding);
                tell(&finding);
            }
        }
        if stop.is_asked() {
            return Err(Fatal::interrupted("compare everything"));
        }
        let Some(look) = line.pop_front() else { break };
        let finding = match look.end().await {
            Ok(finding) => finding,
            Err(fault) if fault.class.ends_reading() => {
                return Err(fault.into());
            }
            Err(fault) => Finding::Failed(fault),
        };
        compared.count(&finding);
        tell(&finding);
    }
    compared.unmatched = comparison.selector.unmatched();
    compared.first_ms = pairs.first_ms();
    Ok(compared)
}
