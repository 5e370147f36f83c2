//! Runs work that blocks on a thread beside the async threads.

use crate::types::{Class, Fault, Operation};

/// Run blocking work (disk, index) off the async threads.
///
/// # Errors
/// Whatever the work reports; class `Local` when it panicked.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    blocking_on("work on", "this computer", work).await
}

/// The same for what the work is done to, as its panic is told.
///
/// # Errors
/// As [`blocking`].
pub async fn blocking_on<T: Send + 'static>(
    operation: impl Into<Operation>,
    subject: impl Into<String>,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or_else(|error| Err(Fault::from_error(Class::Local, operation, subject, error)))
}
