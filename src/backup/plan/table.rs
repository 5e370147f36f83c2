//! One row for every plan, for every reason of it, and for every question.

use super::decide::{first_open_question, plan};
use super::existing::is_pinned;
use super::facts::{Answer, Facts, FoundCopy, GuardAnswer, HeadOfCopy, Policy};
use super::pacing::last_version_read_ms;
use super::steps::{Step, Turn, steps};
use super::types::{
    AdoptReason, CopyFromReason, CopyMetadataReason, DeferReason, ForgetReason, ForgetRecordReason,
    MarkReason, NothingReason, Plan, PlanKind, Question, RefreshReason, SendReason, WaitReason,
};
use crate::backup::snapshot::Companion;
use crate::files::ReadAttributes;
use crate::index::Elsewhere;
use crate::s3::{BytesAre, Head};
use crate::transfer::{Content, SMALL_BYTES_MAX};
use crate::types::WallMs;
use crate::types::attributes::Attributes;
use crate::types::{
    Bond, BootMs, Carried, ContentHash, Fingerprint, Kind, Look, MetaRefused, ObjectMeta, Parts,
    Record, RelKey, RelPath, VersionId,
};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use strum::VariantArray;

/// Bytes of the file in most rows: enough for a copy to be worth it.
const SIZE_BYTES: u64 = 8_192;

fn file() -> Fingerprint {
    Fingerprint {
        kind: Kind::File,
        size_bytes: SIZE_BYTES,
        mtime_ns: 1_000,
        ctime_ns: 1_000,
        inode: 7,
        mode: 0o644,
        owner: None,
    }
}

fn folder() -> Fingerprint {
    Fingerprint {
        kind: Kind::Folder,
        size_bytes: 0,
        mode: 0o755,
        ..file()
    }
}

fn hash(text: &str) -> ContentHash {
    ContentHash::of(text.as_bytes())
}

/// Stored with the content "old".
fn record() -> Record {
    Record {
        content: Some(hash("old")),
        version_id: VersionId::new("v1"),
        etag: "e1".into(),
        stored_bytes: SIZE_BYTES,
        stored_at_ms: WallMs(500),
        ..Record::unverified(file())
    }
}

fn content(text: &str) -> Content {
    Content {
        fingerprint: file(),
        hash: hash(text),
        seen_at: BootMs(0),
        seen_ms: Some(WallMs(2_000)),
        bytes: Some(Bytes::new()),
        is_torn: false,
        racy: false,
        look: Look::Plain,
        segments: Arc::new([]),
        sparse_bytes: None,
        attributes: ReadAttributes::default(),
    }
}

/// A large file's content is not held in memory.
fn large(text: &str) -> Content {
    Content {
        fingerprint: Fingerprint {
            size_bytes: SMALL_BYTES_MAX + 1,
            ..file()
        },
        bytes: None,
        ..content(text)
    }
}

/// With attributes that neither index nor bucket know.
fn with_attributes(content: Content) -> Content {
    let mut attributes = Attributes::default();
    attributes.insert("user.color".into(), b"red".to_vec());
    Content {
        attributes: ReadAttributes {
            attributes,
            ..ReadAttributes::default()
        },
        ..content
    }
}

/// What the bucket says of a version with this content, exactly as `file` is.
fn head(text: &str) -> Head {
    Head {
        version_id: VersionId::new("v9"),
        etag: "e9".into(),
        stored_bytes: SIZE_BYTES,
        gzip: false,
        meta: Ok(ObjectMeta::of(&file(), Some(hash(text)))),
        bytes_are: BytesAre::default(),
    }
}

fn head_with(text: &str, change: impl FnOnce(&mut Head, &mut ObjectMeta)) -> Head {
    let mut head = head(text);
    let mut meta = head.meta.clone().unwrap();
    change(&mut head, &mut meta);
    Head {
        meta: Ok(meta),
        ..head
    }
}

fn foreign() -> Head {
    Head {
        meta: Err(MetaRefused::Foreign),
        ..head("old")
    }
}

