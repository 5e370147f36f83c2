//! Whether a path changed while it was worked on.

use crate::files;
use crate::files::Pulse;
use crate::source::SourceRuntime;
use crate::types::{Fault, Fingerprint, RelPath};

/// What stands at `path` now.
pub(crate) async fn stat(
    source: &SourceRuntime,
    path: &RelPath,
) -> Result<Option<Fingerprint>, Fault> {
    let (root, path) = (source.config.path.clone(), path.clone());
    let work = move || files::stat(&root, &path);
    source.watchdog.run(&Pulse::default(), work).await
}

/// Whether something else stands at `path` than what was stored.
pub(crate) async fn has_changed(
    source: &SourceRuntime,
    path: &RelPath,
    stored: Fingerprint,
) -> Result<bool, Fault> {
    Ok(stat(source, path).await? != Some(stored))
}
