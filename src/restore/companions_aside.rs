//! Gives companion files another name that stand beside a file that comes back, and
//! belong to what that file was before.
//!
//! The journal of today's database would be played back over the one that is restored
//! (`types::companion`). Invariants: it is given another name, never removed, right
//! before the file gets its new content; what comes back itself is left to its own
//! turn.

use super::context::RestoreContext;
use super::kept_beside::under_free_name;
use super::request::Pass;
use crate::history::{Chosen, Name, belonging, current_of};
use crate::os::blocking::blocking_on;
use crate::types::{Bond, Class, Fault, Kind, RelKey, RelPath, companion};
use std::sync::Arc;

/// See what stands beside the file that is about to be brought, and does not come back
/// itself.
pub(crate) async fn find(
    ctx: &Arc<RestoreContext>,
    chosen: &Chosen,
    pass: Pass,
) -> Result<(), Fault> {
    let (Name::Path(key) | Name::Older(key)) = &chosen.name else {
        return Ok(());
    };
    if ctx.is_fresh || pass != Pass::Files || key.is_folder() {
        return Ok(());
    }
    let main = key.path();
    let existing = {
        let (ctx, main) = (ctx.clone(), main.clone());
        blocking(&main.clone(), move || existing(&ctx, &main)).await?
    };
    let mut stop = ctx.stop.clone();
    let mut stale = Vec::new();
    for path in existing {
        let key = RelKey::of_file(&path);
        let (store, origin, at_ms) = (&ctx.store, &ctx.origin, ctx.at_ms);
        let comes = async {
            Ok(
                match current_of(store, origin, &key, at_ms, &mut stop).await? {
                    None => false,
                    Some(current) => belonging(store, origin, current, at_ms, &mut stop)
                        .await?
                        .chosen
                        .is_some(),
                },
            )
        };
        if !ctx.unless_stopped(chosen, comes).await? {
            stale.push(path);
        }
    }
    if !stale.is_empty() {
        ctx.stale.put(main, stale);
    }
    Ok(())
}

/// The companions of `main` that stand in the target.
fn existing(ctx: &RestoreContext, main: &RelPath) -> Result<Vec<RelPath>, Fault> {
    let mut existing = Vec::new();
    for (path, bond) in companion::companions_of(main) {
        if bond == Bond::Lock {
            continue;
        }
        let found = match ctx.target.existing(&path) {
            // The disk cannot hold such a name, so nothing has it.
            Err(fault) if fault.class == Class::Unstorable => None,
            found => found?,
        };
        if found.is_some_and(|found| found.kind == Kind::File) {
            existing.push(path);
        }
    }
    Ok(existing)
}

/// The file is the one that was asked for, also where nothing had to be written.
pub(crate) async fn finish(ctx: &Arc<RestoreContext>, chosen: &Chosen) -> Result<(), Fault> {
    let (Name::Path(key) | Name::Older(key)) = &chosen.name else {
        return Ok(());
    };
    let (main, shared) = (key.path(), ctx.clone());
    if !ctx.options.overwrite {
        // What was left as it is keeps what belongs to it.
        ctx.stale.take(&main);
        return Ok(());
    }
    blocking(&key.path(), move || set_aside(&shared, &main)).await
}

/// Right before the file gets its content: give what belongs to the old one another
/// name. Blocks.
pub(crate) fn set_aside(ctx: &RestoreContext, main: &RelPath) -> Result<(), Fault> {
    let stale = ctx.stale.take(main);
    if stale.is_empty() || (!ctx.options.overwrite && ctx.target.existing(main)?.is_some()) {
        return Ok(());
    }
    stale.iter().try_for_each(|path| move_away(ctx, path))
}

fn move_away(ctx: &RestoreContext, path: &RelPath) -> Result<(), Fault> {
    let move_to = |beside: &RelPath| ctx.target.move_beside(path, beside);
    if under_free_name(ctx, path, move_to)? {
        return Ok(());
    }
    Err(Fault::new(
        Class::Local,
        "give another name to",
        path.to_string(),
        "it belongs to what the file beside it was before, and no free name was found",
    )
    .hint("move it away and run the restore again"))
}

async fn blocking<T: Send + 'static>(
    path: &RelPath,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    blocking_on("restore", path.to_string(), work).await
}
