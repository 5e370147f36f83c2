//! What the scans of one source work with.

use crate::clock::Clock;
use crate::index::Index;
use crate::s3::Store;
use crate::source::SourceRuntime;
use std::sync::Arc;

/// Scans one source.
#[derive(Clone)]
pub struct Scanner {
    /// The source.
    pub source: Arc<SourceRuntime>,
    /// The index.
    pub index: Index,
    /// The server.
    pub store: Store,
    /// The clocks.
    pub clock: Clock,
    /// A file that was modified within this, milliseconds, is still being written.
    pub debounce_ms: i64,
}
