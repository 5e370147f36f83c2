//! How two sides of one path differ. Pure.

use super::difference::{Change, Difference, Finding, Side};
use crate::types::{ETag, Fault, Fingerprint, Kind, ObjectMeta, RelKey};

/// An object's metadata, and whose it is.
pub(super) struct Object {
    pub(super) key: RelKey,
    pub(super) meta: ObjectMeta,
    pub(super) etag: ETag,
}

/// One side alone: `then` when it was there at the moment.
pub(super) fn one_side(then: Option<Side>, known: Result<Object, Finding>) -> Finding {
    match (known, then) {
        (Err(finding), _) => finding,
        (Ok(known), Some(then)) => difference(&known.key, Change::Removed, Some(then), None),
        (Ok(known), None) => {
            let now = Some(Side::of_meta(&known.meta));
            difference(&known.key, Change::Added, None, now)
        }
    }
}

pub(super) fn difference(
    key: &RelKey,
    change: Change,
    then: Option<Side>,
    now: Option<Side>,
) -> Finding {
    let slash = if key.is_folder() { "/" } else { "" };
    Finding::Compared(Difference {
        path: format!("{}{slash}", key.path()),
        change,
        then,
        now,
        covered: None,
    })
}

pub(super) fn between(then: &Object, now: &Object) -> Finding {
    let (one, other) = (&then.meta, &now.meta);
    let same_content = match (one.content, other.content) {
        (Some(one), Some(other)) => one == other,
        // Files that never rested: the same bytes only if the server says so.
        _ => !then.etag.is_empty() && then.etag == now.etag,
    };
    // Times of links and folders are no change of their own.
    let same_meta = match one.kind {
        Kind::Symlink => true,
        Kind::Folder => one.mode == other.mode,
        Kind::File | Kind::Special => (one.mode, one.mtime_ns) == (other.mode, other.mtime_ns),
    } && one.attributes.id() == other.attributes.id();
    let change = match (one.kind == other.kind && same_content, same_meta) {
        (false, _) => Change::Changed,
        (true, false) => Change::Metadata,
        (true, true) => Change::Same,
    };
    let sides = (Some(Side::of_meta(one)), Some(Side::of_meta(other)));
    difference(&then.key, change, sides.0, sides.1)
}

/// Size and time first; `is_content` is asked only where they say nothing.
pub(super) fn change_of(
    then: &ObjectMeta,
    now: &Fingerprint,
    empty: bool,
    is_content: impl FnOnce() -> Result<bool, Fault>,
) -> Result<Change, Fault> {
    if then.kind != now.kind {
        return Ok(Change::Changed);
    }
    Ok(match then.kind {
        // The object of a folder that has been filled since says nothing of it.
        Kind::Folder if empty && then.mode != now.mode => Change::Metadata,
        Kind::Folder => Change::Same,
        Kind::Symlink => match is_content()? {
            true => Change::Same,
            false => Change::Changed,
        },
        Kind::File | Kind::Special => {
            let same_time = then.mtime_ns == now.mtime_ns;
            if then.size_bytes != now.size_bytes || !(same_time || is_content()?) {
                Change::Changed
            } else if same_time && then.mode == now.mode {
                Change::Same
            } else {
                Change::Metadata
            }
        }
    })
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
