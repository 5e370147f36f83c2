//! What a worker takes from the queue.

use crate::source::SourceRuntime;
use std::sync::Arc;

/// A path that a worker works on.
pub type Item = crate::work::Item<Arc<SourceRuntime>>;
