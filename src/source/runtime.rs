//! One protected folder with everything that is needed to work on it.

use super::breaker::SourceBreaker;
use super::copy_health::CopyHealth;
use super::late::LateRequests;
use super::links::HardLinks;
use super::owners::Owners;
use crate::config::SourceConfig;
use crate::destination::{Comparison, Destination};
use crate::files::{Compress, Rules};
use crate::guard::DeletionGuard;
use crate::index::SourceId;
use crate::os;
use crate::pacing::Pacing;
use crate::status::LiveStatus;
use crate::types::{BucketKey, RelKey};
use crate::watchdog::IoWatchdog;
use crate::work::{HasQueue, SourceQueue, SourceWork};
use std::sync::Arc;

/// One protected folder at run time.
pub struct SourceRuntime {
    /// Its settings.
    pub config: Arc<SourceConfig>,
    /// Its number in the index.
    pub id: SourceId,
    /// What is left out.
    pub rules: Arc<Rules>,
    /// What is stored compressed.
    pub compress: Compress,
    /// What waits to be done for it.
    pub work: SourceWork,
    /// What it is doing now.
    pub status: LiveStatus,
    /// Whether its bucket can be reached.
    pub breaker: SourceBreaker,
    /// Whether its disk answers.
    pub watchdog: IoWatchdog,
    /// What holds its deletions back.
    pub guard: Arc<DeletionGuard>,
    /// The place that its copies go to.
    pub destination: Arc<Destination>,
    /// Whether the index has been compared with the bucket.
    pub comparison: Arc<Comparison>,
    /// Whether its server copies what it has.
    pub copies: CopyHealth,
    /// Which of its files wait for their next version.
    pub pacing: Pacing,
    /// Names of files that have several, of all sources.
    pub links: Arc<HardLinks>,
    /// Requests that may still be carried out though nobody waits for them.
    pub late: LateRequests,
}

/// All protected folders, in the configuration's order.
pub type Sources = Arc<[Arc<SourceRuntime>]>;

impl HasQueue for Arc<SourceRuntime> {
    fn queue(&self) -> &SourceQueue {
        &self.work.queue
    }
}

impl SourceRuntime {
    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// The object's key in the bucket, and whether it is shortened.
    pub fn bucket_key(&self, key: &RelKey) -> BucketKey {
        key.in_bucket(&self.config.prefix)
    }

    /// Whether deletions may be marked in the bucket.
    pub fn marks_deletions(&self) -> bool {
        self.destination.marks_deletions()
    }

    /// Whose its files are, against what the backup says.
    pub fn owners(&self) -> Owners {
        Owners {
            takes_over: self.config.take_over.is_some(),
            is_privileged: os::is_privileged(),
        }
    }
}
