//! Whether an existing object is read at all.
//!
//! Invariant: an object that waits for its next version is not read.

use super::facts::Facts;
use super::pacing::unless_paced;
use super::types::{DeferReason, NothingReason, Plan, Question};
use crate::types::{Fingerprint, Kind, Record};

pub(crate) fn unread<'a>(facts: &'a Facts<'_>, seen: &Fingerprint) -> Plan<'a> {
    match seen.kind {
        Kind::Folder => folder(facts, seen),
        Kind::File | Kind::Symlink | Kind::Special => file(facts, seen),
    }
}

fn is_as_stored(found: &Fingerprint, record: Option<&Record>) -> bool {
    record.is_some_and(|record| record.is_as_stored(found))
}

fn folder<'a>(facts: &'a Facts<'_>, seen: &Fingerprint) -> Plan<'a> {
    if is_as_stored(seen, facts.record.as_ref()) {
        return Plan::Nothing(NothingReason::FolderAsStored);
    }
    if facts.is_root {
        return Plan::Nothing(NothingReason::SourceRoot);
    }
    if !facts.is_empty_folder && facts.record.is_none() {
        return Plan::Nothing(NothingReason::FilledFolder);
    }
    Plan::Ask(Question::Content)
}

fn file<'a>(facts: &'a Facts<'_>, seen: &Fingerprint) -> Plan<'a> {
    let is_new = |found, record| !is_as_stored(found, record);
    let has_new_companion = facts.companions.iter().any(|one| {
        let found = one.disk.as_ref();
        found.is_some_and(|found| is_new(found, one.record.as_ref()))
    });
    if !is_new(seen, facts.record.as_ref()) && !has_new_companion {
        return Plan::Nothing(NothingReason::AsStored);
    }
    if !facts.companions.is_empty() {
        match facts.answers.has_busy_companion {
            None => return Plan::Ask(Question::BusyCompanion),
            // It stood alone until a moment ago.
            Some(true) => return Plan::Defer(DeferReason::BusyCompanion),
            Some(false) => {}
        }
    }
    unless_paced(facts).unwrap_or(Plan::Ask(Question::Content))
}