fn found(version_id: &str) -> FoundCopy {
    FoundCopy {
        entry: Elsewhere {
            key: RelKey::parse_full("elsewhere").unwrap(),
            version_id: VersionId::new(version_id),
            etag: "e5".into(),
            stored_bytes: SIZE_BYTES,
            is_live: true,
        },
        part_layout: None,
    }
}

fn layout() -> Parts {
    Parts {
        version_id: VersionId::new("v1"),
        etag: "e1".into(),
        gzip: false,
        segments: Vec::new(),
    }
}

/// A journal beside the file, which differs from what was stored of it.
fn changed_companion() -> Companion {
    Companion {
        path: RelPath::from_bytes("f-journal").unwrap(),
        bond: Bond::State,
        disk: Some(file()),
        record: None,
    }
}

/// A compared source in a bucket that keeps versions.
fn policy() -> Policy {
    Policy {
        marks_deletions: true,
        keeps_versions: true,
        is_compared: true,
        may_copy: true,
        forgives_owner: false,
    }
}

/// An existing file, as `record` says it was stored.
fn existing(record: Option<Record>) -> Facts<'static> {
    Facts {
        disk: Some(file()),
        record,
        policy: policy(),
        ..Facts::default()
    }
}

/// The same after it was read.
fn read(record: Option<Record>, content: Content) -> Facts<'static> {
    existing(record).and(Answer::Content(Some(Box::new(content))))
}

/// An object that is gone.
fn gone(record: Option<Record>) -> Facts<'static> {
    Facts {
        record,
        policy: policy(),
        ..Facts::default()
    }
}

impl Facts<'static> {
    fn and(mut self, answer: Answer) -> Self {
        self.learn(answer);
        self
    }

    fn and_head(self, head: Option<Head>) -> Self {
        self.and(Answer::Head(head.map(Box::new)))
    }

    fn and_found(self, version_id: &str) -> Self {
        self.and(Answer::ContentLookup(Some(Box::new(found(version_id)))))
    }

    fn and_head_of_copy(self, head: Head) -> Self {
        self.and(Answer::HeadOfCopy(HeadOfCopy::There(Box::new(head))))
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// The bucket has the content nowhere else.
    fn and_nowhere_else(self) -> Self {
        self.and(Answer::ContentLookup(None))
    }
}

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

