//! Telling `watch::collect` of a path that changed while it was worked on.

use super::item::Item;
use crate::types::MonotonicMs;
use crate::work::Hint;
use crate::work::Lane;

/// The path is stored as it was, and has changed since.
pub(crate) fn hint_changed(item: &Item, now_ms: MonotonicMs) {
    item.source.work.hint(Hint {
        path: item.path.clone(),
        first_ms: now_ms,
        last_ms: now_ms,
        is_given_back: false,
    });
}

/// The path changed under the worker's hands: let it settle first.
pub(crate) fn hint_again(item: &Item, now_ms: MonotonicMs, debounce_max_ms: i64) {
    item.source.work.hint(Hint {
        path: item.path.clone(),
        first_ms: changing_since_ms(item, now_ms, debounce_max_ms),
        last_ms: now_ms,
        is_given_back: true,
    });
}

/// Since when the path has been changing. Time spent waiting in the queue is no time
/// spent changing.
fn changing_since_ms(item: &Item, now_ms: MonotonicMs, debounce_max_ms: i64) -> MonotonicMs {
    let is_edit = item.lane == Lane::Edit && now_ms - item.since_ms < debounce_max_ms;
    if is_edit || item.deadline {
        item.since_ms
    } else {
        now_ms
    }
}
