//! How everything the index holds is laid out in one ordered tree.
//!
//! One tree, because only writes to one tree can be made in one atomic batch.
//! The first byte is the namespace, the next four the source (big endian, 0 for
//! what belongs to none), the rest is the namespace's own. It must never change
//! without a new [`super::SCHEMA_VERSION`].

use super::types::SourceId;
use crate::types::{RelKey, RelPath, WallMs};

/// One kind of entry. The byte is what stands first in the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Space {
    /// Source → its totals (activity, records_sum, overflow).
    Totals = b'a',
    /// Source, beginning of a content's hash → where the bucket has it.
    Content = b'c',
    /// Source, key → a failure since the last digest.
    Failure = b'f',
    /// Source or 0, name → small state.
    State = b'k',
    /// Source, key, NUL, number → a stretch of what a large object is made of.
    Parts = b'l',
    /// 0, name → the index's own facts (schema, counters).
    Meta = b'm',
    /// 0, number → a message waiting to be sent.
    Outbox = b'o',
    /// Source, key, NUL, upload id → a multipart upload in flight.
    Multipart = b'p',
    /// Source, key, NUL, upload id, NUL, number → a part of it that the server
    /// has acknowledged.
    Acknowledged = b'q',
    /// Source, key → record.
    Record = b'r',
    /// Source → who it is.
    Source = b's',
    /// Source, time, key → nothing: the unprotected by their next attempt.
    Due = b't',
    /// Source, key → an unprotected path.
    Unprotected = b'u',
}

/// Where the namespace's own part begins.
pub(super) const HEAD_BYTES: usize = 5;

/// Bytes of a time within a [`Space::Due`] key.
const TIME_BYTES: usize = 8;

impl Space {
    /// The namespace of a stored key.
    pub(super) fn of(key: &[u8]) -> Option<Self> {
        [
            Self::Totals,
            Self::Content,
            Self::Failure,
            Self::State,
            Self::Parts,
            Self::Meta,
            Self::Outbox,
            Self::Multipart,
            Self::Acknowledged,
            Self::Record,
            Self::Source,
            Self::Due,
            Self::Unprotected,
        ]
        .into_iter()
        .find(|space| key.first() == Some(&(*space as u8)))
        .filter(|_| key.len() >= HEAD_BYTES)
    }

    /// The stored key of `rest` of one source in this namespace.
    pub(super) fn key(self, source: SourceId, rest: &[u8]) -> Vec<u8> {
        let mut key = Vec::with_capacity(HEAD_BYTES + rest.len());
        key.push(self as u8);
        key.extend_from_slice(&source.0.to_be_bytes());
        key.extend_from_slice(rest);
        key
    }
}

/// The source a stored key belongs to.
pub(super) fn source_of(key: &[u8]) -> SourceId {
    let mut id = [0; 4];
    if let Some(bytes) = key.get(1..HEAD_BYTES) {
        id.copy_from_slice(bytes);
    }
    SourceId(u32::from_be_bytes(id))
}

/// What follows namespace and source.
pub(super) fn rest_of(key: &[u8]) -> &[u8] {
    key.get(HEAD_BYTES..).unwrap_or_default()
}

/// The path key that these stored bytes are; `None` when they are none.
pub(super) fn rel_key(bytes: &[u8]) -> Option<RelKey> {
    let text = std::str::from_utf8(bytes).ok()?;
    if text.is_empty() {
        return Some(RelKey::of_folder(&RelPath::root()));
    }
    RelKey::parse_full(text).ok()
}

/// The first key that does not begin with `prefix` any more. Prefixes begin
/// with a namespace byte, so there always is one.
pub(super) fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    end
}

/// A time as bytes that sort like the time.
pub(super) fn time_bytes(time_ms: WallMs) -> [u8; TIME_BYTES] {
    (time_ms.0.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

/// The own part of a [`Space::Due`] key.
pub(super) fn due_rest(time_ms: WallMs, key: &RelKey) -> Vec<u8> {
    let mut rest = time_bytes(time_ms).to_vec();
    rest.extend_from_slice(key.as_str().as_bytes());
    rest
}

/// Read [`due_rest`] back.
pub(super) fn due_parts(rest: &[u8]) -> Option<(WallMs, RelKey)> {
    let (time, key) = rest.split_first_chunk::<TIME_BYTES>()?;
    let time = (u64::from_be_bytes(*time) ^ (1 << 63)).cast_signed();
    Some((WallMs(time), rel_key(key)?))
}

/// The key of one chunk of the list of what a version is made of.
pub(super) fn chunk_key(source: SourceId, key: &RelKey, at: u16) -> Vec<u8> {
    // A path key has no NUL (they are escaped), so no two lists mix.
    let rest = [key.as_str().as_bytes(), &[0], &at.to_be_bytes()].concat();
    Space::Parts.key(source, &rest)
}

/// The path key and number of a stored entry; `None` when it is none.
pub(super) fn chunk_of(rest: &[u8]) -> Option<(RelKey, u16)> {
    let (rest, at) = rest.split_last_chunk::<2>()?;
    let key = rel_key(rest.strip_suffix(&[0])?)?;
    Some((key, u16::from_be_bytes(*at)))
}

/// The key of a multipart upload.
pub(super) fn multipart_key(source: SourceId, key: &RelKey, upload_id: &str) -> Vec<u8> {
    // A path key has no NUL (they are escaped), so no two uploads share a key.
    let rest = [key.as_str().as_bytes(), &[0], upload_id.as_bytes()].concat();
    Space::Multipart.key(source, &rest)
}

/// What the keys of an upload's parts begin with.
pub(super) fn part_prefix(source: SourceId, key: &RelKey, upload_id: &str) -> Vec<u8> {
    let rest = [key.as_str().as_bytes(), &[0], upload_id.as_bytes(), &[0]].concat();
    Space::Acknowledged.key(source, &rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_sort_as_bytes() {
        let times = [
            i64::MIN,
            -5,
            -1,
            0,
            1,
            255,
            256,
            1_800_000_000_000,
            i64::MAX,
        ];
        for pair in times.windows(2) {
            assert!(
                time_bytes(WallMs(pair[0])) < time_bytes(WallMs(pair[1])),
                "{pair:?}"
            );
        }
        for time in times {
            let key = rel_key(b"a/b").unwrap();
            assert_eq!(
                due_parts(&due_rest(WallMs(time), &key)),
                Some((WallMs(time), key))
            );
        }
    }

    #[test]
    fn the_end_of_a_prefix() {
        for (prefix, end) in [
            (&b"ra"[..], &b"rb"[..]),
            (b"r\xff", b"s"),
            (b"r\x00\xff\xff", b"r\x01"),
        ] {
            assert_eq!(end_of(prefix), end);
        }
    }

    #[test]
    fn a_key_says_its_namespace_and_source() {
        let key = Space::Record.key(SourceId(258), b"x");
        assert_eq!(Space::of(&key), Some(Space::Record));
        assert_eq!((source_of(&key), rest_of(&key)), (SourceId(258), &b"x"[..]));
        assert_eq!(Space::of(b"r\0\0"), None);
        assert_eq!(Space::of(b"?\0\0\0\0"), None);
    }
}
