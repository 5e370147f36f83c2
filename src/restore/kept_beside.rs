//! The name under which a file of today stays beside the one that comes back.

use super::context::RestoreContext;
use crate::types::{Fault, RelPath, kept_name};

/// Find a free name beside `path` with `take`, which says whether it was free, and
/// note it. False when none was free. Blocks.
pub(super) fn under_free_name(
    ctx: &RestoreContext,
    path: &RelPath,
    take: impl Fn(&RelPath) -> Result<bool, Fault>,
) -> Result<bool, Fault> {
    let label = match &ctx.options.in_place {
        Some(now) => now.strftime("before restore %Y-%m-%d %H-%M").to_string(),
        None => "before restore".to_owned(),
    };
    for number in 1..=kept_name::NUMBERS_MAX {
        let Some(beside) = kept_name::beside(path, &label, number) else {
            break;
        };
        if take(&beside)? {
            ctx.stats
                .note(|all| all.kept_beside.push(beside.to_string()));
            return Ok(true);
        }
    }
    Ok(false)
}
