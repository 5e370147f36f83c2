//! Whether the deletion of an object that is gone from the disk is marked.
//!
//! Invariant: nothing is marked that the index or the bucket does not know to be ours, or
//! without the guard's word; what is held back stays known, and the next scan finds it
//! again.

use super::facts::{Facts, GuardAnswer};
use super::types::{
    DeferReason, ForgetRecordReason, MarkReason, NothingReason, Plan, Question, WaitReason,
};
use crate::types::{Kind, Record};

pub(crate) fn gone<'a>(facts: &'a Facts<'_>) -> Plan<'a> {
    let Some(record) = &facts.record else {
        return Plan::Nothing(NothingReason::NeverStored);
    };
    if !facts.policy.marks_deletions {
        return Plan::Nothing(NothingReason::DeletionsNotMarked);
    }
    match facts.answers.guard {
        None => return Plan::Ask(Question::Guard),
        Some(GuardAnswer::Held) => return Plan::Wait(WaitReason::Guard),
        Some(GuardAnswer::BackAgain) => return Plan::Defer(DeferReason::BackAgain),
        Some(GuardAnswer::Counting) => return Plan::Defer(DeferReason::GuardIsCounting),
        Some(GuardAnswer::Granted) => {}
    }
    let reason = match (record.content, &facts.answers.head) {
        (Some(_), _) => MarkReason::Stored,
        // Known from a listing only: it may be somebody else's object.
        (None, None) => return Plan::Ask(Question::HeadOfNewest),
        (None, Some(None)) => return Plan::ForgetRecord(ForgetRecordReason::NotInBucket),
        (None, Some(Some(head))) if head.meta.is_err() => {
            return Plan::ForgetRecord(ForgetRecordReason::ForeignObject);
        }
        (None, Some(Some(_))) => MarkReason::FoundOurs,
    };
    match facts.answers.keeps_versions {
        None => Plan::Ask(Question::KeepsVersions),
        Some(false) => Plan::Wait(WaitReason::BucketUnknown),
        Some(true) => Plan::MarkDeleted(reason),
    }
}

/// The guard wants to hear that this object is gone: files that are renamed are news,
/// also where nothing is marked, or not yet.
pub(crate) fn is_lost_plain_file(record: &Record, name: &[u8]) -> bool {
    record.fingerprint.kind == Kind::File && record.was_plain(name)
}
