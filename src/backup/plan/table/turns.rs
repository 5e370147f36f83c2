//! What holds of all plans, and what a turn does with them.

use super::super::decide::{first_open_question, plan};
use super::super::existing::is_pinned;
use super::super::facts::{Answer, Facts, GuardAnswer};
use super::super::pacing::last_version_read_ms;
use super::super::steps::{Step, Turn, steps};
use super::super::types::{Plan, Question};
use super::rows;
use super::samples::*;
use crate::transfer::SMALL_BYTES_MAX;
use crate::types::WallMs;
use crate::types::{Fingerprint, Kind, Record, VersionId};

#[test]
fn a_large_file_reuses_what_the_stored_version_is_made_of_unless_the_server_fails_to_copy() {
    for (may_copy, layout, reuses) in [
        (true, Some(layout()), true),
        (true, None, false),
        (false, Some(layout()), false),
    ] {
        let facts = read(Some(record()), large("new"))
            .and(Answer::MayAddVersion(true))
            .and_nowhere_else()
            .and(Answer::PartLayout(layout))
            .with(|facts| facts.policy.may_copy = may_copy);
        let Plan::Multipart { reuse, .. } = plan(&facts) else {
            panic!("{:?}", plan(&facts));
        };
        assert_eq!(reuse.is_some(), reuses, "{may_copy}");
    }
}

#[test]
fn what_is_copied_is_what_the_bucket_says_it_is() {
    // The lookup's own word on a small one, whose size tells whether it is compressed.
    for (stored_bytes, gzip) in [(SIZE_BYTES, false), (100, true)] {
        let mut known = found("v5");
        known.entry.stored_bytes = stored_bytes;
        let facts = read(None, content("new")).and(Answer::ContentLookup(Some(Box::new(known))));
        let Plan::CopyFrom { from, .. } = plan(&facts) else {
            panic!("{:?}", plan(&facts));
        };
        assert_eq!(
            (from.version_id.map(|id| &**id), &**from.etag, from.gzip),
            (Some("v5"), "e5", gzip)
        );
    }
    // Else the bucket's, of the version that was asked for.
    for (known, want) in [("v5", "v5"), ("", "v9")] {
        let mut confirmed = head("new");
        confirmed.gzip = true;
        let large = head_with("new", |_, meta| meta.size_bytes = SMALL_BYTES_MAX + 1);
        confirmed.meta = large.meta;
        let facts = read(None, self::large("new"))
            .and_found(known)
            .and_head_of_copy(confirmed);
        let Plan::CopyFrom { from, .. } = plan(&facts) else {
            panic!("{:?}", plan(&facts));
        };
        assert_eq!(
            (from.version_id.map(|id| &**id), &**from.etag, from.gzip),
            (Some(want), "e9", true)
        );
    }
}

#[test]
fn no_id_of_a_bucket_without_versions_pins_a_content() {
    for (id, keeps_versions, want) in [
        ("", true, false),
        ("null", false, false),
        ("null", true, true),
        ("v1", false, true),
    ] {
        assert_eq!(
            is_pinned(VersionId::new(id).as_ref(), keeps_versions),
            want,
            "{id} {keeps_versions}"
        );
    }
}

/// Each question is asked once: whatever the answers, a plan comes to an end.
#[test]
fn no_question_is_asked_twice() {
    let asked_again = |facts: Facts<'static>, question: Question| {
        let Plan::Ask(next) = plan(&facts) else {
            return false;
        };
        next == question
    };
    for (case, facts, _) in rows() {
        let Plan::Ask(question) = plan(&facts) else {
            continue;
        };
        let facts = match question {
            Question::BusyCompanion => facts.and(Answer::BusyCompanion(false)),
            Question::Pacing => facts.and(Answer::MayAddVersion(true)),
            Question::Content => facts.and(Answer::Content(Some(Box::new(content("new"))))),
            Question::HeadOfRecorded | Question::HeadOfNewest => facts.and_head(None),
            Question::HeadWithChecksums => facts.and(Answer::HeadWithChecksums(None)),
            Question::ContentLookup => facts.and_found("v5"),
            Question::HeadOfCopy => facts.and_head_of_copy(head("new")),
            Question::PartLayout => facts.and(Answer::PartLayout(None)),
            Question::Guard => facts.and(Answer::Guard(GuardAnswer::Granted)),
            Question::KeepsVersions => facts.and(Answer::KeepsVersions(true)),
        };
        assert!(!asked_again(facts, question), "{case}: {question:?}");
    }
}

