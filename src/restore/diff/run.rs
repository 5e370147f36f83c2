//! Compares all that was asked for.

use super::difference::{Change, Comparison, Finding};
use super::pairs::Pairs;
use super::task::ComparisonTask;
use crate::restore::report::Bounded;
use crate::retry::Stop;
use crate::s3::Store;
use crate::types::{Fatal, Fault, WallMs};
use serde::Serialize;
use std::collections::VecDeque;

/// Paths that are looked at at once: enough to hide the way to a server.
const LOOKS_AT_ONCE: usize = 32;

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
    /// What was asked for and matched something.
    #[serde(skip)]
    pub matched: Vec<String>,
    /// When the earliest version that was seen was stored, milliseconds since 1970.
    pub first_ms: Option<WallMs>,
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
    let mut tasks: VecDeque<ComparisonTask> = VecDeque::new();
    let mut compared = Compared::default();
    let mut ended = false;
    loop {
        while !ended && tasks.len() < LOOKS_AT_ONCE {
            match pairs.next(&mut stop).await? {
                Some(pair) => {
                    tasks.push_back(ComparisonTask::begin(store, comparison, pair, &stop))
                }
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
        let Some(task) = tasks.pop_front() else { break };
        let finding = match task.end().await {
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
    compared.matched = comparison.selector.matched();
    compared.first_ms = pairs.first_ms();
    Ok(compared)
}
