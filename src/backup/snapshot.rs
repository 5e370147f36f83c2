//! A worker's first look at a path: disk and index. Blocking.

use crate::files;
use crate::files::Pulse;
use crate::guard;
use crate::index::Index;
use crate::source::SourceRuntime;
use crate::types::{Bond, Fault, Fingerprint, Kind, Record, RelKey, RelPath, companion};

/// What disk and index say of a path.
pub(crate) struct PathSnapshot {
    /// What stands there; `None` when nothing does, or when it is excluded.
    pub disk: Option<Fingerprint>,
    /// For a folder: it holds nothing that is backed up.
    pub is_empty: bool,
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

pub(crate) fn snapshot(
    index: &Index,
    source: &SourceRuntime,
    path: &RelPath,
    pulse: &Pulse,
) -> Result<PathSnapshot, Fault> {
    if let Err(fault) = guard::look_at_root_again(&source.guard) {
        // A sentinel that cannot be read keeps no file from being stored.
        tracing::debug!("{fault}");
    }
    let root = &source.config.path;
    let disk = files::stat_unless_excluded(root, path, &source.rules)?;
    if disk.is_none() {
        // A root that is not there (disk not mounted) must not look like "all gone".
        files::root_state(root)?;
    }
    let is_empty = match disk {
        Some(found) if found.kind == Kind::Folder => {
            // The walk begins with the folder itself, and knows what is excluded.
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
    let [file, folder] = index.get_all(source.id, keys)?;
    let kind = disk.map(|found| found.kind);
    let companions = if may_have_companions(kind, file.as_ref()) {
        companions(source, index, path, file.is_some(), pulse)?
    } else {
        Vec::new()
    };
    Ok(PathSnapshot {
        disk,
        is_empty,
        file,
        folder,
        companions,
        has_unprotected: index.has_unprotected(source.id),
    })
}

/// Only a file has companions. Where it is no file any more, they become files of their
/// own.
fn may_have_companions(kind: Option<Kind>, file: Option<&Record>) -> bool {
    match kind {
        Some(Kind::File) => true,
        None => file.is_some(),
        Some(_) => file.is_some_and(|record| record.fingerprint.kind == Kind::File),
    }
}

/// The companions of the file at `path` that are there, or were. A new file had none that
/// could be gone.
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
    let records = if is_known {
        let keys: Vec<RelKey> = names
            .iter()
            .map(|(path, _)| RelKey::of_file(path))
            .collect();
        index.get_each(source.id, &keys)?
    } else {
        vec![None; names.len()]
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

/// The file that a path belongs to.
pub(crate) struct Main {
    /// The file: both are stored, or deleted, at one moment.
    pub path: RelPath,
    /// Record of a folder that had the companion's name and is gone. It belongs to nothing.
    pub folder: Option<Record>,
}

/// The file that the path belongs to; `None` when it stands for itself.
pub(crate) fn main_of(
    index: &Index,
    source: &SourceRuntime,
    path: &RelPath,
    pulse: &Pulse,
) -> Result<Option<Main>, Fault> {
    let Some((main, bond)) = companion::main_of(path) else {
        return Ok(None);
    };
    let folder = path.parent().unwrap_or_default();
    let names = [main.name(), path.name()];
    let stand = files::stat_names(&source.config.path, &folder, &names, &source.rules)?;
    let [main_kind, own_kind] = [0, 1].map(|at| stand.get(at).copied().flatten().map(|f| f.kind));
    let belonging = belonging(main_kind, own_kind, bond);
    match belonging {
        Belonging::Itself => return Ok(None),
        Belonging::Main => {}
        // A root that is not there must not look like "all gone".
        Belonging::StoredMain => {
            files::root_state(&source.config.path)?;
        }
    }
    pulse.rest();
    let keys = [&RelKey::of_file(&main), &RelKey::of_folder(path)];
    let [of_main, folder] = index.get_all(source.id, keys)?;
    let belongs = belonging == Belonging::Main || of_main.is_some();
    Ok(belongs.then_some(Main { path: main, folder }))
}

/// Whose turn a companion's turn is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Belonging {
    /// Its own.
    Itself,
    /// That of the file beside it.
    Main,
    /// It is gone: that of its file, if that was ever stored.
    StoredMain,
}

fn belonging(main: Option<Kind>, own: Option<Kind>, bond: Bond) -> Belonging {
    match (main, own) {
        // A lock is a file like any other, until it is gone.
        (Some(Kind::File), Some(Kind::File)) if bond != Bond::Lock => Belonging::Main,
        (Some(Kind::File) | None, None) => Belonging::StoredMain,
        _ => Belonging::Itself,
    }
}
