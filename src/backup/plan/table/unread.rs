//! Rows of paths that nobody has read yet, and of objects that are gone.

use super::super::facts::{Answer, Facts, GuardAnswer};
use super::samples::*;
use crate::types::{Fingerprint, Record};

pub(super) fn unread_rows() -> Vec<Row> {
    let changed = || {
        existing(Some(Record {
            fingerprint: Fingerprint {
                mtime_ns: 1,
                ..file()
            },
            ..record()
        }))
    };
    let with_companion = |facts: Facts<'static>| {
        facts.with(|facts| facts.companions = Box::leak(Box::new([changed_companion()])))
    };
    let of_folder = |record: Option<Record>, is_empty_folder| {
        existing(record).with(|facts| {
            facts.disk = Some(folder());
            facts.is_empty_folder = is_empty_folder;
        })
    };
    let stored_folder = |mode| Record {
        fingerprint: Fingerprint {
            mode,
            mtime_ns: 77,
            ..folder()
        },
        ..record()
    };
    let racy = Record {
        racy: true,
        ..record()
    };
    vec![
        (
            "as it was stored",
            existing(Some(record())),
            "Nothing AsStored",
        ),
        ("never stored", existing(None), "Ask Content"),
        (
            "hashed too soon after a change",
            existing(Some(racy)),
            "Ask Content",
        ),
        (
            "not known what is stored",
            existing(Some(Record::unverified(file()))),
            "Ask Content",
        ),
        ("another time", changed(), "Ask Pacing"),
        (
            "many versions of late",
            changed().and(Answer::MayAddVersion(false)),
            "Wait Paced",
        ),
        (
            "few versions of late",
            changed().and(Answer::MayAddVersion(true)),
            "Ask Content",
        ),
        (
            "its mode alone",
            existing(Some(record()))
                .with(|facts| facts.disk = Some(Fingerprint { mode: 0, ..file() })),
            "Ask Content",
        ),
        (
            "only its journal changed",
            with_companion(existing(Some(record()))),
            "Ask BusyCompanion",
        ),
        (
            "its journal is with another worker",
            with_companion(existing(Some(record()))).and(Answer::BusyCompanion(true)),
            "Defer BusyCompanion",
        ),
        (
            "its journal counts as a version of it",
            with_companion(existing(Some(record()))).and(Answer::BusyCompanion(false)),
            "Ask Pacing",
        ),
        (
            "it changed while it was read",
            existing(None).and(Answer::Content(None)),
            "Defer ChangedWhileRead",
        ),
        (
            "a folder as stored, with other times",
            of_folder(Some(stored_folder(0o755)), true),
            "Nothing FolderAsStored",
        ),
        (
            "a folder with another mode",
            of_folder(Some(stored_folder(0o700)), false),
            "Ask Content",
        ),
        ("a new empty folder", of_folder(None, true), "Ask Content"),
        (
            "a new filled folder",
            of_folder(None, false),
            "Nothing FilledFolder",
        ),
        (
            "the source's own folder",
            of_folder(None, true).with(|facts| facts.is_root = true),
            "Nothing SourceRoot",
        ),
    ]
}

pub(super) fn gone_rows() -> Vec<Row> {
    let granted = |record| gone(Some(record)).and(Answer::Guard(GuardAnswer::Granted));
    let listed = || granted(Record::unverified(file()));
    vec![
        ("gone and never stored", gone(None), "Nothing NeverStored"),
        (
            "gone where deletions are not marked",
            gone(Some(record())).with(|facts| facts.policy.marks_deletions = false),
            "Nothing DeletionsNotMarked",
        ),
        ("gone", gone(Some(record())), "Ask Guard"),
        (
            "held back by the guard",
            gone(Some(record())).and(Answer::Guard(GuardAnswer::Held)),
            "Wait Guard",
        ),
        (
            "there again",
            gone(Some(record())).and(Answer::Guard(GuardAnswer::BackAgain)),
            "Defer BackAgain",
        ),
        (
            "while the guard counts",
            gone(Some(record())).and(Answer::Guard(GuardAnswer::Counting)),
            "Defer GuardIsCounting",
        ),
        ("granted", granted(record()), "Ask KeepsVersions"),
        (
            "granted, the bucket is not known to keep versions",
            granted(record()).and(Answer::KeepsVersions(false)),
            "Wait BucketUnknown",
        ),
        (
            "granted, and the bucket keeps versions",
            granted(record()).and(Answer::KeepsVersions(true)),
            "MarkDeleted Stored",
        ),
        ("known from a listing only", listed(), "Ask HeadOfNewest"),
        (
            "known from a listing, and there no more",
            listed().and_head(None),
            "ForgetRecord NotInBucket",
        ),
        (
            "known from a listing, and somebody else's",
            listed().and_head(Some(foreign())),
            "ForgetRecord ForeignObject",
        ),
        (
            "known from a listing, and ours",
            listed()
                .and_head(Some(head("old")))
                .and(Answer::KeepsVersions(true)),
            "MarkDeleted FoundOurs",
        ),
    ]
}
