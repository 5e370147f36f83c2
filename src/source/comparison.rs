//! Whether a source has been compared with its bucket, as the index remembers it.

use super::context::Context;
use crate::os::blocking::blocking;
use crate::types::Fault;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What was found in the bucket counts no more: it may be another one.
///
/// # Errors
/// The index cannot be written.
pub async fn forget_comparison(ctx: &Arc<Context>, source: usize) -> Result<(), Fault> {
    ctx.sources[source].compared.store(false, Ordering::Relaxed);
    let ctx = Arc::clone(ctx);
    blocking(move || {
        let id = ctx.sources[source].id;
        ctx.index.source_state_set(id, COMPARED, &false.into())?;
        ctx.index.flush()
    })
    .await
}

/// Under which name the index remembers that a source has been compared.
pub const COMPARED: &str = "compared";
