//! What a manifest adds to a restore, when all files are there: the folders'
//! own modes, and the names of files whose versions somebody has removed or
//! whose metadata is not what it was.
//!
//! A version that is gone leaves no trace in the bucket's list: only a manifest
//! remembers that there was one. Invariants: without a manifest everything is
//! restored all the same; nothing is written here but modes, owners and times
//! of folders that the restore has made; one page of the list and a bounded
//! number of folders are held.

mod altered;
mod listing;

use super::manifest::{self, Manifest};
use super::object::Shop;
use super::retry::{Stop, told};
use super::shown;
use crate::error::{Class, Fatal, Fault, chain};
use crate::model::manifest::Line;
use crate::model::{Fingerprint, Kind, RelPath};
use altered::Altered;
use listing::Listing;
use std::sync::Arc;

/// Where not everything is restored, a larger manifest would take longer to read
/// than the files.
const PART_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// A manifest that is older than the moment by more than this names no missing
/// versions: what was deleted since may have left the bucket by its rules.
const MISSING_AGE_MAX_MS: i64 = 31 * 24 * 3_600_000;

/// Folders that are finished at a time.
const FOLDERS_AT_ONCE: usize = 256;

/// Folders that wait for the end, since their modes would let nobody in.
const CLOSED_MAX: usize = 10_000;

/// Mode bit without which an owner cannot enter a folder.
const MODE_ENTER: u32 = 0o100;

/// Finish what the restore has brought.
pub(super) async fn finish(
    shop: &Arc<Shop>,
    at_ms: Option<i64>,
    stop: &mut Stop,
) -> Result<(), Fatal> {
    let bytes_max = match shop.selector.is_everything() {
        true => u64::MAX,
        false => PART_BYTES_MAX,
    };
    let found = manifest::nearest(&shop.store, &shop.origin, at_ms, bytes_max, stop).await;
    let done = match found {
        Ok(found) => {
            for fault in found.damaged {
                shop.tally.remarked(fault);
            }
            match found.manifest {
                Some(manifest) => compare(shop, &manifest, at_ms, stop).await,
                None => Ok(()),
            }
        }
        Err(fault) => Err(fault),
    };
    if stop.is_asked() {
        return Err(Fatal::interrupted("restore everything"));
    }
    if let Err(fault) = done {
        // The files are there: this is about what could be said beyond them.
        shop.tally.remarked(told(fault));
    }
    Ok(())
}

async fn compare(
    shop: &Arc<Shop>,
    manifest: &Manifest,
    at_ms: Option<i64>,
    stop: &mut Stop,
) -> Result<(), Fault> {
    let mut lines = manifest.lines(&shop.store, stop).await?;
    // The server's clock may be ahead: what is newest counts, whenever that was.
    let until_ms = at_ms.unwrap_or(i64::MAX);
    let asked_ms = at_ms.unwrap_or_else(crate::transfer::wall_ms);
    let is_young = asked_ms.saturating_sub(manifest.header.moment_ms) <= MISSING_AGE_MAX_MS;
    let mut listing = Listing::new(shop, until_ms);
    let mut altered = Altered::new(shop, &manifest.header.moment);
    let (mut folders, mut closed) = (Vec::new(), Vec::new());
    while let Some(line) = lines.next().await? {
        let (Some(rel), Some(seen)) = (line.rel_key(), line.fingerprint()) else {
            continue;
        };
        if stop.is_asked() {
            return Ok(());
        }
        let path = rel.path();
        if !shop.selector.matches(&path) {
            continue;
        }
        let object = rel.in_bucket(&shop.origin.prefix);
        let (key, is_shortened) = (object.key, object.shortened);
        let fate = listing.fate(&key, is_shortened, &line, stop).await?;
        if seen.kind == Kind::Folder {
            let is_closed = seen.mode & MODE_ENTER == 0 && closed.len() < CLOSED_MAX;
            let list = if is_closed { &mut closed } else { &mut folders };
            list.push(Folder {
                path: path.clone(),
                then: seen,
                has_object: fate.as_ref().is_some_and(|fate| fate.has_object),
            });
            if folders.len() == FOLDERS_AT_ONCE {
                finish_folders(shop, std::mem::take(&mut folders)).await?;
            }
        }
        // One that was drawn while something was stored has younger lines.
        let was_there = line.has_object() && line.stored_at_ms <= until_ms;
        let Some(fate) = fate.filter(|_| was_there && !line.version_id.is_empty()) else {
            continue;
        };
        if fate.is_current {
            altered.look(&path, key, &line, stop).await?;
        } else if is_young && listing.is_missing(&key, &line, &fate, stop).await? {
            shop.tally.failed(missing(&path, &line, manifest));
        }
    }
    altered.finish(stop).await?;
    finish_folders(shop, folders).await?;
    // What is inside comes before what it is in.
    closed.reverse();
    finish_folders(shop, closed).await
}

/// A folder that waits for its looks.
struct Folder {
    path: RelPath,
    /// What the manifest says of it.
    then: Fingerprint,
    /// The bucket has an object of it at the moment: if it is empty, that has said
    /// what it was like, and later than the manifest. It may have stayed when the
    /// folder filled.
    has_object: bool,
}

async fn finish_folders(shop: &Arc<Shop>, folders: Vec<Folder>) -> Result<(), Fault> {
    let shared = shop.clone();
    let work = move || {
        for folder in folders {
            let Folder { path, then, .. } = folder;
            let is_empty = folder
                .has_object
                .then(|| shared.target.is_empty_folder(&path));
            // What cannot be looked at is told below.
            if is_empty == Some(Ok(true)) {
                continue;
            }
            let (mode, owner) = (then.mode, then.owner);
            let overwrite = shared.options.overwrite;
            let target = &shared.target;
            // A folder in use has its own mode by now.
            let only_made = shared.options.in_place.is_some();
            let mtime_ns = then.mtime_ns;
            match target.finish_folder(&path, mode, mtime_ns, owner, overwrite, only_made) {
                Ok(None) => {}
                Ok(Some(fault)) | Err(fault) => shared.tally.left_out(fault),
            }
        }
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Fault::new(Class::Local, "finish", "the folders", chain(&error)))
}

fn missing(path: &RelPath, line: &Line, manifest: &Manifest) -> Fault {
    Fault::new(
        Class::NotFound,
        "restore",
        path.to_string(),
        format!(
            "the manifest of {} has it as version {}, which is not in the bucket any more",
            manifest.header.moment,
            shown(&line.version_id)
        ),
    )
    .hint("somebody, or a rule of the bucket, has removed that version; if there is a file of that name now, it is an older state: `keepwatch versions` lists what is left")
}
