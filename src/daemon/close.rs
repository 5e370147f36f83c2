//! How everything that is open is closed.

use super::open;
use crate::backup::late;
use crate::os::blocking::blocking;
use crate::pacing::costs;
use crate::source::Context;
use crate::types::{Fatal, Fault};
use std::sync::Arc;

/// Bring the index to disk. `clean` when no upload was cut off.
pub(crate) async fn close(ctx: &Arc<Context>, clean: bool) -> Result<(), Fatal> {
    let shared = Arc::clone(ctx);
    if let Err(fault) = blocking(move || costs::keep(&shared)).await {
        tracing::warn!("{fault}");
    }
    let shared = Arc::clone(ctx);
    let kept = blocking(move || late::keep(&shared)).await;
    let index = ctx.index.clone();
    let flush = async || Ok(blocking(move || index.flush()).await?);
    end_with(
        clean,
        kept,
        async || open::note_clean_stop(ctx).await,
        flush,
    )
    .await
}

/// The index gets to disk, whatever became of the note of late requests. Not kept,
/// they are owed as after a kill: everything is compared.
pub(crate) async fn end_with(
    clean: bool,
    kept: Result<(), Fault>,
    note_clean_stop: impl AsyncFnOnce() -> Result<(), Fatal>,
    flush: impl AsyncFnOnce() -> Result<(), Fatal>,
) -> Result<(), Fatal> {
    if let Err(fault) = &kept {
        tracing::warn!("{fault}");
    }
    match clean && kept.is_ok() {
        // It brings the index to disk as well.
        true => note_clean_stop().await,
        false => flush().await,
    }
}
