//! Whether a source has been compared with its bucket, as the index remembers it.
//!
//! Until it has, a path without a record is not known to be new.

use crate::index::{Index, SourceId};
use crate::os::blocking::blocking;
use crate::types::Fault;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Under which name the index remembers that a source has been compared.
pub const COMPARED: &str = "compared";

/// Whether index and bucket have been compared at least once.
pub struct Comparison {
    index: Index,
    source: SourceId,
    is_done: AtomicBool,
}

impl Comparison {
    /// Not done, as far as is known.
    pub fn new(index: Index, source: SourceId) -> Self {
        Self {
            index,
            source,
            is_done: AtomicBool::new(false),
        }
    }

    /// A path without a record is really new.
    pub fn is_done(&self) -> bool {
        self.is_done.load(Ordering::Relaxed)
    }

    /// In memory alone; gives what was.
    pub fn replace(&self, is_done: bool) -> bool {
        self.is_done.swap(is_done, Ordering::Relaxed)
    }

    /// What the last run has left. `is_clean` when nothing was on the line at its end;
    /// else nothing counts any more. True when something was compared and does not count
    /// any more. Blocking.
    ///
    /// # Errors
    /// The index fails.
    pub fn take_up(&self, is_clean: bool) -> Result<bool, Fault> {
        let known = self.index.source_state_get(self.source, COMPARED)? == Some(true.into());
        if known && !is_clean {
            self.index
                .source_state_set(self.source, COMPARED, &false.into())?;
        }
        self.replace(known && is_clean);
        Ok(known && !is_clean)
    }

    /// Index and bucket have been compared.
    ///
    /// # Errors
    /// The index cannot be written.
    pub async fn remember(self: &Arc<Self>) -> Result<(), Fault> {
        let own = Arc::clone(self);
        blocking(move || {
            own.index
                .source_state_set(own.source, COMPARED, &true.into())
        })
        .await?;
        self.replace(true);
        Ok(())
    }

    /// What was found in the bucket counts no more: it may be another one.
    ///
    /// # Errors
    /// The index cannot be written.
    pub async fn forget(self: &Arc<Self>) -> Result<(), Fault> {
        self.replace(false);
        let own = Arc::clone(self);
        blocking(move || {
            own.index
                .source_state_set(own.source, COMPARED, &false.into())?;
            own.index.flush()
        })
        .await
    }
}
