//! The sources as the alarm sees them, and what it tells of.

use crate::index::{Oldest, SourceId};
use crate::retry::{OutageAlert, Standing};
use crate::source::SourceRuntime;
use crate::types::Fault;
use std::sync::Arc;

/// What can fail by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum AlertSubject {
    /// A bucket, by the first source that goes to it.
    Bucket(SourceId),
    /// Single files of a source.
    Files(SourceId),
}

/// One source as the alarm sees it.
pub(super) struct Watched {
    pub(super) source: Arc<SourceRuntime>,
    /// Its bucket is told of under this source.
    pub(super) is_first_of_its_bucket: bool,
    /// Its files that fail for long.
    pub(super) stuck: Option<Oldest>,
    pub(super) silence: OutageAlert,
}

/// What was found at this beat.
pub(super) struct Looked<'a> {
    pub(super) now: &'a [Standing<AlertSubject>],
    pub(super) watched: &'a [Watched],
}

impl Looked<'_> {
    /// The source of an [`AlertSubject`]: each is made from a watched one.
    pub(super) fn watched(&self, id: SourceId) -> Option<&Watched> {
        self.watched.iter().find(|one| one.source.id == id)
    }

    pub(super) fn standing(&self, subject: AlertSubject) -> Option<&(i64, Fault)> {
        let mut now = self.now.iter();
        let standing = now.find(|standing| standing.subject == subject)?;
        standing.failing.as_ref()
    }
}
