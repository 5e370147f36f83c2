//! The content must come from elsewhere: another path of the bucket, or the disk.

use super::super::facts::{Answer, HeadOfCopy};
use super::samples::*;
use crate::transfer::SMALL_BYTES_MAX;
use crate::types::{Kind, Record};

pub(super) fn elsewhere_rows() -> Vec<Row> {
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
