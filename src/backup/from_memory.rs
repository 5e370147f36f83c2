//! What is asked before an object is read, and answered from memory.

use super::item::Item;
use super::plan::{Answer, Facts, Question, first_open_question, last_version_ms};
use crate::types::WallMs;

/// Answers what the plan asks before the object is read. True when it is to be read.
pub(crate) fn is_to_be_read(facts: &mut Facts<'_>, item: &Item, now_ms: WallMs) -> bool {
    let open = first_open_question(facts, |facts, question| {
        from_memory(facts, question, item, now_ms)
    });
    open == Some(Question::Content)
}

/// The answer, where memory has it.
pub(crate) fn from_memory(
    facts: &Facts<'_>,
    question: Question,
    item: &Item,
    now_ms: WallMs,
) -> Option<Answer> {
    match question {
        Question::BusyCompanion => {
            let mut companions = facts.companions.iter();
            let is_busy = companions.any(|one| item.source.work.queue.is_running(&one.path));
            Some(Answer::BusyCompanion(is_busy))
        }
        Question::Pacing => {
            let stored_ms = last_version_ms(facts).unwrap_or(now_ms);
            Some(Answer::MayAddVersion(may_add_version(
                item, stored_ms, now_ms,
            )))
        }
        _ => None,
    }
}

/// Whether the file may have one more version now, after that of `stored_ms`. If not, it
/// waits for its next turn.
pub(crate) fn may_add_version(item: &Item, stored_ms: WallMs, now_ms: WallMs) -> bool {
    // Counted by a test: each turn asks once.
    tracing::trace!(source = %item.source.name(), path = %item.path, "pacing is asked");
    let pacing = &item.source.pacing;
    pacing.may_store(&item.path, stored_ms, now_ms)
}
