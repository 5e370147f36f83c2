//! Whether a path changed while it was worked on.

use crate::files;
use crate::files::Pulse;
use crate::source::{Context, on_disk};
use crate::types::{Fault, Fingerprint, RelPath};
use std::sync::Arc;

/// What stands at `path` now.
pub(crate) async fn stat(
    ctx: &Arc<Context>,
    source: usize,
    path: &RelPath,
) -> Result<Option<Fingerprint>, Fault> {
    let (root, path) = (ctx.sources[source].config.path.clone(), path.clone());
    let work = move || files::stat(&root, &path);
    on_disk(ctx, source, &Pulse::default(), work).await
}

/// Whether something else stands at `path` than what was stored.
pub(crate) async fn has_changed(
    ctx: &Arc<Context>,
    source: usize,
    path: &RelPath,
    stored: Fingerprint,
) -> Result<bool, Fault> {
    Ok(stat(ctx, source, path).await? != Some(stored))
}
