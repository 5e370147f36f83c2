//! One page of a list.

use super::seam::{More, Next};
use crate::types::{Class, ETag, Fault, Operation, VersionId, WallMs};
use percent_encoding::percent_decode_str;

/// Keys per page: S3's maximum.
pub const PAGE_KEYS: i32 = 1000;

/// The longest key, version id, ETag or token that is taken: S3 ends keys and
/// version ids at 1,024 bytes, and a token of ours holds one of each.
pub(super) const NAME_BYTES_MAX: usize = 2_100;

/// One current object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Full key.
    pub key: String,
    /// ETag without quotes.
    pub etag: ETag,
    /// Bytes as stored.
    pub stored_bytes: u64,
    /// When the server stored it, milliseconds since 1970.
    pub modified_ms: WallMs,
}

/// One version or delete marker of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedVersion {
    /// Full key.
    pub key: String,
    /// Version id; `null` for what was written before versioning was on.
    pub version_id: Option<VersionId>,
    /// True when it is the newest of its key.
    pub is_latest: bool,
    /// True for a delete marker.
    pub is_marker: bool,
    /// ETag without quotes; empty for a marker.
    pub etag: ETag,
    /// Bytes as stored; 0 for a marker.
    pub stored_bytes: u64,
    /// When the server stored it, milliseconds since 1970.
    pub modified_ms: WallMs,
    /// S3 storage class, e.g. `STANDARD`; empty for a marker.
    pub storage_class: String,
}

impl ListedVersion {
    /// What stands for a version that is in no list.
    pub fn unlisted(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            version_id: None,
            is_latest: false,
            is_marker: false,
            etag: ETag::default(),
            stored_bytes: 0,
            modified_ms: WallMs::default(),
            storage_class: String::new(),
        }
    }
}

/// One page and where the next begins.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// At most [`PAGE_KEYS`] items, in key order, none that an earlier page had.
    pub items: Vec<T>,
    /// What to pass for the next page; `None` at the end.
    pub next: Option<Box<Next>>,
    /// False when the server's order is not that of the keys' bytes: what is on
    /// other pages may belong between these items.
    pub in_order: bool,
}

/// What the server says of more: a full page is the last one only when the next
/// brings nothing.
pub(super) fn more(is_truncated: Option<bool>, says_where: bool, is_full: bool) -> More {
    match is_truncated {
        Some(true) => More::Yes,
        None if says_where => More::Yes,
        _ if is_full => More::Perhaps,
        _ => More::No,
    }
}

pub(super) fn is_full(items: usize, items_max: i32) -> bool {
    usize::try_from(items_max).is_ok_and(|max| items >= max.max(1))
}

pub(super) fn left_out(operation: Operation, bucket: &str) -> Fault {
    broken(
        operation,
        bucket,
        "it leaves out names where one page ends and the next begins",
    )
}

/// The server's list cannot be used.
pub(super) fn broken(operation: Operation, bucket: &str, cause: &str) -> Fault {
    Fault::new(
        Class::Refused,
        operation,
        bucket,
        format!("the server's list is broken: {cause}"),
    )
    .hint("show this line to your technician: the server's list of this bucket cannot be used")
}

/// That no name in a page is longer than what S3 gives by far.
pub(super) fn bounded(
    operation: Operation,
    bucket: &str,
    names: impl Iterator<Item = impl AsRef<str>>,
) -> Result<(), Fault> {
    let mut lengths = names.map(|name| name.as_ref().len());
    let Some(bytes) = lengths.find(|n| *n > NAME_BYTES_MAX) else {
        return Ok(());
    };
    Err(Fault::new(
        Class::Refused,
        operation,
        bucket,
        format!("the server's list is broken: it holds a name of {bytes} bytes"),
    )
    .hint("show this line to your technician: S3 has no names longer than 1,024 bytes"))
}

/// Undo `encoding-type=url`, in which a space may be `+`.
pub(super) fn decoded(text: &str, encoded: bool) -> String {
    if !encoded {
        return text.to_owned();
    }
    percent_decode_str(&text.replace('+', " "))
        .decode_utf8_lossy()
        .into_owned()
}

pub(super) fn bytes(size: Option<i64>) -> u64 {
    u64::try_from(size.unwrap_or(0)).unwrap_or(0)
}

pub(super) fn millis(time: Option<&aws_sdk_s3::primitives::DateTime>) -> WallMs {
    WallMs(time.and_then(|t| t.to_millis().ok()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_listing_are_decoded() {
        for (raw, want) in [
            ("a+b%2Bc%25%0A", "a b+c%\n"),
            ("B%C3%BCro/x", "Büro/x"),
            ("plain", "plain"),
        ] {
            assert_eq!(decoded(raw, true), want);
        }
        assert_eq!(decoded("a+b%20", false), "a+b%20");
    }
}
