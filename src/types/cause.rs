//! What a failure came from: the error itself, and the cause in words.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// The error that a failure came from, for [`StdError::source`]. It is neither shown,
/// nor stored, nor compared: the cause in words says all of it.
#[derive(Clone, Default)]
pub struct Source(Option<Arc<dyn StdError + Send + Sync>>);

impl Source {
    pub(super) fn of(error: impl StdError + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(error)))
    }

    pub(super) fn get(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.as_deref().map(|error| error as _)
    }
}

impl fmt::Debug for Source {
    /// Errors of libraries may show what they were called with, credentials included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

impl PartialEq for Source {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Source {}

/// No message ends in nothing: who gave no reason is said to have given none.
pub(super) fn said(cause: String) -> String {
    match cause.trim().is_empty() {
        true => "no reason was given".to_owned(),
        false => cause,
    }
}
