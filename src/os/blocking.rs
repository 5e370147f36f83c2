//! Work that blocks, beside the async threads.

use crate::types::{Class, Fault, chain};

/// Run blocking work (disk, index) off the async threads.
///
/// # Errors
/// Whatever the work reports; class `Local` when it panicked.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| {
            Err(Fault::new(
                Class::Local,
                "work on",
                "this computer",
                chain(&error),
            ))
        })
}
