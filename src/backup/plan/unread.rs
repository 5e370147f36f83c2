//! Whether an existing object is read at all.
//!
//! Invariant: an object that waits for its next version is not read.

use super::facts::Facts;
use super::types::{DeferReason, HoldReason, NothingReason, Plan, Question};
use crate::types::{Fingerprint, Kind, Record, WallMs};

/// The object is as its record says.
pub(crate) fn is_as_stored(seen: &Fingerprint, record: Option<&Record>) -> bool {
    record.is_some_and(|r| r.content.is_some() && !r.racy && r.fingerprint == *seen)
}

pub(crate) fn unread<'a>(facts: &'a Facts<'_>, seen: &Fingerprint) -> Plan<'a> {
    match seen.kind {
        Kind::Folder => folder(facts, seen),
        Kind::File | Kind::Symlink | Kind::Special => file(facts, seen),
    }
}

fn folder<'a>(facts: &'a Facts<'_>, seen: &Fingerprint) -> Plan<'a> {
    // Its times change with what is in it: they are no change of its own.
    let is_same = facts.record.as_ref().is_some_and(|record| {
        let then = &record.fingerprint;
        record.content.is_some()
            && then.mode == seen.mode
            && then.owner == seen.owner
            && then.ctime_ns == seen.ctime_ns
    });
    if is_same {
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
    let is_new = |found: &Fingerprint, record| !is_as_stored(found, record);
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
    if last_version_ms(facts).is_some() {
        match facts.answers.may_add_version {
            None => return Plan::Ask(Question::Pacing),
            Some(false) => return Plan::Hold(HoldReason::Paced),
            Some(true) => {}
        }
    }
    Plan::Ask(Question::Content)
}

/// When the last version was stored of a file that would get one more; the file and its
/// companions count as one. `None` where pacing does not apply: to a first version, to
/// one that the bucket has to be asked about, and where no content changed.
pub(crate) fn last_version_ms(facts: &Facts<'_>) -> Option<WallMs> {
    let seen = facts.disk.filter(|seen| seen.kind == Kind::File)?;
    let main = facts.record.as_ref().filter(|r| r.content.is_some())?;
    let is_other = |found: &Fingerprint, record: Option<&Record>| {
        record.is_none_or(|record| {
            let then = &record.fingerprint;
            (then.size_bytes, then.mtime_ns) != (found.size_bytes, found.mtime_ns)
        })
    };
    let mut present = facts
        .companions
        .iter()
        .filter_map(|one| Some((one.disk.as_ref()?, one.record.as_ref())));
    if !is_other(&seen, Some(main)) && !present.any(|(found, record)| is_other(found, record)) {
        // Mode or owner alone, or nothing after all.
        return None;
    }
    let records = facts
        .companions
        .iter()
        .filter_map(|one| one.record.as_ref());
    let stored = records.map(|record| record.stored_at_ms);
    Some(stored.fold(main.stored_at_ms, WallMs::max))
}
