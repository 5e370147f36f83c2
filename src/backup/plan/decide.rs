//! The one decision about one object.

use super::existing::existing;
use super::facts::Facts;
use super::gone::gone;
use super::types::{DeferReason, Plan};
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