type Row = (&'static str, Facts<'static>, &'static str);

fn unread_rows() -> Vec<Row> {
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

fn gone_rows() -> Vec<Row> {
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

/// The content is the stored one, or may be in the bucket at this very path.
fn at_path_rows() -> Vec<Row> {
    let same = || read(Some(record()), content("old"));
    let other_mode = || {
        same().with(|facts| {
            let record = facts.record.as_mut().unwrap();
            record.fingerprint.mode = 0o600;
        })
    };
    let unverified = || read(Some(Record::unverified(file())), content("new"));
    let uncompared = |content| read(None, content).with(|facts| facts.policy.is_compared = false);
    let in_parts = || head_with("old", |head, _| head.etag = "e9-3".into());
    vec![
        ("the stored content", same(), "RefreshIndex IndexAgrees"),
        (
            "the stored content, another mode",
            other_mode(),
            "Ask HeadOfRecorded",
        ),
        (
            "another mode, the version is there",
            other_mode().and_head(Some(head("old"))),
            "CopyMetadata MetadataChanged",
        ),
        (
            "another mode, the version is gone",
            other_mode().and_head(None).and_nowhere_else(),
            "PutWhole NotInBucket",
        ),
        (
            "another mode, the version holds something else",
            other_mode().and_head(Some(head("else"))).and_nowhere_else(),
            "PutWhole OtherInBucket",
        ),
        (
            "another mode, a version in parts",
            other_mode().and_head(Some(in_parts())),
            "Ask HeadWithChecksums",
        ),
        (
            "another mode, a version in parts with its checksums",
            other_mode()
                .and_head(Some(in_parts()))
                .and(Answer::HeadWithChecksums(Some(Box::new(in_parts())))),
            "CopyMetadata MetadataChanged",
        ),
        (
            "another mode, a version in parts that was replaced meanwhile",
            other_mode()
                .and_head(Some(in_parts()))
                .and(Answer::HeadWithChecksums(Some(Box::new(head("old")))))
                .and_nowhere_else(),
            "PutWhole OtherInBucket",
        ),
        (
            "another mode, the server does not copy",
            other_mode()
                .and_head(Some(head("old")))
                .and(Answer::MetadataCopyRefused)
                .and_nowhere_else(),
            "PutWhole MetadataNotCopied",
        ),
        (
            "other attributes, which the version has",
            read(Some(record()), with_attributes(content("old"))).and_head(Some(head_with(
                "old",
                |_, meta| {
                    let content = with_attributes(content("old"));
                    meta.attributes = Carried::here(&content.attributes.attributes);
                },
            ))),
            "RefreshIndex BucketAgrees",
        ),
        (
            "other attributes, which the version does not have",
            read(Some(record()), with_attributes(content("old"))).and_head(Some(head("old"))),
            "CopyMetadata AttributesChanged",
        ),
        (
            "a companion as stored, of a file with another content",
            same()
                .with(|facts| facts.has_other_main = true)
                .and_head(Some(head("old"))),
            "CopyMetadata MainChanged",
        ),
        (
            "not known what is stored, read",
            unverified(),
            "Ask HeadOfNewest",
        ),
        (
            "not known what is stored: this",
            unverified().and_head(Some(head("new"))),
            "AdoptVersion Unverified",
        ),
        (
            "not known what is stored: this, of another time",
            unverified().and_head(Some(head_with("new", |_, meta| meta.mtime_ns = 3))),
            "CopyMetadata VersionSaysOther",
        ),
        (
            "not known what is stored: this, of another owner, which is no change",
            unverified()
                .with(|facts| facts.policy.forgives_owner = true)
                .and_head(Some(head_with("new", |_, meta| meta.owner = Some((1, 1))))),
            "AdoptVersion Unverified",
        ),
        (
            "not known what is stored: this, beside another file's content",
            unverified().and_head(Some(head_with("new", |_, meta| {
                meta.beside = Some(hash("main"));
            }))),
            "CopyMetadata VersionSaysOther",
        ),
        (
            "a companion, not known what is stored: this, beside the same content",
            unverified()
                .with(|facts| facts.beside = Some(hash("main")))
                .and_head(Some(head_with("new", |_, meta| {
                    meta.beside = Some(hash("main"));
                }))),
            "AdoptVersion Unverified",
        ),
        (
            "not known what is stored: a copy that is too short",
            unverified()
                .and_head(Some(head_with("new", |head, _| head.stored_bytes = 1)))
                .and_nowhere_else(),
            "PutWhole OtherInBucket",
        ),
        (
            "not known what is stored: nothing of ours",
            unverified().and_head(Some(foreign())).and_nowhere_else(),
            "PutWhole OtherInBucket",
        ),
        (
            "before the comparison",
            uncompared(content("new")),
            "Ask HeadOfNewest",
        ),
        (
            "before the comparison, in the bucket",
            uncompared(content("new")).and_head(Some(head("new"))),
            "AdoptVersion NotCompared",
        ),
        (
            "a damaged copy, whatever the bucket says",
            read(Some(record().distrusted()), content("old"))
                .and_head(Some(head("old")))
                .and_found("v5"),
            "PutWhole DamagedCopy",
        ),
        (
            "a damaged copy of a large file",
            read(Some(record().distrusted()), large("old")).and(Answer::PartLayout(None)),
            "Multipart DamagedCopy",
        ),
    ]
}

/// The content must come from elsewhere: another path of the bucket, or the disk.
fn elsewhere_rows() -> Vec<Row> {
    let new = || read(None, content("new"));
    let edited = || read(Some(record()), content("new"));
    let new_large = || read(None, large("new"));
    let edited_large = || {
        let may_add_version = Answer::MayAddVersion(true);
        read(Some(record()), large("new"))
            .and(may_add_version)
            .and_nowhere_else()
    };
    let holds_large = || head_with("new", |_, meta| meta.size_bytes = SMALL_BYTES_MAX + 1);
    let unverified_large =
        || read(Some(Record::unverified(file())), large("new")).and_nowhere_else();
    vec![
        ("a new path", new(), "Ask ContentLookup"),
        (
            "a new path, its content nowhere",
            new().and_nowhere_else(),
            "PutWhole NewPath",
        ),
        (
            "a new path, small",
            new().with(|facts| {
                let content = facts.answers.content.as_mut().unwrap().as_mut().unwrap();
                content.fingerprint.size_bytes = 100;
            }),
            "PutWhole NewPath",
        ),
        (
            "a new path that never rests",
            new().with(|facts| {
                let content = facts.answers.content.as_mut().unwrap().as_mut().unwrap();
                content.is_torn = true;
            }),
            "PutWhole NewPath",
        ),
        (
            "a new path where the server fails to copy",
            new().with(|facts| facts.policy.may_copy = false),
            "PutWhole NewPath",
        ),
        (
            "another content",
            edited().and(Answer::MayAddVersion(true)).and_nowhere_else(),
            "PutWhole NewContent",
        ),
        (
            "another content than its fingerprint told of",
            edited(),
            "Ask Pacing",
        ),
        (
            "another content than its fingerprint told of, many versions of late",
            edited().and(Answer::MayAddVersion(false)),
            "Wait Paced",
        ),
        (
            "another content of a link, which pacing does not count",
            edited().with(|facts| facts.disk.as_mut().unwrap().kind = Kind::Symlink),
            "Ask ContentLookup",
        ),
        ("renamed", new().and_found("v5"), "CopyFrom PinnedVersion"),
        (
            "renamed, and the server did not copy",
            new().and_found("v5").and(Answer::CopyRefused),
            "PutWhole NewPath",
        ),
        (
            "renamed, of a version without an id",
            new().and_found(""),
            "Ask HeadOfCopy",
        ),
        (
            "renamed, of a version without an id, which has one",
            new().and_found("").and_head_of_copy(head("new")),
            "CopyFrom BucketConfirms",
        ),
        (
            "renamed, in a bucket that keeps no versions",
            new()
                .with(|facts| facts.policy.keeps_versions = false)
                .and_found("null")
                .and_head_of_copy(head("new")),
            "PutWhole NewPath",
        ),
        (
            "renamed, of a version that may not be looked at",
            new()
                .and_found("")
                .and(Answer::HeadOfCopy(HeadOfCopy::Refused)),
            "PutWhole NewPath",
        ),
        (
            "renamed, of a version that is gone",
            new()
                .and_found("")
                .and(Answer::HeadOfCopy(HeadOfCopy::Gone)),
            "ForgetCopy VersionGone",
        ),
        (
            "renamed, of a version with another content",
            new().and_found("").and_head_of_copy(head("else")),
            "ForgetCopy OtherContent",
        ),
        (
            "a large file renamed",
            new_large().and_found("v5"),
            "Ask HeadOfCopy",
        ),
        (
            "a large file renamed, and confirmed",
            new_large().and_found("v5").and_head_of_copy(holds_large()),
            "CopyFrom BucketConfirms",
        ),
        (
            "a large new file",
            new_large().and_nowhere_else(),
            "Ask PartLayout",
        ),
        (
            "a large new file that was never there",
            new_large().and_nowhere_else().and(Answer::PartLayout(None)),
            "Multipart NewPath",
        ),
        (
            "a large file edited",
            edited_large().and(Answer::PartLayout(Some(layout()))),
            "Multipart NewContent",
        ),
        (
            "a large file that the bucket lost",
            unverified_large()
                .and_head(None)
                .and(Answer::PartLayout(None)),
            "Multipart NotInBucket",
        ),
        (
            "a large file that the bucket has otherwise",
            unverified_large()
                .and_head(Some(head("else")))
                .and(Answer::PartLayout(None)),
            "Multipart OtherInBucket",
        ),
        (
            "a large file whose metadata was not copied",
            read(
                Some(Record {
                    content: Some(hash("new")),
                    ..record()
                }),
                large("new"),
            )
            .and_head(Some(head("new")))
            .and(Answer::MetadataCopyRefused)
            .and_nowhere_else()
            .and(Answer::PartLayout(None)),
            "Multipart MetadataNotCopied",
        ),
    ]
}

fn rows() -> Vec<Row> {
    [unread_rows(), gone_rows(), at_path_rows(), elsewhere_rows()]
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
