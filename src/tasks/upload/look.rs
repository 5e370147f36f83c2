//! A worker's first look at a path: disk and index. Blocking.

use crate::error::Fault;
use crate::files::{self, Pulse};
use crate::model::{Fingerprint, Kind, Record, RelKey, RelPath};
use crate::tasks::brake;
use crate::tasks::context::Context;

/// What disk and index say of a path.
pub(super) struct Look {
    /// What stands there; `None` when nothing does, or when it is excluded.
    pub disk: Option<Fingerprint>,
    /// For a folder: it holds nothing that is backed up.
    pub empty: bool,
    /// Record of the file or link.
    pub file: Option<Record>,
    /// Record of the folder.
    pub folder: Option<Record>,
    /// Some path of the source is unprotected, perhaps this one.
    pub has_unprotected: bool,
}

pub(super) fn look(
    ctx: &Context,
    source: usize,
    path: &RelPath,
    pulse: &Pulse,
) -> Result<Look, Fault> {
    if let Err(fault) = brake::look_at_root_again(ctx, source) {
        // A marker that cannot be read keeps no file from being stored.
        tracing::debug!("{fault}");
    }
    let source = &ctx.sources[source];
    let root = &source.config.path;
    let disk = files::stat_unless_excluded(root, path, &source.rules)?;
    if disk.is_none() {
        // A root that is not there (disk not mounted) must not look like "all gone".
        files::root_state(root)?;
    }
    let empty = match disk {
        Some(found) if found.kind == Kind::Folder => {
            // The walk begins with the folder itself, and knows what is left out.
            match files::walk(root, path, &source.rules).next() {
                Some(Ok(entry)) => entry.empty,
                Some(Err(broken)) => return Err(broken.fault),
                None => false,
            }
        }
        _ => false,
    };
    // The index is another disk.
    pulse.rest();
    let keys = [&RelKey::of_file(path), &RelKey::of_folder(path)];
    let [file, folder] = ctx.index.get_all(source.id, keys)?;
    Ok(Look {
        disk,
        empty,
        file,
        folder,
        has_unprotected: ctx.index.has_unprotected(source.id),
    })
}
