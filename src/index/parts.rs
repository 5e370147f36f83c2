//! What large objects are made of, beside their records: a million records must
//! stay small, and few of them have such a list.
//!
//! A list lives and dies with the version that it describes, in the batch that
//! writes the record. It is never needed: one that is not there or cannot be
//! read costs sending the file whole, and is no damage.

use super::bytes::{ByteReader, put_number};
use super::codec;
use super::engine::{Batch, Engine, Entry};
use super::entries::about;
use super::handle::Index;
use super::keys::chunk_key;
use super::packing::{pack, unpack};
use super::types::{ActivityDelta, SourceId};
use crate::types::{
    ContentHash, Crc64, Fault, Parts, Record, RelKey, SEGMENTS_MAX, Segment, VersionId, id_text,
};
use std::ops::Bound;

/// Bytes of one entry. sled keeps sixteen in one page and puts pages of 128 KB
/// and more into files of their own, which a power cut can take.
const CHUNK_BYTES: usize = 4 * 1024;

/// Entries of one list at most; 10,000 segments take some 120.
const CHUNKS_MAX: usize = 1_000;

/// The first byte of every list.
const LAYOUT: u8 = 1;

const GZIP: u8 = 1;

impl Index {
    /// What the version at this path is made of, when that is known of the very
    /// version that the record names.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn parts(&self, source: SourceId, key: &RelKey) -> Result<Option<Parts>, Fault> {
        let engine = self.engine()?;
        let chunks = chunks(&engine, source, key).map_err(|fault| about(fault, key))?;
        if chunks.is_empty() {
            return Ok(None);
        }
        let bytes: Vec<u8> = chunks.into_iter().flat_map(|(_, value)| value).collect();
        let record = self.get(source, key)?;
        Ok(decode(&bytes).filter(|parts| record.is_some_and(|record| describes(parts, &record))))
    }

    /// [`Index::commit`] of a version of which it is known what it is made of.
    /// A list of another version than the record's, and one of more than
    /// [`SEGMENTS_MAX`] segments, is left out.
    ///
    /// # Errors
    /// As [`Index::commit`].
    pub fn commit_parts(
        &self,
        source: SourceId,
        key: &RelKey,
        record: Record,
        parts: Option<Parts>,
        activity: &ActivityDelta,
    ) -> Result<(), Fault> {
        let parts = parts.filter(|parts| describes(parts, &record));
        self.write(
            source,
            [(key, Some(&record))],
            activity,
            true,
            parts.as_ref(),
        )
        .map_err(|fault| about(fault, key))
    }
}

fn describes(parts: &Parts, record: &Record) -> bool {
    parts.are_of(record.version_id.as_ref(), &record.etag)
}

/// Add to a batch what a change of the record means for the list: the new one
/// takes the old one's place, and another version has none.
pub(super) fn follow(
    engine: &Engine,
    batch: &mut Batch,
    source: SourceId,
    key: &RelKey,
    change: (Option<&Record>, Option<&Record>),
    parts: Option<&Parts>,
) -> Result<(), Fault> {
    let is_same_version = match change {
        (Some(old), Some(new)) => old.version_id == new.version_id && old.etag == new.etag,
        _ => false,
    };
    if parts.is_none() && is_same_version {
        return Ok(());
    }
    // A record that was not there has no list.
    if change.0.is_some() && engine.get(&chunk_key(source, key, 0))?.is_some() {
        for (stored, _) in chunks(engine, source, key)? {
            batch.remove(stored);
        }
    }
    let bytes = parts
        .filter(|parts| parts.segments.len() <= SEGMENTS_MAX)
        .map(encode)
        .filter(|bytes| bytes.len() <= CHUNKS_MAX * CHUNK_BYTES)
        .unwrap_or_default();
    // After the removals: of one key, the last write counts.
    for (at, chunk) in (0u16..).zip(bytes.chunks(CHUNK_BYTES)) {
        batch.put(chunk_key(source, key, at), chunk);
    }
    Ok(())
}

