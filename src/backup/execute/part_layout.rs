//! What large objects are made of, kept wherever a version of one comes to be: its next
//! version is put together from it. Pure.

use crate::s3::Stored;
use crate::transfer::Content;
use crate::types::Parts;

/// What a version that holds exactly this content as it is, is made of.
pub(crate) fn of_raw(content: &Content, stored: &Stored, stored_bytes: u64) -> Option<Parts> {
    let is_raw = stored_bytes == content.fingerprint.size_bytes && !content.is_torn;
    (is_raw && !content.segments.is_empty()).then(|| Parts {
        version_id: stored.version_id.clone(),
        etag: stored.etag.clone(),
        gzip: false,
        segments: content.segments.to_vec(),
    })
}

/// What a copy is made of whose original was made of `original`: the same.
pub(crate) fn of_copy(original: Parts, stored: &Stored) -> Parts {
    Parts {
        version_id: stored.version_id.clone(),
        etag: stored.etag.clone(),
        ..original
    }
}
