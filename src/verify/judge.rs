//! Whether what the bucket says is what it should say. Pure.
//!
//! Invariant: in doubt it is a finding. A finding is looked at a second time
//! before it is told; what was never found is never told.

use super::findings::Damage;
use super::groups::Group;
use crate::s3::{Head, ListedVersion};
use crate::types::{ContentHash, Kind, MetaRefused, ObjectMeta, Record, RelKey};

/// Something wrong: what, and in full.
pub(crate) type Wrong = (Damage, String);

/// What a version is measured by.
#[derive(Debug, Clone)]
pub(crate) enum Expect {
    /// It is the one of this record.
    Recorded(Box<Record>),
    /// It came after the one of this record.
    NewerThan(Box<Record>),
    /// The index has no record of its path.
    Unrecorded,
    /// By nothing but what it says of itself.
    Itself,
}

/// What the listing leaves to do about one key.
#[derive(Debug)]
pub(crate) enum Next {
    /// It is as it should be: nothing is there, or only a deletion.
    Nothing,
    /// Ask about this version.
    Look(ListedVersion, Expect),
    /// This is wrong already.
    Wrong(Wrong, Option<ListedVersion>),
}

/// Compare a record with all versions of its key.
pub(crate) fn by_listing(record: Option<&Record>, group: Option<&Group>) -> Next {
    let Some(record) = record else {
        return match group {
            Some(group) if !group.newest.is_marker => {
                Next::Look(group.newest.clone(), Expect::Unrecorded)
            }
            _ => Next::Nothing,
        };
    };
    if record.content.is_none() {
        // To be compared anyway: it counts as protected only then.
        return match group {
            Some(group) if !group.newest.is_marker => {
                Next::Look(group.newest.clone(), Expect::Itself)
            }
            _ => Next::Nothing,
        };
    }
    let Some(group) = group else {
        let why = "the bucket holds neither the file nor an older version of it";
        return Next::Wrong((Damage::Missing, why.to_owned()), None);
    };
    if group.newest.is_marker {
        let why = "the newest entry in the bucket is a delete marker";
        let wrong = (Damage::MarkedDeleted, why.to_owned());
        return Next::Wrong(wrong, Some(group.newest.clone()));
    }
    let recorded = || Expect::Recorded(Box::new(record.clone()));
    if record.version_id.is_empty() {
        return Next::Look(group.newest.clone(), recorded());
    }
    match &group.pinned {
        None => {
            let why = format!(
                "version {} was removed from the bucket (by a lifecycle rule, or by somebody with the keys)",
                record.version_id
            );
            Next::Wrong((Damage::VersionGone, why), None)
        }
        Some(pinned) if pinned.version_id != group.newest.version_id => Next::Look(
            group.newest.clone(),
            Expect::NewerThan(Box::new(record.clone())),
        ),
        Some(pinned) => match listed_otherwise(record, pinned) {
            Some(wrong) => Next::Wrong(wrong, Some(pinned.clone())),
            None => Next::Look(pinned.clone(), recorded()),
        },
    }
}

/// The version that was stored is listed with another size or ETag.
fn listed_otherwise(record: &Record, listed: &ListedVersion) -> Option<Wrong> {
    let (now, then) = (listed.stored_bytes, record.stored_bytes);
    if now != then {
        let damage = if now < then {
            Damage::Truncated
        } else {
            Damage::Altered
        };
        return Some((
            damage,
            format!("the bucket lists {now} bytes, {then} were stored"),
        ));
    }
    let both = !listed.etag.is_empty() && !record.etag.is_empty();
    (both && listed.etag != record.etag).then(|| {
        let why = "the bucket lists another ETag than the one that it answered when it was stored";
        (Damage::Altered, why.to_owned())
    })
}

