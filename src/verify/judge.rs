//! Whether what the bucket says is what it should say. Pure.
//!
//! Invariant: in doubt it is a finding. A finding is looked at a second time
//! before it is told; what was never found is never told.

use super::findings::Damage;
use super::listing::KeyVersions;
use crate::s3::{Head, ListedVersion};
use crate::types::{ContentHash, Kind, MetaRefused, ObjectMeta, Record, RelKey, id_text};

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
pub(crate) fn by_listing(record: Option<&Record>, versions: Option<&KeyVersions>) -> Next {
    let Some(record) = record else {
        return match versions {
            Some(versions) if !versions.newest.is_marker => {
                Next::Look(versions.newest.clone(), Expect::Unrecorded)
            }
            _ => Next::Nothing,
        };
    };
    if record.content.is_none() {
        // To be compared anyway: it counts as protected only then.
        return match versions {
            Some(versions) if !versions.newest.is_marker => {
                Next::Look(versions.newest.clone(), Expect::Itself)
            }
            _ => Next::Nothing,
        };
    }
    let Some(versions) = versions else {
        let why = "the bucket holds neither the file nor an older version of it";
        return Next::Wrong((Damage::Missing, why.to_owned()), None);
    };
    if versions.newest.is_marker {
        let why = "the newest entry in the bucket is a delete marker";
        let wrong = (Damage::MarkedDeleted, why.to_owned());
        return Next::Wrong(wrong, Some(versions.newest.clone()));
    }
    let recorded = || Expect::Recorded(Box::new(record.clone()));
    if record.version_id.is_none() {
        return Next::Look(versions.newest.clone(), recorded());
    }
    match &versions.pinned {
        None => {
            let why = format!(
                "version {} was removed from the bucket (by a lifecycle rule, or by somebody with the keys)",
                id_text(&record.version_id)
            );
            Next::Wrong((Damage::VersionGone, why), None)
        }
        Some(pinned) if pinned.version_id != versions.newest.version_id => Next::Look(
            versions.newest.clone(),
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
    if !head.gzip && head.stored_bytes != meta.size_bytes && !meta.is_torn {
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
    let has_time = then.kind != Kind::Folder && !meta.is_torn;
    let has_size = then.kind == Kind::File && !meta.is_torn;
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

/// What a HEAD says, measured by what is expected of the version.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Measured {
    /// Nothing that was recorded contradicts it.
    AsExpected,
    /// It is gone, and nothing says that it should not be.
    Moving,
    /// It is ours if the file of this key has this content on disk.
    IfOnDisk(RelKey, ContentHash),
    /// This is wrong.
    Wrong(Wrong),
}

/// Measure what the server says (`None`: the version is gone) by what is expected.
pub(crate) fn by_expectation(
    key: Option<&RelKey>,
    expect: &Expect,
    head: Option<&Head>,
) -> Measured {
    let Some(head) = head else {
        return match expect {
            Expect::Recorded(_) => {
                let why = "it was removed from the bucket while it was looked at";
                Measured::Wrong((Damage::VersionGone, why.to_owned()))
            }
            Expect::NewerThan(_) | Expect::Unrecorded | Expect::Itself => Measured::Moving,
        };
    };
    match (key, expect) {
        (Some(key), Expect::Recorded(record)) => match by_record(key, record, head) {
            Some(wrong) => Measured::Wrong(wrong),
            None => Measured::AsExpected,
        },
        (Some(key), Expect::NewerThan(record)) => match newer(key, record, head) {
            Newer::Ours => Measured::AsExpected,
            Newer::Wrong(wrong) => Measured::Wrong(wrong),
            Newer::IfOnDisk(content) => Measured::IfOnDisk(key.clone(), content),
        },
        (None, _) | (_, Expect::Unrecorded | Expect::Itself) => Measured::AsExpected,
    }
}

/// What an object of ours is that the index has no record of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unrecorded {
    /// It was stored a moment ago, or is about to be marked as deleted.
    OnItsWay,
    /// Deletions are not marked in this bucket, so it stays.
    Kept,
    /// It was deleted here, and shows again.
    Returned(Wrong),
}

/// Judge an object of ours that has no record; `is_gone` when nothing stands at its
/// path.
pub(crate) fn unrecorded(kind: Kind, is_gone: bool, marks_deletions: bool) -> Unrecorded {
    // A folder's object may stay when the folder fills.
    if !is_gone || kind == Kind::Folder {
        return Unrecorded::OnItsWay;
    }
    if !marks_deletions {
        return Unrecorded::Kept;
    }
    let why = "the file was deleted on this computer; its delete marker is not there any more";
    Unrecorded::Returned((Damage::Returned, why.to_owned()))
}

/// What is wrong with a body that is not what its object says, by how much of it came.
pub(crate) fn by_content(bytes: u64, size_bytes: u64, gzip: bool) -> Damage {
    match bytes < size_bytes && !gzip {
        true => Damage::Truncated,
        false => Damage::Altered,
    }
}

/// A worker whose change the bucket has taken, and who has not written it down
/// yet, looks like this.
pub(crate) fn may_be_ours(damage: Damage) -> bool {
    matches!(
        damage,
        Damage::Missing | Damage::MarkedDeleted | Damage::Overwritten | Damage::Returned
    )
}

/// The index has another record now than the version was measured by.
pub(crate) fn has_changed(expect: &Expect, record: Option<&Record>) -> bool {
    match expect {
        Expect::Recorded(then) | Expect::NewerThan(then) => record != Some(then.as_ref()),
        Expect::Unrecorded => record.is_some(),
        Expect::Itself => false,
    }
}

/// A delete marker over a file that is gone from disk as well is our own: its record
/// goes in a moment. A disk that cannot be looked at says nothing.
pub(crate) fn is_own_marker(damage: Damage, is_on_disk: Option<bool>) -> bool {
    damage == Damage::MarkedDeleted && is_on_disk == Some(false)
}

/// Where downloads are not possible without thawing first. Glacier Instant
/// Retrieval answers at once.
pub fn is_cold(storage_class: &str) -> bool {
    matches!(storage_class, "GLACIER" | "DEEP_ARCHIVE")
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
