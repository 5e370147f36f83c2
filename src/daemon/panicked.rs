//! A task that panicked.

use crate::types::{Fatal, chain};

/// A task that panicked, as a fatal error.
pub(crate) fn panicked(error: &(dyn std::error::Error + 'static)) -> Fatal {
    Fatal::new(
        "go on",
        chain(error),
        "this is a fault in Keepwatch: please report it with the log",
    )
}
