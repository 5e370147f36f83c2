//! One object of the bucket becomes one file, link or folder of the target.
//!
//! Every object ends in one [`Outcome`] or one [`Fault`].

use super::carry_out::bring_exactly;
use super::companions_aside as companions;
use super::context::RestoreContext;
use super::outcome::Outcome;
use super::request::Pass;
use super::shadowed_version::{self, ShadowedVersion};
use crate::history::{Chosen, Name};
use crate::types::Fault;
use std::sync::Arc;

/// Bring one object; where another program has put its own over a file of ours, the
/// version that it shadows.
pub(crate) async fn bring(
    ctx: &Arc<RestoreContext>,
    chosen: &Chosen,
    pass: Pass,
) -> Result<Outcome, Fault> {
    companions::find(ctx, chosen, pass).await?;
    let outcome = match bring_exactly(ctx, chosen, pass).await? {
        Outcome::Foreign => bring_shadowed(ctx, chosen, pass).await?,
        outcome => outcome,
    };
    if matches!(
        outcome,
        Outcome::Written { .. } | Outcome::Identical | Outcome::Shadowed(..)
    ) {
        companions::finish(ctx, chosen).await?;
    }
    Ok(outcome)
}

/// The object is not ours: bring the version that it shadows, and say so.
async fn bring_shadowed(
    ctx: &Arc<RestoreContext>,
    over: &Chosen,
    pass: Pass,
) -> Result<Outcome, Fault> {
    let mut stop = ctx.stop.clone();
    let asking = shadowed_version::find(&ctx.store, &ctx.origin, over, &mut stop);
    let shadowed = ctx.unless_stopped(over, asking).await?;
    let Some(shadowed) = shadowed else {
        return Ok(without_shadowed(over, pass));
    };
    let outcome = bring_exactly(ctx, &shadowed.chosen, pass).await?;
    Ok(with_shadowed(ctx, over, &shadowed, outcome))
}

/// Each foreign object is counted once, when it is its turn.
fn without_shadowed(over: &Chosen, pass: Pass) -> Outcome {
    let is_folder = matches!(&over.name, Name::Path(key) | Name::Older(key) if key.is_folder());
    match (pass, is_folder) {
        (Pass::LinksAndFolders, false) => Outcome::Skipped,
        _ => Outcome::Foreign,
    }
}

fn with_shadowed(
    ctx: &RestoreContext,
    over: &Chosen,
    shadowed: &ShadowedVersion,
    outcome: Outcome,
) -> Outcome {
    match outcome {
        Outcome::Written { .. } | Outcome::Identical => Outcome::Shadowed(
            Box::new(outcome),
            shadowed_version::covered(&ctx.origin, over, shadowed),
        ),
        // Not there yet, or not at all.
        outcome => outcome,
    }
}
