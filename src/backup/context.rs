//! What the workers of a run share.

use super::commits::Commits;
use super::swap_tracker::SwapTracker;
use crate::clock::Clock;
use crate::config::Config;
use crate::index::Index;
use crate::manifest::Computer;
use crate::s3::Store;
use crate::source::{RunSignals, SourceRuntime, Sources};
use crate::transfer::{Budget, Uploads};
use crate::work::Queue;
use std::sync::Arc;

/// A path that a worker works on.
pub type Item = crate::work::Item<Arc<SourceRuntime>>;

/// What the workers of a run share.
pub struct Context {
    /// The validated configuration.
    pub config: Arc<Config>,
    /// All sources.
    pub sources: Sources,
    /// This computer, as manifests name it.
    pub computer: Computer,
    /// The server.
    pub store: Store,
    /// The index.
    pub index: Index,
    /// What workers write into it, many at a time.
    pub commits: Commits,
    /// Where the paths come from.
    pub queue: Queue,
    /// Uploads in parts under way.
    pub uploads: Uploads,
    /// Files that changed places of late.
    pub moves: SwapTracker,
    /// Memory for file contents.
    pub budget: Budget,
    /// The clocks.
    pub clock: Clock,
    /// Says that the run ends.
    pub signals: RunSignals,
}
