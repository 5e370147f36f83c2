//! Records in as few bytes as possible, because a million of them share one disk.
//!
//! Layout 1: layout, flags, forms; then sizes and times as variable-length numbers relative to
//! each other; then hash, ETag and version id, in binary where their text has a known form.
//! The layout must never change without a new layout byte. Reading never panics, whatever the
//! bytes.

use super::bytes::{ByteReader, put_number};
use super::packing::{pack, unpack};
use crate::types::{ContentHash, Fingerprint, Kind, Look, Record, VersionId, WallMs, id_text};

/// The first byte of nearly every record.
const LAYOUT: u8 = 1;

/// The first byte of a record whose modification time takes more than 64 bits
/// (before 1677, after 2262): it takes 128, and all else is the same.
const LAYOUT_FAR: u8 = 2;

/// The same two of what has attributes: which they are stands at the end.
const LAYOUT_ATTRIBUTES: u8 = 3;
const LAYOUT_FAR_ATTRIBUTES: u8 = 4;

const KIND_MASK: u8 = 0b11;
const HAS_CONTENT: u8 = 1 << 2;
const HAS_OWNER: u8 = 1 << 3;
const RACY: u8 = 1 << 4;
const STORED_AS_IS: u8 = 1 << 5;
// Neither in records of versions that did not look: both of those read these
// records and these versions read those. Both: blank; versions that do not know
// that read it as not looked at.
const LOOKS_PLAIN: u8 = 1 << 6;
const LOOKS_LIKE_NOISE: u8 = 1 << 7;

/// Append a signed number; small ones of either sign are short.
pub(super) fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_number(out, ((number << 1) ^ (number >> 63)).cast_unsigned());
}

/// What a record has, in bits.
fn flags_of(record: &Record) -> u8 {
    let file = &record.fingerprint;
    let mut flags = match file.kind {
        Kind::File => 0,
        Kind::Symlink => 1,
        Kind::Folder => 2,
        Kind::Special => 3,
    };
    for (is_set, bit) in [
        (record.content.is_some(), HAS_CONTENT),
        (file.owner.is_some(), HAS_OWNER),
        (record.racy, RACY),
        (record.stored_bytes == file.size_bytes, STORED_AS_IS),
        (
            matches!(record.look, Look::Plain | Look::Blank),
            LOOKS_PLAIN,
        ),
        (
            matches!(record.look, Look::Noise | Look::Blank),
            LOOKS_LIKE_NOISE,
        ),
    ] {
        if is_set {
            flags |= bit;
        }
    }
    flags
}

/// A record as the index stores it.
pub fn encode(record: &Record) -> Vec<u8> {
    let file = &record.fingerprint;
    let mut out = Vec::with_capacity(128);
    let (etag_form, etag) = pack(&record.etag);
    let (version_form, version) = pack(id_text(&record.version_id));
    let near_ns = i64::try_from(file.mtime_ns);
    let layout = match (near_ns, record.attributes) {
        (Ok(_), None) => LAYOUT,
        (Err(_), None) => LAYOUT_FAR,
        (Ok(_), Some(_)) => LAYOUT_ATTRIBUTES,
        (Err(_), Some(_)) => LAYOUT_FAR_ATTRIBUTES,
    };
    out.extend([layout, flags_of(record), etag_form | version_form << 4]);
    put_number(&mut out, file.size_bytes);
    if record.stored_bytes != file.size_bytes {
        put_number(&mut out, record.stored_bytes);
    }
    match near_ns {
        Ok(near_ns) => out.extend(near_ns.to_le_bytes()),
        Err(_) => out.extend(file.mtime_ns.to_le_bytes()),
    }
    // Its low half is as good as any number that both sides know.
    put_signed(&mut out, file.ctime_ns.wrapping_sub(file.mtime_ns as i64));
    put_signed(
        &mut out,
        record
            .stored_at_ms
            .0
            .wrapping_sub(file.ctime_ns / 1_000_000),
    );
    put_number(&mut out, file.inode);
    put_number(&mut out, u64::from(file.mode));
    if let Some((uid, gid)) = file.owner {
        put_number(&mut out, u64::from(uid));
        put_number(&mut out, u64::from(gid));
    }
    if let Some(content) = record.content {
        out.extend(content.0);
    }
    out.extend(etag);
    out.extend(version);
    if let Some(attributes) = record.attributes {
        out.extend(attributes.to_le_bytes());
    }
    out
}

/// The next number, which is one of 32 bits.
fn short(from: &mut ByteReader<'_>) -> Option<u32> {
    u32::try_from(from.number()?).ok()
}

fn kind_of(flags: u8) -> Kind {
    match flags & KIND_MASK {
        0 => Kind::File,
        1 => Kind::Symlink,
        2 => Kind::Folder,
        _ => Kind::Special,
    }
}

fn look_of(flags: u8) -> Look {
    match flags & (LOOKS_PLAIN | LOOKS_LIKE_NOISE) {
        LOOKS_PLAIN => Look::Plain,
        LOOKS_LIKE_NOISE => Look::Noise,
        0 => Look::Unknown,
        _ => Look::Blank,
    }
}

