//! A worker's first look at a path: disk and index. Blocking.

use crate::files;
use crate::files::Pulse;
use crate::guard;
use crate::index::Index;
use crate::backup::context::Context;
use crate::source::SourceRuntime;
use crate::types::{Bond, Fault, Fingerprint, Kind, Record, RelKey, RelPath, companion};

/// What disk and index say of a path.
pub(crate) struct Look {
    /// What stands there; `None` when nothing does, or when it is excluded.
    pub disk: Option<Fingerprint>,
    /// For a folder: it holds nothing that is backed up.
    pub empty: bool,
    /// Record of the file or link.
    pub file: Option<Record>,
    /// Record of the folder.
    pub folder: Option<Record>,
    /// What stands, or stood, beside the file and belongs to it.
    pub companions: Vec<Companion>,
    /// Some path of the source is unprotected, perhaps this one.
    pub has_unprotected: bool,
}

/// A file that belongs to another (`types::companion`).
#[derive(Debug)]
pub(crate) struct Companion {
    pub path: RelPath,
    pub bond: Bond,
    /// What stands there.
    pub disk: Option<Fingerprint>,
    /// What the bucket has of it.
    pub record: Option<Record>,
}

pub(crate) fn look(
    ctx: &Context,
    source: &SourceRuntime,
    path: &RelPath,
    pulse: &Pulse,
) -> Result<Look, Fault> {
    if let Err(fault) = guard::look_at_root_again(&source.guard) {
        // A marker that cannot be read keeps no file from being stored.
        tracing::debug!("{fault}");
    }
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
    // Those of a file that is one no more are to stand for themselves.
    let was_file = |record: &Record| disk.is_none() || record.fingerprint.kind == Kind::File;
    let companions = match disk.map(|found| found.kind) {
        Some(Kind::File) => companions(source, &ctx.index, path, file.is_some(), pulse)?,
        _ if file.as_ref().is_some_and(was_file) => {
            companions(source, &ctx.index, path, true, pulse)?
        }
        _ => Vec::new(),
    };
    Ok(Look {
        disk,
        empty,
        file,
        folder,
        companions,
        has_unprotected: ctx.index.has_unprotected(source.id),
    })
}

/// What belongs to the file at `path` and is there, or was. A new file had nothing
/// beside it that could be gone.
fn companions(
    source: &SourceRuntime,
    index: &Index,
    path: &RelPath,
    is_known: bool,
    pulse: &Pulse,
) -> Result<Vec<Companion>, Fault> {
    let mut names = companion::companions_of(path);
    if !is_known {
        names.retain(|(_, bond)| *bond != Bond::Lock);
    }
    let records = match is_known {
        true => {
            let keys: Vec<RelKey> = names
                .iter()
                .map(|(path, _)| RelKey::of_file(path))
                .collect();
            index.get_each(source.id, &keys)?
        }
        false => vec![None; names.len()],
    };
    pulse.beat();
    let folder = path.parent().unwrap_or_default();
    let stand = {
        let names: Vec<&[u8]> = names.iter().map(|(path, _)| path.name()).collect();
        files::stat_names(&source.config.path, &folder, &names, &source.rules)?
    };
    pulse.rest();
    let all = names.into_iter().zip(stand).zip(records);
    let all = all.map(|(((path, bond), disk), record)| Companion {
        path,
        bond,
        disk,
        record,
    });
    Ok(all
        .filter(|one| one.disk.is_some() || one.record.is_some())
        .collect())
}

/// What a path belongs to.
pub(crate) struct Belongs {
    /// The file that it is to be looked at with: both are stored, or deleted, at one
    /// moment.
    pub main: RelPath,
    /// Record of a folder that had the path's name and is gone. It belongs to nothing.
    pub folder: Option<Record>,
}

/// What the path belongs to; `None` when it stands for itself.
pub(crate) fn main_of(
    ctx: &Context,
    source: &SourceRuntime,
    path: &RelPath,
    pulse: &Pulse,
) -> Result<Option<Belongs>, Fault> {
    let Some((main, bond)) = companion::main_of(path) else {
        return Ok(None);
    };
    let folder = path.parent().unwrap_or_default();
    let names = [main.name(), path.name()];
    let stand = files::stat_names(&source.config.path, &folder, &names, &source.rules)?;
    let [main_kind, own] = [0, 1].map(|at| stand.get(at).copied().flatten().map(|f| f.kind));
    let is_there = match main_kind {
        // A lock is a file like any other, until it is gone.
        Some(Kind::File) if own == Some(Kind::File) && bond != Bond::Lock => true,
        Some(Kind::File) | None if own.is_none() => {
            // A root that is not there must not look like "all gone".
            files::root_state(&source.config.path)?;
            false
        }
        _ => return Ok(None),
    };
    pulse.rest();
    let keys = [&RelKey::of_file(&main), &RelKey::of_folder(path)];
    let [of_main, folder] = ctx.index.get_all(source.id, keys)?;
    let belongs = is_there || of_main.is_some();
    Ok(belongs.then_some(Belongs { main, folder }))
}
