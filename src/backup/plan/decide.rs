//! The one decision about one object.

use super::existing::existing;
use super::facts::{Answer, Facts};
use super::gone::gone;
use super::types::{DeferReason, Plan, Question};
use super::unread::unread;

/// What is done with the object.
pub(crate) fn plan<'a>(facts: &'a Facts<'_>) -> Plan<'a> {
    let Some(seen) = &facts.disk else {
        return gone(facts);
    };
    match &facts.answers.content {
        None => unread(facts, seen),
        Some(None) => Plan::Defer(DeferReason::ChangedWhileRead),
        Some(Some(content)) => existing(facts, content),
    }
}

/// Take in what `known` answers. The first question that it does not; `None` when the
/// plan asks nothing more.
pub(crate) fn first_open_question(
    facts: &mut Facts<'_>,
    mut known: impl FnMut(&Facts<'_>, Question) -> Option<Answer>,
) -> Option<Question> {
    while let Plan::Ask(question) = plan(facts) {
        match known(facts, question) {
            Some(answer) => facts.learn(answer),
            None => return Some(question),
        }
    }
    None
}