/// Read [`encode`] back; `None` for anything else.
pub fn decode(bytes: &[u8]) -> Option<Record> {
    let mut from = ByteReader(bytes);
    let (is_far, has_attributes) = match from.byte()? {
        LAYOUT => (false, false),
        LAYOUT_FAR => (true, false),
        LAYOUT_ATTRIBUTES => (false, true),
        LAYOUT_FAR_ATTRIBUTES => (true, true),
        _ => return None,
    };
    let flags = from.byte()?;
    let forms = from.byte()?;
    let size_bytes = from.number()?;
    let stored_bytes = if flags & STORED_AS_IS == 0 {
        from.number()?
    } else {
        size_bytes
    };
    let mtime_ns = match is_far {
        false => i128::from(i64::from_le_bytes(from.bytes(8)?.try_into().ok()?)),
        true => i128::from_le_bytes(from.bytes(16)?.try_into().ok()?),
    };
    let ctime_ns = (mtime_ns as i64).wrapping_add(from.signed()?);
    let stored_at_ms = WallMs((ctime_ns / 1_000_000).wrapping_add(from.signed()?));
    let inode = from.number()?;
    let mode = short(&mut from)?;
    let owner = match flags & HAS_OWNER {
        0 => None,
        _ => Some((short(&mut from)?, short(&mut from)?)),
    };
    let content = if flags & HAS_CONTENT == 0 {
        None
    } else {
        Some(ContentHash(from.bytes(32)?.try_into().ok()?))
    };
    let etag = unpack(forms & 0xf, &mut from)?.into();
    let version_id = VersionId::new(unpack(forms >> 4, &mut from)?);
    let attributes = match has_attributes {
        true => Some(u64::from_le_bytes(from.bytes(8)?.try_into().ok()?)),
        false => None,
    };
    from.0.is_empty().then_some(Record {
        fingerprint: Fingerprint {
            kind: kind_of(flags),
            size_bytes,
            mtime_ns,
            ctime_ns,
            inode,
            mode,
            owner,
        },
        content,
        version_id,
        etag,
        stored_bytes,
        stored_at_ms,
        racy: flags & RACY != 0,
        look: look_of(flags),
        attributes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usual() -> Record {
        Record {
            fingerprint: Fingerprint {
                kind: Kind::File,
                size_bytes: 182_340,
                mtime_ns: 1_795_000_000_123_456_789,
                ctime_ns: 1_795_000_000_223_456_789,
                inode: 4_567_890,
                mode: 0o640,
                owner: Some((1000, 1000)),
            },
            content: Some(ContentHash::of(b"x")),
            version_id: VersionId::new("PHtexPGjH2y.zBgT8LmB7wwLI2mpbz.k"),
            etag: "9b2cf535f27731c974343645a3985328".into(),
            stored_bytes: 182_340,
            stored_at_ms: WallMs(1_795_000_002_500),
            racy: false,
            look: Look::Unknown,
            attributes: None,
        }
    }

    #[test]
    fn a_usual_record_stays_small() {
        let bytes = encode(&usual());
        assert!(bytes.len() <= 110, "{} bytes", bytes.len());
        assert_eq!(decode(&bytes), Some(usual()));
    }

    /// Only what has attributes is written otherwise than before there were any.
    #[test]
    fn attributes_cost_only_those_that_have_some() {
        let with = Record {
            attributes: Some(u64::MAX),
            ..usual()
        };
        let (without, bytes) = (encode(&usual()), encode(&with));
        assert_eq!(without[0], LAYOUT);
        assert_eq!(bytes.len(), without.len() + 8);
        assert_eq!(decode(&bytes), Some(with));
    }

    #[test]
    fn broken_bytes_are_refused() {
        let good = encode(&usual());
        for end in 0..good.len() {
            assert_eq!(decode(&good[..end]), None, "cut at {end}");
        }
        assert_eq!(decode(&[&good[..], b"x"].concat()), None);
        for layout in [LAYOUT_FAR, LAYOUT_ATTRIBUTES, LAYOUT_FAR_ATTRIBUTES, 5] {
            assert_eq!(decode(&[&[layout], &good[1..]].concat()), None);
        }
    }

    fn any_record() -> impl Strategy<Value = Record> {
        let id = || {
            prop_oneof![
                "[0-9a-f]{0,40}",
                "[0-9a-f]{32}-[0-9]{1,5}",
                "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
                "[A-Za-z0-9._]{0,40}",
                "[A-Za-z0-9_-]{0,40}",
                "[A-Za-z0-9+/]{0,40}",
                ".{0,20}",
            ]
        };
        let file = (
            0..4u8,
            any::<u64>(),
            prop_oneof![any::<i64>().prop_map(i128::from), any::<i128>()],
            any::<i64>(),
            any::<u64>(),
            any::<u32>(),
            any::<Option<(u32, u32)>>(),
        );
        let rest = (
            any::<Option<[u8; 32]>>(),
            id(),
            id(),
            any::<Option<u64>>(),
            any::<i64>(),
            any::<bool>(),
            prop_oneof![
                Just(Look::Unknown),
                Just(Look::Plain),
                Just(Look::Noise),
                Just(Look::Blank)
            ],
            any::<Option<u64>>(),
        );
        (file, rest).prop_map(|(f, r)| Record {
            fingerprint: Fingerprint {
                kind: [Kind::File, Kind::Symlink, Kind::Folder, Kind::Special][usize::from(f.0)],
                size_bytes: f.1,
                mtime_ns: f.2,
                ctime_ns: f.3,
                inode: f.4,
                mode: f.5,
                owner: f.6,
            },
            content: r.0.map(ContentHash),
            version_id: VersionId::new(r.1),
            etag: r.2.into(),
            stored_bytes: r.3.unwrap_or(f.1),
            stored_at_ms: WallMs(r.4),
            racy: r.5,
            look: r.6,
            attributes: r.7,
        })
    }

    proptest! {
        #[test]
        fn every_record_comes_back(record in any_record()) {
            prop_assert_eq!(decode(&encode(&record)), Some(record));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
            let mut layout = bytes;
            for first in [LAYOUT, LAYOUT_FAR, LAYOUT_ATTRIBUTES, LAYOUT_FAR_ATTRIBUTES] {
                layout.insert(0, first);
                let _ = decode(&layout);
                layout.remove(0);
            }
        }
    }
}
