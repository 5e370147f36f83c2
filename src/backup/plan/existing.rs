//! How the bucket gets a content that was read, in the way that costs least.
//!
//! Invariant: after a copy was found damaged, no word of the bucket replaces the content.

use super::facts::{Facts, FoundCopy, HeadOfCopy};
use super::pacing::unless_paced;
use super::types::{
    AdoptReason, CopyFromReason, CopyMetadataReason, CopySource, ForgetReason, Plan, Question,
    RefreshReason, SendReason,
};
use crate::index::COPY_FROM_BYTES;
use crate::s3::{BytesAre, Head};
use crate::transfer::{Content, SMALL_BYTES_MAX, is_of_one_piece};
use crate::types::{Kind, Record, VersionId};

/// Whether the object at the path serves.
enum AtPath<'a> {
    /// It does, or may.
    Serves(Plan<'a>),
    /// It does not: the content must come from elsewhere, for this reason.
    No(SendReason),
}

pub(crate) fn existing<'a>(facts: &'a Facts<'_>, content: &'a Content) -> Plan<'a> {
    if facts.record.as_ref().is_some_and(Record::is_distrusted) {
        return send(facts, content, SendReason::DamagedCopy);
    }
    match at_path(facts, content) {
        AtPath::Serves(plan) => plan,
        AtPath::No(reason) => {
            unless_paced(facts).unwrap_or_else(|| copy_or_send(facts, content, reason))
        }
    }
}

fn at_path<'a>(facts: &'a Facts<'_>, content: &'a Content) -> AtPath<'a> {
    let record = facts.record.as_ref();
    match record.filter(|record| record.content == Some(content.hash)) {
        Some(record) => recorded(facts, content, record),
        None => unrecorded(facts, content),
    }
}

/// The index says that this content is stored.
fn recorded<'a>(facts: &'a Facts<'_>, content: &'a Content, record: &Record) -> AtPath<'a> {
    let is_same_file = record.fingerprint.has_same_meta(&content.fingerprint);
    let is_same = is_same_file && !facts.has_other_main;
    if is_same && content.attributes.may_be(record.attributes) {
        return AtPath::Serves(Plan::RefreshIndex(RefreshReason::IndexAgrees));
    }
    let Some(head) = &facts.answers.head else {
        return AtPath::Serves(Plan::Ask(Question::HeadOfRecorded));
    };
    // The index may be younger than the object, or older than attributes.
    let says = head.as_ref().and_then(|head| head.meta.as_ref().ok());
    if is_same && says.is_some_and(|meta| content.attributes.may_be(meta.attributes.id())) {
        return AtPath::Serves(Plan::RefreshIndex(RefreshReason::BucketAgrees));
    }
    let reason = match (is_same_file, is_same) {
        (false, _) => CopyMetadataReason::MetadataChanged,
        (true, false) => CopyMetadataReason::MainChanged,
        (true, true) => CopyMetadataReason::AttributesChanged,
    };
    copy_metadata(facts, content, head.as_ref(), reason)
}

/// The index does not say so, but after a kill the bucket may have taken more than the
/// index knows.
fn unrecorded<'a>(facts: &'a Facts<'_>, content: &'a Content) -> AtPath<'a> {
    let record = facts.record.as_ref();
    let stored_hash = record.and_then(|record| record.content);
    let is_verified = record.is_none() || stored_hash.is_some();
    if is_verified && facts.policy.is_compared {
        return AtPath::No(match record {
            None => SendReason::NewPath,
            Some(_) => SendReason::NewContent,
        });
    }
    let Some(head) = &facts.answers.head else {
        return AtPath::Serves(Plan::Ask(Question::HeadOfNewest));
    };
    let Some(head) = head else {
        return AtPath::No(SendReason::NotInBucket);
    };
    let meta = match &head.meta {
        Ok(meta) if holds(head, content) && is_as_long(head, content) => meta,
        _ => return AtPath::No(SendReason::OtherInBucket),
    };
    let now = &content.fingerprint;
    let is_forgiven = stored_hash.is_none() && facts.policy.forgives_owner;
    // A folder's times change with its contents; they are no change of its own.
    let is_same = (now.kind == Kind::Folder || meta.mtime_ns == now.mtime_ns)
        && meta.mode == now.mode
        && (meta.owner == now.owner || is_forgiven)
        && meta.beside == facts.beside
        && content.attributes.may_be(meta.attributes.id());
    if !is_same {
        let reason = CopyMetadataReason::VersionSaysOther;
        return copy_metadata(facts, content, Some(head), reason);
    }
    let reason = if is_verified {
        AdoptReason::NotCompared
    } else {
        AdoptReason::Unverified
    };
    AtPath::Serves(Plan::AdoptVersion { head, reason })
}