fn chunks(engine: &Engine, source: SourceId, key: &RelKey) -> Result<Vec<Entry>, Fault> {
    let first = chunk_key(source, key, 0);
    let end = chunk_key(source, key, u16::MAX);
    engine.page(Bound::Included(&first), &end, CHUNKS_MAX)
}

/// A list as the index stores it: layout, flags, forms, ETag and version id,
/// number of segments, then of each its sizes, hash and checksum. It must never
/// change without a new layout byte.
#[doc(hidden)]
pub fn encode(parts: &Parts) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + parts.segments.len() * 48);
    let (etag_form, etag) = pack(&parts.etag);
    let (version_form, version) = pack(id_text(&parts.version_id));
    let flags = if parts.gzip { GZIP } else { 0 };
    out.extend([LAYOUT, flags, etag_form | version_form << 4]);
    out.extend(etag);
    out.extend(version);
    put_number(&mut out, parts.segments.len() as u64);
    for segment in &parts.segments {
        put_number(&mut out, segment.raw_bytes);
        let more = segment.stored_bytes.wrapping_sub(segment.raw_bytes);
        codec::put_signed(&mut out, more.cast_signed());
        out.extend(segment.sha256.0);
        out.extend(segment.crc64.0.to_le_bytes());
    }
    out
}

/// Read [`encode`] back; `None` for anything else, and never a panic.
#[doc(hidden)]
pub fn decode(bytes: &[u8]) -> Option<Parts> {
    let mut from = ByteReader(bytes);
    if from.byte()? != LAYOUT {
        return None;
    }
    let flags = from.byte()?;
    let forms = from.byte()?;
    let etag = unpack(forms & 0xf, &mut from)?.into();
    let version_id = VersionId::new(unpack(forms >> 4, &mut from)?);
    let count = from.count().filter(|count| *count <= SEGMENTS_MAX)?;
    let mut segments = Vec::new();
    for _ in 0..count {
        let raw_bytes = from.number()?;
        let stored_bytes = raw_bytes.wrapping_add(from.signed()?.cast_unsigned());
        let sha256 = ContentHash(from.bytes(32)?.try_into().ok()?);
        let crc64 = Crc64(u64::from_le_bytes(from.bytes(8)?.try_into().ok()?));
        segments.push(Segment {
            raw_bytes,
            stored_bytes,
            sha256,
            crc64,
        });
    }
    (from.0.is_empty() && flags <= GZIP).then_some(Parts {
        version_id,
        etag,
        gzip: flags & GZIP != 0,
        segments,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_segment() -> impl Strategy<Value = Segment> {
        (any::<u64>(), any::<u64>(), any::<[u8; 32]>(), any::<u64>()).prop_map(|s| Segment {
            raw_bytes: s.0,
            stored_bytes: s.1,
            sha256: ContentHash(s.2),
            crc64: Crc64(s.3),
        })
    }

    fn any_parts() -> impl Strategy<Value = Parts> {
        (
            "[A-Za-z0-9._]{0,40}",
            "[0-9a-f]{32}-[0-9]{1,5}|.{0,20}",
            any::<bool>(),
            proptest::collection::vec(any_segment(), 0..30),
        )
            .prop_map(|(version_id, etag, gzip, segments)| Parts {
                version_id: VersionId::new(version_id),
                etag: etag.into(),
                gzip,
                segments,
            })
    }

    proptest! {
        #[test]
        fn every_list_comes_back_whole_or_not_at_all(parts in any_parts(), cut in any::<prop::sample::Index>()) {
            let bytes = encode(&parts);
            prop_assert_eq!(decode(&bytes), Some(parts));
            prop_assert_eq!(decode(&bytes[..cut.index(bytes.len())]), None);
            prop_assert_eq!(decode(&[&bytes[..], b"x"].concat()), None);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&bytes);
            let _ = decode(&[&[LAYOUT], &bytes[..]].concat());
            let _ = crate::index::keys::chunk_of(&bytes);
        }
    }

    #[test]
    fn a_number_of_segments_beyond_the_bound_is_refused_unread() {
        let mut bytes = vec![LAYOUT, 0, 0];
        put_number(&mut bytes, u64::MAX);
        assert_eq!(decode(&bytes), None);
    }
}
