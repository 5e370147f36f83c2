//! Saying on log and board that a bucket cannot be used, or can again.

use super::context::Context;
use crate::board::News;
use crate::model::retry::Transition;

/// The standing warning that deletions may not be marked.
pub const REFUSED: &str = "marking";

/// True when the bucket has last refused to mark a deletion.
fn was_refused(ctx: &Context, source: usize) -> bool {
    let board = ctx.board.source(source);
    board.is_some_and(|board| board.warnings.contains_key(REFUSED))
}

/// Say that a bucket cannot be used, or that it can again.
pub fn announce(ctx: &Context, source: usize, change: Option<Transition>) {
    let Some(change) = change else { return };
    for source in ctx.gates.neighbours(source) {
        let name = &ctx.sources[source].config.name;
        match &change {
            Transition::Closed { fault } => {
                tracing::error!(source = %name, "uploads are on hold: {fault}");
                ctx.board.update(source, |board| {
                    board.outage = ctx.gates.outage(source);
                });
                ctx.board.tell(News::Outage {
                    source,
                    fault: fault.clone(),
                });
            }
            Transition::Opened { after_ms } => {
                tracing::info!(source = %name, after_s = after_ms / 1000, "uploads go on");
                // It may have closed again since.
                ctx.board.update(source, |board| {
                    board.outage = ctx.gates.outage(source);
                });
                ctx.queue.forget_tries(source);
                if was_refused(ctx, source) {
                    // Permissions may be mended: mark what could not be marked.
                    ctx.scans.ask_whole(source, false);
                }
                ctx.board.tell(News::Recovered {
                    source,
                    after_ms: *after_ms,
                });
            }
        }
    }
    ctx.queue.wake();
}