/// Same content, other metadata: the server copies the version, if it is ours.
fn copy_metadata<'a>(
    facts: &'a Facts<'_>,
    content: &Content,
    head: Option<&'a Head>,
    reason: CopyMetadataReason,
) -> AtPath<'a> {
    if facts.answers.is_metadata_copy_refused {
        return AtPath::No(SendReason::MetadataNotCopied);
    }
    let Some(head) = head else {
        return AtPath::No(SendReason::NotInBucket);
    };
    if !holds(head, content) {
        return AtPath::No(SendReason::OtherInBucket);
    }
    if is_of_one_piece(&head.etag) {
        return AtPath::Serves(Plan::CopyMetadata { head, reason });
    }
    // Of one in parts only its checksum tells whether the copy is the same.
    match &facts.answers.head_with_checksums {
        None => AtPath::Serves(Plan::Ask(Question::HeadWithChecksums)),
        Some(Some(again)) if again.etag == head.etag => AtPath::Serves(Plan::CopyMetadata {
            head: again,
            reason,
        }),
        Some(_) => AtPath::No(SendReason::OtherInBucket),
    }
}

/// The content may be under another path, as that of a file that was renamed.
fn copy_or_send<'a>(facts: &'a Facts<'_>, content: &'a Content, reason: SendReason) -> Plan<'a> {
    if !is_worth_a_copy(content) || !facts.policy.may_copy {
        return send(facts, content, reason);
    }
    let Some(found) = &facts.answers.lookup else {
        return Plan::Ask(Question::ContentLookup);
    };
    let Some(found) = found else {
        return send(facts, content, reason);
    };
    let entry = &found.entry;
    let is_small = content.fingerprint.size_bytes <= SMALL_BYTES_MAX;
    if is_small && is_pinned(entry.version_id.as_ref(), facts.policy.keeps_versions) {
        return Plan::CopyFrom {
            from: CopySource {
                found,
                version_id: entry.version_id.as_ref(),
                etag: &entry.etag,
                stored_bytes: entry.stored_bytes,
                // Small ones are compressed only when that makes them smaller.
                gzip: entry.stored_bytes != content.fingerprint.size_bytes,
                bytes_are: BytesAre::default(),
            },
            reason: CopyFromReason::PinnedVersion,
        };
    }
    // Only the bucket can confirm a large one, and the id of a version that the index does
    // not know.
    let head = match &facts.answers.head_of_copy {
        None => return Plan::Ask(Question::HeadOfCopy),
        Some(HeadOfCopy::Refused) => return send(facts, content, reason),
        Some(HeadOfCopy::Gone) => return Plan::ForgetCopy(ForgetReason::VersionGone),
        Some(HeadOfCopy::There(head)) => head,
    };
    if !holds(head, content) {
        return Plan::ForgetCopy(ForgetReason::OtherContent);
    }
    match confirmed(facts, found, head) {
        Some(from) => Plan::CopyFrom {
            from,
            reason: CopyFromReason::BucketConfirms,
        },
        None => send(facts, content, reason),
    }
}

/// The object may be replaced before it is copied, and not every server checks the
/// condition that it is still the same: only a version with an id of its own is copied.
fn confirmed<'a>(
    facts: &Facts<'_>,
    found: &'a FoundCopy,
    head: &'a Head,
) -> Option<CopySource<'a>> {
    let version_id = found.entry.version_id.as_ref().or(head.version_id.as_ref());
    is_pinned(version_id, facts.policy.keeps_versions).then_some(CopySource {
        found,
        version_id,
        etag: &head.etag,
        stored_bytes: head.stored_bytes,
        gzip: head.gzip,
        bytes_are: head.bytes_are,
    })
}

fn send<'a>(facts: &'a Facts<'_>, content: &Content, reason: SendReason) -> Plan<'a> {
    if content.bytes.is_some() {
        return Plan::PutWhole(reason);
    }
    if !facts.policy.may_copy {
        return Plan::Multipart {
            reuse: None,
            reason,
        };
    }
    match &facts.answers.part_layout {
        None => Plan::Ask(Question::PartLayout),
        Some(reuse) => Plan::Multipart {
            reuse: reuse.as_ref(),
            reason,
        },
    }
}

/// The id stays that of one content. A bucket that keeps no versions calls whatever is
/// there `null`.
pub(crate) fn is_pinned(version_id: Option<&VersionId>, keeps_versions: bool) -> bool {
    version_id.is_some_and(|id| id.is_pinned() || keeps_versions)
}

/// A copy that a server made wrong, and that was not looked at since, has the right
/// metadata all the same.
fn is_as_long(head: &Head, content: &Content) -> bool {
    head.gzip || head.stored_bytes == content.fingerprint.size_bytes
}

/// A file that never rests may be another one by the time it is copied.
fn is_worth_a_copy(content: &Content) -> bool {
    let file = &content.fingerprint;
    file.kind == Kind::File && file.size_bytes >= COPY_FROM_BYTES && !content.is_torn
}

/// The version says that it holds this content.
fn holds(head: &Head, content: &Content) -> bool {
    head.holds(content.fingerprint.kind, &content.hash)
}