/// What an object says of itself, if that can be true.
pub(crate) fn of_itself<'h>(
    key: Option<&RelKey>,
    head: &'h Head,
) -> Result<Option<&'h ObjectMeta>, Wrong> {
    let metadata = |why: String| Err((Damage::Metadata, why));
    let meta = match &head.meta {
        Ok(meta) => meta,
        Err(MetaRefused::Foreign) => return Ok(None),
        Err(refused) => return metadata(refused.to_string()),
    };
    if key.is_some_and(|key| key.is_folder() != (meta.kind == Kind::Folder)) {
        return metadata("its key and kw-kind disagree on whether it is a folder".into());
    }
    if head.gzip && meta.kind != Kind::File {
        return metadata("it says Content-Encoding: gzip, and only files are compressed".into());
    }
    if !head.gzip && head.stored_bytes != meta.size_bytes && !meta.unrested {
        return Err(size_differs(head, meta));
    }
    match (head.bytes_are.sha256, meta.content) {
        (Some(stored), Some(content)) if head.gzip && stored == content => metadata(
            "it says Content-Encoding: gzip, and its bytes are the file as it is".into(),
        ),
        (Some(stored), Some(content)) if !head.gzip && stored != content => Err((
            Damage::Altered,
            "the server's checksum of the content is not the one of the file that was backed up (kw-sha256)".into(),
        )),
        _ => Ok(Some(meta)),
    }
}

fn size_differs(head: &Head, meta: &ObjectMeta) -> Wrong {
    let (now, then) = (head.stored_bytes, meta.size_bytes);
    let damage = if now < then {
        Damage::Truncated
    } else {
        Damage::Altered
    };
    (
        damage,
        format!(
            "it has {now} bytes and says that the file has {then} (or it lost its Content-Encoding: gzip)"
        ),
    )
}

/// A version against the record of it.
pub(crate) fn by_record(key: &RelKey, record: &Record, head: &Head) -> Option<Wrong> {
    let meta = match of_itself(Some(key), head) {
        Err(wrong) => return Some(wrong),
        Ok(None) => {
            let why = "it does not say any more that Keepwatch wrote it (kw-format is gone)";
            return Some((Damage::Metadata, why.to_owned()));
        }
        Ok(Some(meta)) => meta,
    };
    let fields = fields_that_differ(record, meta);
    if !fields.is_empty() {
        let why = format!("not what was stored: {}", fields.join(", "));
        return Some((Damage::Metadata, why));
    }
    let both = !head.etag.is_empty() && !record.etag.is_empty();
    (both && head.etag != record.etag).then(|| {
        let why = "its ETag is not the one that the bucket answered when it was stored";
        (Damage::Altered, why.to_owned())
    })
}

fn fields_that_differ(record: &Record, meta: &ObjectMeta) -> Vec<&'static str> {
    let then = &record.fingerprint;
    // A folder's times change with its contents; a file that never rested
    // changed while it was described.
    let has_time = then.kind != Kind::Folder && !meta.unrested;
    let has_size = then.kind == Kind::File && !meta.unrested;
    let content_differs = match (record.content, meta.content) {
        (Some(then), Some(now)) => then != now,
        _ => false,
    };
    // What was taken over from another computer's manifest has this computer's
    // numbers, and the version keeps those that it was stored with.
    let has_owner = !record.is_pinned();
    [
        ("kw-kind", then.kind != meta.kind),
        ("kw-sha256", content_differs),
        ("kw-size", has_size && then.size_bytes != meta.size_bytes),
        ("kw-mtime-ns", has_time && then.mtime_ns != meta.mtime_ns),
        ("kw-mode", then.mode != meta.mode),
        ("kw-owner", has_owner && then.owner != meta.owner),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}

/// A version that is newer than the record's: ours when it holds what was
/// recorded (its metadata was updated), or what is on disk now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Newer {
    Ours,
    /// Ours if the file on disk has this content.
    IfOnDisk(ContentHash),
    Wrong(Wrong),
}

pub(crate) fn newer(key: &RelKey, record: &Record, head: &Head) -> Newer {
    let overwritten = |why: &str| Newer::Wrong((Damage::Overwritten, why.to_owned()));
    match of_itself(Some(key), head) {
        Err((_, why)) => overwritten(&format!("the newer version is not whole: {why}")),
        Ok(None) => overwritten("the newer version was not written by Keepwatch"),
        Ok(Some(meta)) if meta.content == record.content => Newer::Ours,
        Ok(Some(meta)) => match meta.content {
            Some(content) => Newer::IfOnDisk(content),
            None => overwritten("the newer version is not from this computer"),
        },
    }
}

/// Where downloads are not possible without thawing first. Glacier Instant
/// Retrieval answers at once.
pub fn is_cold(storage_class: &str) -> bool {
    matches!(storage_class, "GLACIER" | "DEEP_ARCHIVE")
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
