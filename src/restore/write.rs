//! What an object holds is written into the target. Everything here blocks.

use super::content::{PRIVATE_FOLDERS, Source};
use super::context::RestoreContext;
use super::outcome::Outcome;
use super::plan::{LINK_TARGET_BYTES_MAX, Replaced};
use super::{content, existing_target, in_place, plan};
use crate::files::{Committed, Looks, Pending};
use crate::types::{Fault, Kind, ObjectMeta, RelPath};

/// Write a small object, whose body `source` has.
pub(crate) fn write(
    ctx: &RestoreContext,
    path: &RelPath,
    source: Source,
    replaced: Replaced,
) -> Result<Outcome, Fault> {
    let meta = source.meta.clone();
    let overwrite = ctx.options.overwrite;
    // At the last moment: until then it may be edited.
    let make_way = || in_place::make_way(ctx, path, replaced);
    let looks = looks_of(&meta);
    let committed = match meta.kind {
        Kind::Folder => ctx
            .folders
            .bring(path, looks, meta.attributes.attributes())?,
        Kind::Symlink => {
            let to = content::read_link_target(source, LINK_TARGET_BYTES_MAX)?;
            make_way()?;
            ctx.target
                .symlink(path, &to, overwrite, looks, PRIVATE_FOLDERS)?
        }
        Kind::File | Kind::Special => {
            ctx.check_space(meta.disk_bytes(), &source.subject)?;
            let pending = content::write_small(&ctx.target, path, source, &ctx.stats)?;
            commit(ctx, pending, &meta, make_way)?
        }
    };
    ended(ctx, path, &meta, committed)
}

pub(super) fn looks_of(meta: &ObjectMeta) -> Looks {
    Looks {
        // Links and folders alone are dressed by these.
        mode: meta.mode,
        mtime_ns: meta.mtime_ns,
        owner: meta.owner,
    }
}

/// Give a verified file its name.
pub(super) fn commit(
    ctx: &RestoreContext,
    mut pending: Pending,
    meta: &ObjectMeta,
    make_way: impl FnOnce() -> Result<(), Fault>,
) -> Result<Committed, Fault> {
    let (overwrite, mode) = (ctx.options.overwrite, ctx.mode_of(meta));
    pending.give(meta.attributes.attributes());
    pending.commit_after(overwrite, mode, meta.mtime_ns, meta.owner, make_way)
}

/// What the writing came to.
pub(super) fn ended(
    ctx: &RestoreContext,
    path: &RelPath,
    meta: &ObjectMeta,
    committed: Committed,
) -> Result<Outcome, Fault> {
    match committed {
        Committed::Written { left_out } => Ok(Outcome::Written {
            kind: meta.kind,
            bytes: meta.size_bytes,
            left_out: left_out.or_else(|| ctx.withheld(path, meta)),
            torn: meta.is_torn.then(|| path.to_string()),
        }),
        // Of one name twice in this run, the second finds the first's folder.
        Committed::AlreadyThere if meta.kind == Kind::Folder => Ok(there(ctx, path)),
        // It was not looked for before, or has come meanwhile.
        Committed::AlreadyThere => {
            let existing = existing_target::inspect(ctx, path, meta)?;
            if let existing_target::Existing::Same { mode } = existing {
                note_withheld(ctx, path, meta, mode);
            }
            plan::if_meanwhile(existing, path)
        }
    }
}

/// What is to be there is there: from before, unless it is a folder that this restore has
/// made for what lies in it.
pub(super) fn there(ctx: &RestoreContext, path: &RelPath) -> Outcome {
    match ctx.target.has_made(path) {
        true => Outcome::FolderMade,
        false => Outcome::Identical,
    }
}

/// The same file stands there, with a mode that lacks what was withheld.
pub(super) fn note_withheld(ctx: &RestoreContext, path: &RelPath, meta: &ObjectMeta, mode: u32) {
    if mode != meta.mode
        && let Some(fault) = ctx.withheld(path, meta)
    {
        ctx.stats.left_out(fault);
    }
}
