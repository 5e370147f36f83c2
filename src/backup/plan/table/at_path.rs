//! The content is the stored one, or may be in the bucket at this very path.

use super::super::facts::Answer;
use super::samples::*;
use crate::types::{Carried, Record};

pub(super) fn at_path_rows() -> Vec<Row> {
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
            "the stored content, and an index that knew neither id nor time of change",
            same().with(|facts| {
                let known = &mut facts.record.as_mut().unwrap().fingerprint;
                (known.inode, known.ctime_ns) = (0, 0);
            }),
            "RefreshIndex IndexAgrees",
        ),
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
