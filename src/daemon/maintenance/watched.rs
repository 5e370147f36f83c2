//! The sources as the alarm sees them.

use crate::index::Oldest;
use crate::retry::{OutageAlert, Part, Standing};
use crate::source::SourceRuntime;
use crate::types::{Fault, WallMs};
use std::sync::Arc;

/// One source as the alarm sees it.
pub(super) struct Watched {
    pub(super) source: Arc<SourceRuntime>,
    /// Its bucket is told of under this source.
    pub(super) is_first_of_its_bucket: bool,
    /// Its files that fail for long.
    pub(super) stuck: Option<Oldest>,
    pub(super) silence: OutageAlert,
}

/// What was found at this beat. A [`Part`] numbers the sources as `watched` has them.
pub(super) struct Looked<'a> {
    pub(super) now: &'a [Standing],
    pub(super) watched: &'a [Watched],
}

impl Looked<'_> {
    pub(super) fn standing(&self, part: Part) -> Option<&(WallMs, Fault)> {
        let mut now = self.now.iter();
        let standing = now.find(|standing| standing.part == part)?;
        standing.failing.as_ref()
    }
}
