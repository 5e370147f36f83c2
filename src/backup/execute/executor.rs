//! What carrying plans out takes.

use crate::backup::breaker_reports::BreakerReports;
use crate::backup::commits::Commits;
use crate::backup::swap_tracker::SwapTracker;
use crate::clock::Clock;
use crate::index::Index;
use crate::s3::Store;
use crate::transfer::{Budget, Uploads};

/// Carries plans out. Clones share everything.
#[derive(Clone)]
pub struct Executor {
    /// The server.
    pub store: Store,
    /// The index.
    pub index: Index,
    /// What workers write into it, many at a time.
    pub commits: Commits,
    /// Uploads in parts under way.
    pub uploads: Uploads,
    /// Files that changed places of late.
    pub swaps: SwapTracker,
    /// Memory for file contents.
    pub budget: Budget,
    /// The clocks.
    pub clock: Clock,
    /// Where it is told what the bucket answers.
    pub breakers: BreakerReports,
}
