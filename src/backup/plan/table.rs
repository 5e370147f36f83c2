//! One row for every plan, for every reason of it, and for every question.

mod at_path;
mod elsewhere;
mod samples;
mod turns;
mod unread;

use super::decide::plan;
use super::types::{
    AdoptReason, CopyFromReason, CopyMetadataReason, DeferReason, ForgetReason, ForgetRecordReason,
    MarkReason, NothingReason, PlanKind, Question, RefreshReason, SendReason, WaitReason,
};
use samples::Row;
use std::collections::BTreeSet;
use std::fmt::Debug;
use strum::VariantArray;

/// Every name that there is.
fn all_names() -> BTreeSet<String> {
    fn of<R: VariantArray + Debug>(kind: PlanKind) -> Vec<String> {
        let reasons = R::VARIANTS.iter();
        reasons
            .map(|reason| format!("{kind:?} {reason:?}"))
            .collect()
    }
    let names = PlanKind::VARIANTS.iter().flat_map(|kind| match kind {
        PlanKind::Ask => of::<Question>(*kind),
        PlanKind::Nothing => of::<NothingReason>(*kind),
        PlanKind::RefreshIndex => of::<RefreshReason>(*kind),
        PlanKind::AdoptVersion => of::<AdoptReason>(*kind),
        PlanKind::CopyMetadata => of::<CopyMetadataReason>(*kind),
        PlanKind::CopyFrom => of::<CopyFromReason>(*kind),
        PlanKind::ForgetCopy => of::<ForgetReason>(*kind),
        PlanKind::PutWhole | PlanKind::Multipart => of::<SendReason>(*kind),
        PlanKind::MarkDeleted => of::<MarkReason>(*kind),
        PlanKind::ForgetRecord => of::<ForgetRecordReason>(*kind),
        PlanKind::Defer => of::<DeferReason>(*kind),
        PlanKind::Wait => of::<WaitReason>(*kind),
    });
    names.collect()
}

fn rows() -> Vec<Row> {
    [
        unread::unread_rows(),
        unread::gone_rows(),
        at_path::at_path_rows(),
        elsewhere::elsewhere_rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn every_plan_and_every_reason_for_it_has_a_row() {
    let mut seen = BTreeSet::new();
    for (case, facts, want) in rows() {
        let got = plan(&facts).to_string();
        assert_eq!(got, want, "{case}");
        seen.insert(got);
    }
    let all = all_names();
    let without: Vec<_> = all.difference(&seen).collect();
    assert!(without.is_empty(), "no row has {without:?}");
}
