//! Compares a finished restore with a manifest: gives folders their own modes, and
//! names files whose versions somebody has removed or whose metadata was changed.
//!
//! A version that is gone leaves no trace in the bucket's list: only a manifest
//! remembers that there was one. Invariants: without a manifest everything is
//! restored all the same; nothing is written here but modes, owners and times
//! of folders that the restore has made; one page of the list and a bounded
//! number of folders are held.

mod altered;
mod listing;

use super::context::RestoreContext;
use super::separate_attributes::mode_of_unknown_list;
use crate::files::Looks;
use crate::manifest::{Manifest, ManifestEntry, read};
use crate::os::blocking::blocking_on;
use crate::retry::{Stop, advise_rerun};
use crate::types::{
    Attributes, Class, Fatal, Fault, Fingerprint, Kind, RelPath, command, id_text, shown,
};
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

/// Finish the restore by the manifest of its moment, if there is one.
pub(crate) async fn finish(
    ctx: &Arc<RestoreContext>,
    at_ms: Option<i64>,
    stop: &mut Stop,
) -> Result<(), Fatal> {
    let bytes_max = match ctx.selector.is_everything() {
        true => u64::MAX,
        false => PART_BYTES_MAX,
    };
    let found = read::nearest(&ctx.store, &ctx.origin, at_ms, bytes_max, stop).await;
    let done = match found {
        Ok(found) => {
            for fault in found.damaged {
                ctx.stats.remarked(fault);
            }
            match found.manifest {
                Some(manifest) => compare(ctx, &manifest, at_ms, stop).await,
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
        ctx.stats.remarked(advise_rerun(fault));
    }
    Ok(())
}

async fn compare(
    ctx: &Arc<RestoreContext>,
    manifest: &Manifest,
    at_ms: Option<i64>,
    stop: &mut Stop,
) -> Result<(), Fault> {
    let mut lines = manifest.lines(&ctx.store, stop).await?;
    // The server's clock may be ahead: what is newest counts, whenever that was.
    let until_ms = at_ms.unwrap_or(i64::MAX);
    let asked_ms = at_ms.unwrap_or_else(crate::os::clock::wall_ms);
    let is_young = asked_ms.saturating_sub(manifest.header.moment_ms) <= MISSING_AGE_MAX_MS;
    let mut listing = Listing::new(ctx, until_ms);
    let mut altered = Altered::new(ctx, &manifest.header.moment);
    let mut folders = Vec::new();
    while let Some(line) = lines.next().await? {
        let (Some(rel), Some(seen)) = (line.rel_key(), line.fingerprint()) else {
            continue;
        };
        if stop.is_asked() {
            return Ok(());
        }
        let path = rel.path();
        if !ctx.selector.matches(&path) {
            continue;
        }
        let object = rel.in_bucket(&ctx.origin.prefix);
        let (key, is_shortened) = (object.key, object.shortened);
        let fate = listing.fate(&key, is_shortened, &line, stop).await?;
        if seen.kind == Kind::Folder {
            let is_listed = fate.as_ref().is_some_and(|fate| fate.has_object);
            folders.push(Folder::of(&path, &line, seen, is_listed));
            if folders.len() == FOLDERS_AT_ONCE {
                finish_folders(ctx, std::mem::take(&mut folders)).await?;
            }
        }
        let is_older = rel.older(&ctx.origin.prefix) == Some(line.bucket_key(&ctx.origin.prefix));
        let Some(fate) = fate.filter(|_| names_a_version(&line, is_older, until_ms)) else {
            continue;
        };
        if fate.is_current {
            altered.add(&path, key, &line, stop).await?;
        } else if is_young && listing.is_missing(&key, &line, &fate, stop).await? {
            ctx.stats.failed(missing(&path, &line, manifest));
        }
    }
    altered.finish(stop).await?;
    finish_folders(ctx, folders).await
}

/// The line names a version that was current at the moment under the path's own key.
/// What has become of a key of earlier versions says nothing of the path.
fn names_a_version(line: &ManifestEntry, is_older: bool, until_ms: i64) -> bool {
    // A manifest that was drawn while something was stored has younger lines.
    let was_there = line.has_object() && line.stored_at_ms <= until_ms;
    was_there && !is_older && line.version_id.is_some()
}

/// What a manifest says of a folder.
struct Folder {
    path: RelPath,
    looks: Looks,
    attributes: Attributes,
    /// The list has something by its name.
    is_listed: bool,
}

impl Folder {
    fn of(path: &RelPath, line: &ManifestEntry, seen: Fingerprint, is_listed: bool) -> Self {
        // It had some, and the line does not say which.
        let is_unknown = line.attributes_id.is_some() && line.attributes.is_none();
        Self {
            path: path.clone(),
            looks: Looks {
                mode: match is_unknown {
                    true => mode_of_unknown_list(seen.mode),
                    false => seen.mode,
                },
                mtime_ns: seen.mtime_ns,
                owner: seen.owner,
            },
            attributes: line.attributes(),
            is_listed,
        }
    }
}

async fn finish_folders(ctx: &Arc<RestoreContext>, found: Vec<Folder>) -> Result<(), Fault> {
    let shared = ctx.clone();
    let work = move || {
        for one in found {
            let folders = &shared.folders;
            folders.by_manifest(&one.path, one.looks, one.attributes, one.is_listed);
        }
        Ok(())
    };
    blocking_on("finish", "the folders", work).await
}

fn missing(path: &RelPath, line: &ManifestEntry, manifest: &Manifest) -> Fault {
    Fault::new(
        Class::NotFound,
        "restore",
        path.to_string(),
        format!(
            "the manifest of {} has it as version {}, which is not in the bucket any more",
            manifest.header.moment,
            shown(id_text(&line.version_id))
        ),
    )
    .hint(format!(
        "somebody, or a rule of the bucket, has removed that version; if there is a file of that name now, it is an older state: `{}` lists what is left",
        command::on_copies("versions FILE")
    ))
}
