//! Saying that this computer's clock is wrong, as far as the server can tell.

use super::context::Context;
use crate::types::clock;

/// The standing warning.
const WARNING: &str = "clock";

/// Put on the board, or take from it, that the clocks differ. It is about the
/// computer and not a folder, so it is said once: at the first one.
pub fn look(ctx: &Context) {
    let apart_ms = ctx.store.clock_apart_ms(ctx.now_ms());
    let text = apart_ms.and_then(|apart_ms| clock::differs(apart_ms, ctx.store.place()));
    let was_wrong = ctx
        .board
        .source(0)
        .is_some_and(|board| board.warnings.contains_key(WARNING));
    match &text {
        Some(text) if !was_wrong => tracing::warn!("{text}"),
        None if was_wrong => tracing::info!("this computer's clock is right again"),
        // By how much it is wrong may change with every look.
        _ => {}
    }
    ctx.board.warn(0, WARNING, text);
}
