//! Saying on log and board that a bucket cannot be used, or can again.

use super::policy::Kind;
use crate::retry::Transition;
use crate::source::Context;
use crate::status::News;

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
                ctx.sources[source].destination.doubt();
                if ctx.sources[source].destination.has(Kind::Unmarked) {
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
