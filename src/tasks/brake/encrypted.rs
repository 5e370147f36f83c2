//! Raising the alarm when many files look encrypted.

use super::{Memory, change};
use crate::error::Fault;
use crate::model::alarm::{Incident, WINDOW_MS, ending_of};
use crate::model::brake::Why;
use crate::model::{Look, RelPath};
use crate::tasks::context::Context;

/// Content that looks encrypted was stored at a path; `was` is how that looked
/// before, `None` for a new path, `since_ms` the first sign of the change (by
/// the steady clock).
///
/// # Errors
/// The index fails.
pub(in crate::tasks) fn looks_encrypted(
    ctx: &Context,
    source: usize,
    path: &RelPath,
    was: Option<Look>,
    since_ms: i64,
) -> Result<(), Fault> {
    let at_ms = wall_ms(ctx, since_ms);
    match was {
        Some(was) if !was.was_plain(path.name()) => Ok(()),
        Some(_) => note(ctx, source, |memory, now_ms, known| {
            memory.saved.window.rewritten(path, at_ms, now_ms, known)
        }),
        None => note(ctx, source, |memory, now_ms, known| {
            let (window, halves) = (&mut memory.saved.window, &mut memory.halves);
            window.came(halves, path, at_ms, now_ms, known)
        }),
    }
}

/// A path that did not look encrypted is gone.
///
/// # Errors
/// The index fails.
pub(in crate::tasks) fn plain_is_gone(
    ctx: &Context,
    source: usize,
    path: &RelPath,
    since_ms: i64,
) -> Result<(), Fault> {
    let at_ms = wall_ms(ctx, since_ms);
    note(ctx, source, |memory, now_ms, known| {
        let (window, halves) = (&mut memory.saved.window, &mut memory.halves);
        window.gone(halves, path, at_ms, now_ms, known)
    })
}

/// The wall clock's time of a moment by the steady clock.
fn wall_ms(ctx: &Context, steady_ms: i64) -> i64 {
    ctx.now_ms() - (ctx.steady_ms() - steady_ms).max(0)
}

fn note(
    ctx: &Context,
    source: usize,
    look: impl FnOnce(&mut Memory, i64, u64) -> Option<Incident>,
) -> Result<(), Fault> {
    let counts = ctx.index.counts(ctx.sources[source].id);
    let known = counts.files + counts.links;
    let now_ms = ctx.now_ms();
    let Some(incident) = change(ctx, source, |memory| look(memory, now_ms, known))? else {
        return Ok(());
    };
    if let Some(ending) = &incident.ending
        && is_in_use(ctx, source, ending, incident.before_ms)?
    {
        return change(ctx, source, |memory| {
            memory.saved.window.forgive(&mut memory.halves, ending);
        });
    }
    change(ctx, source, |memory| {
        let brake = &mut memory.saved.brake;
        let standing = brake.holds.iter_mut().find_map(|hold| match &mut hold.why {
            Why::Encrypted { before_ms, ending } => Some((before_ms, ending, &mut hold.files)),
            _ => None,
        });
        if let Some((before_ms, ending, files)) = standing {
            *files += 1;
            *before_ms = incident.before_ms.min(*before_ms);
            *ending = ending.take().or(incident.ending);
            return;
        }
        let Incident {
            before_ms,
            files,
            ending,
        } = incident;
        brake.hold(Why::Encrypted { before_ms, ending }, files, known, now_ms);
    })
}

/// An ending that the source had before is no sign of anything: somebody keeps
/// encrypted files here.
fn is_in_use(ctx: &Context, source: usize, ending: &str, before_ms: i64) -> Result<bool, Fault> {
    for entry in ctx.index.range(ctx.sources[source].id, "", None) {
        let (key, record) = entry?;
        let is_older = record.stored_at_ms < before_ms - WINDOW_MS;
        if is_older && ending_of(&key.path()).as_deref() == Some(ending) {
            return Ok(true);
        }
    }
    Ok(false)
}
