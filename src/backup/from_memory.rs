//! What is asked before an object is read, and answered from memory.

use super::plan::{Answer, Facts, Plan, Question, last_version_ms, plan};
use crate::backup::context::{Context, Item};

/// Whether the object is to be read: answers from memory what is asked before that.
pub(crate) fn is_to_be_read(ctx: &Context, item: &Item, facts: &mut Facts<'_>) -> bool {
    while let Plan::Ask(question) = plan(facts) {
        match from_memory(ctx, item, facts, question) {
            Some(answer) => facts.learn(answer),
            None => return question == Question::Content,
        }
    }
    false
}

/// The answer, where memory has it.
pub(crate) fn from_memory(
    ctx: &Context,
    item: &Item,
    facts: &Facts<'_>,
    question: Question,
) -> Option<Answer> {
    match question {
        Question::BusyCompanion => {
            let mut companions = facts.companions.iter();
            let is_busy = companions.any(|one| item.source.work.queue.is_running(&one.path));
            Some(Answer::BusyCompanion(is_busy))
        }
        Question::Pacing => {
            let now_ms = ctx.clock.now_ms();
            let stored_ms = last_version_ms(facts).unwrap_or(now_ms);
            let may = item.source.pacing.may_store(&item.path, stored_ms, now_ms);
            Some(Answer::MayAddVersion(may))
        }
        _ => None,
    }
}
