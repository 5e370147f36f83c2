//! Restoring over a folder that is in use: what is there now is never lost.
//!
//! Invariants: a file is replaced only when the bucket has exactly its content as
//! a version of it, or after it has a second name beside it; that name never takes
//! anybody else's place; both names are there before the old one's content
//! changes, so that a kill at any point leaves the file whole under one of them.
//! What did not exist at the moment is left alone and named.

use super::companions_aside;
use super::context::RestoreContext;
use super::kept_beside::under_free_name;
use super::outcome::Outcome;
use super::plan::{Replaced, has_all_rights};
use crate::files;
use crate::history::{Chosen, head_at, list_page};
use crate::os::blocking::blocking_on;
use crate::s3::At;
use crate::types::{Class, ContentHash, Fault, Fingerprint, Kind, ObjectMeta, RelPath};
use std::sync::Arc;

/// Versions of a file that are asked whether they hold what it holds now, the
/// newest of them: it is the newest as a rule, since the backup goes on.
const VERSIONS_ASKED_MAX: usize = 20;

/// Find out whether the bucket has the file that stands at the path now. `meta` is
/// the file that will replace it.
pub(crate) async fn find_replaced(
    ctx: &Arc<RestoreContext>,
    chosen: &Chosen,
    path: &RelPath,
    meta: &ObjectMeta,
) -> Result<Replaced, Fault> {
    let (shared, rel) = (ctx.clone(), path.clone());
    let read = move || hashed(&shared, &rel);
    let hashed = blocking_on("compare", path.to_string(), read).await?;
    let Some((found, hash)) = hashed else {
        return Ok(Replaced::Unknown);
    };
    if found.kind == meta.kind && meta.content == Some(hash) {
        return Ok(Replaced::SameContent);
    }
    Ok(match is_stored(ctx, chosen, found.kind, hash).await? {
        true => Replaced::Stored(found),
        false => Replaced::Unknown,
    })
}

/// The file or link as it is, and its hash; `None` when it changed meanwhile.
fn hashed(
    ctx: &RestoreContext,
    path: &RelPath,
) -> Result<Option<(Fingerprint, ContentHash)>, Fault> {
    let root = ctx.target.path();
    let path = &ctx.target.here(path);
    let Some(before) = files::stat(root, path)? else {
        return Ok(None);
    };
    let Some((hash, _)) = files::content_hash(root, path, before.kind)? else {
        return Ok(None);
    };
    let rests = files::stat(root, path)? == Some(before);
    Ok(rests.then_some((before, hash)))
}

/// Whether one of the newest versions of the object holds exactly this content.
async fn is_stored(
    ctx: &RestoreContext,
    chosen: &Chosen,
    kind: Kind,
    hash: ContentHash,
) -> Result<bool, Fault> {
    let mut stop = ctx.stop.clone();
    let bucket = &ctx.origin.bucket;
    let page = list_page(&ctx.store, bucket, &chosen.key, None, &mut stop).await?;
    let versions = page
        .items
        .iter()
        .take_while(|version| version.key == chosen.key)
        .filter(|version| !version.is_marker)
        .take(VERSIONS_ASKED_MAX);
    for version in versions {
        let at = At {
            bucket,
            key: &chosen.key,
        };
        let head = head_at(&ctx.store, at, version.version_id.as_ref(), &mut stop).await?;
        let holds_it = head
            .and_then(|head| head.meta.ok())
            .is_some_and(|meta| meta.kind == kind && meta.content == Some(hash));
        if holds_it {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Right before the path gets its new content, give the existing file a second name,
/// unless the bucket has it. Blocks.
pub(crate) fn make_way(
    ctx: &RestoreContext,
    path: &RelPath,
    replaced: Replaced,
) -> Result<(), Fault> {
    companions_aside::set_aside(ctx, path)?;
    if ctx.options.in_place.is_none() {
        return Ok(());
    }
    let Some(found) = ctx.target.existing(path)? else {
        return Ok(());
    };
    if replaced == Replaced::Stored(found) {
        ctx.stats.note(|all| all.replaced_stored += 1);
        return Ok(());
    }
    if under_free_name(ctx, path, |beside| ctx.target.second_name(path, beside))? {
        return Ok(());
    }
    Err(Fault::new(
        Class::Local,
        "keep what is there of",
        path.to_string(),
        "no free name was found beside it",
    )
    .hint("move it away and run the restore again"))
}

/// Give the file the object's mode, time and owner: its content is right. Blocks.
pub(crate) fn copy_metadata(
    ctx: &RestoreContext,
    path: &RelPath,
    meta: &ObjectMeta,
) -> Result<Outcome, Fault> {
    let is_given = ctx
        .target
        .existing(path)?
        .is_some_and(|found| has_all_rights(&found, meta));
    let mode = match is_given {
        true => meta.mode,
        false => ctx.mode_of(meta),
    };
    let left_out = ctx.target.set_metadata(
        path,
        mode,
        meta.mtime_ns,
        meta.owner,
        &meta.attributes.attributes(),
    )?;
    let withheld = || ctx.withheld(path, meta).filter(|_| !is_given);
    let left_out = left_out.or_else(withheld);
    Ok(Outcome::Written {
        kind: meta.kind,
        bytes: 0,
        left_out,
        torn: meta.is_torn.then(|| path.to_string()),
    })
}