/// Named after the waste: what was asked before a file was read early was asked again.
#[test]
fn a_turn_asks_each_question_once_whether_the_file_is_read_early_or_not() {
    let answer = |question| match question {
        Question::Pacing => Answer::MayAddVersion(true),
        Question::Content => Answer::Content(Some(Box::new(content("new")))),
        Question::ContentLookup => Answer::ContentLookup(None),
        other => panic!("{other:?} is not asked of a file that was saved"),
    };
    let saved = Record {
        fingerprint: Fingerprint {
            mtime_ns: 1,
            ..file()
        },
        ..record()
    };
    let racy = Record {
        racy: true,
        ..record()
    };
    for (case, record, want) in [
        (
            "its time tells",
            saved,
            [Question::Pacing, Question::Content],
        ),
        (
            "its content tells",
            racy,
            [Question::Content, Question::Pacing],
        ),
    ] {
        for is_early in [true, false] {
            let (mut facts, mut asked) = (existing(Some(record.clone())), Vec::new());
            let mut ask = |question| {
                asked.push(question);
                answer(question)
            };
            if is_early {
                let open = first_open_question(&mut facts, |_, question| {
                    (question != Question::Content).then(|| ask(question))
                });
                assert_eq!(open, Some(Question::Content), "{case}");
            }
            let open = first_open_question(&mut facts, |_, question| Some(ask(question)));
            assert_eq!(open, None, "{case}");
            assert_eq!(plan(&facts).to_string(), "PutWhole NewContent", "{case}");
            let [first, second] = want;
            let want = [first, second, Question::ContentLookup];
            assert_eq!(asked, want, "{case}, read early: {is_early}");
        }
    }
}

/// A file and its companions count as one.
#[test]
fn what_was_read_together_is_a_new_version_when_one_of_the_contents_is_another() {
    let at = |stored_at_ms, text| Record {
        content: Some(hash(text)),
        stored_at_ms,
        ..record()
    };
    let (main, journal) = (at(WallMs(500), "old"), at(WallMs(700), "old"));
    let unverified = Record::unverified(file());
    let (old, new) = (content("old"), content("new"));
    for (case, main, read, want) in [
        (
            "all as stored",
            Some(&main),
            vec![(Some(&journal), &old), (Some(&main), &old)],
            None,
        ),
        (
            "another journal",
            Some(&main),
            vec![(Some(&journal), &new)],
            Some(700),
        ),
        ("a new journal", Some(&main), vec![(None, &old)], Some(500)),
        (
            "another file",
            Some(&main),
            vec![(Some(&journal), &old), (Some(&main), &new)],
            Some(700),
        ),
        ("a first version", None, vec![(None, &new)], None),
        (
            "the bucket has to be asked about the journal",
            Some(&main),
            vec![(Some(&unverified), &new)],
            None,
        ),
        (
            "the bucket has to be asked about the file",
            Some(&unverified),
            vec![(Some(&journal), &new)],
            None,
        ),
    ] {
        assert_eq!(
            last_version_read_ms(main, read.into_iter()),
            want.map(WallMs),
            "{case}"
        );
    }
}

#[test]
fn the_steps_of_a_path() {
    use Step::{
        AwaitNewerFiles, DeleteCompanions, DeleteFile, DeleteFolder, DeleteReplacedFolder,
        ReleaseCompanions, ReleasePresentCompanions, Store, StoreFolder, StoreTogether,
        VisitParent,
    };
    let stored = record();
    let gone = Turn {
        kind: None,
        file: Some(&stored),
        has_companions: false,
        was_deferred: false,
        marks_deletions: true,
    };
    let deleted: &[Step] = &[
        ReleasePresentCompanions,
        DeleteFile,
        DeleteCompanions,
        DeleteFolder,
        VisitParent,
    ];
    let at = |kind| Turn {
        kind: Some(kind),
        ..gone
    };
    let together = Turn {
        has_companions: true,
        ..at(Kind::File)
    };
    let link_with_companions = Turn {
        has_companions: true,
        ..at(Kind::Symlink)
    };
    let alone: &[Step] = &[DeleteReplacedFolder, ReleaseCompanions, Store];
    for (case, turn, want) in [
        ("gone for the first time", gone, &[AwaitNewerFiles][..]),
        (
            "gone, deferred before",
            Turn {
                was_deferred: true,
                ..gone
            },
            deleted,
        ),
        ("a folder gone", Turn { file: None, ..gone }, deleted),
        (
            "gone where deletions are kept",
            Turn {
                marks_deletions: false,
                ..gone
            },
            &[DeleteFile, DeleteFolder],
        ),
        ("a file", at(Kind::File), alone),
        (
            "a file with companions",
            together,
            &[DeleteReplacedFolder, StoreTogether],
        ),
        ("a link", at(Kind::Symlink), alone),
        (
            "a link in the place of a file with companions",
            link_with_companions,
            alone,
        ),
        (
            "a folder",
            at(Kind::Folder),
            &[ReleaseCompanions, DeleteFile, StoreFolder],
        ),
        (
            "a socket",
            at(Kind::Special),
            &[ReleaseCompanions, DeleteFile, DeleteFolder],
        ),
    ] {
        assert_eq!(steps(&turn), want, "{case}");
    }
}
