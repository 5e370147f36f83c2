//! The index's records: bytes on the disk that a crash may have cut or mixed up.

use super::Bits;
use keepwatch::index::{decode_record, encode_record};
use keepwatch::types::{ContentHash, Fingerprint, Kind, Look, Record, WallMs};

/// Any bytes: as a record on the disk, and as a file of which one is made.
pub fn check(data: &[u8]) {
    if let Some(record) = decode_record(data) {
        comes_back(&record);
    }
    // Most bytes fail at the first; what lies behind it is asked as well.
    if let Some(record) = decode_record(&[&[1], data].concat()) {
        comes_back(&record);
    }
    comes_back(&made_of(&mut Bits(data)));
}

fn comes_back(record: &Record) {
    let bytes = encode_record(record);
    assert_eq!(decode_record(&bytes).as_ref(), Some(record));
    // A record that is cut, or has something after it, is none.
    assert_eq!(decode_record(&bytes[..bytes.len() - 1]), None);
    assert_eq!(decode_record(&[&bytes[..], b"x"].concat()), None);
}

fn made_of(bits: &mut Bits<'_>) -> Record {
    let kinds = [Kind::File, Kind::Symlink, Kind::Folder, Kind::Special];
    let size_bytes = bits.number();
    Record {
        fingerprint: Fingerprint {
            kind: kinds[usize::from(bits.byte() % 4)],
            size_bytes,
            mtime_ns: i128::from(bits.number().cast_signed())
                * if bits.flag() { 1_000_000_000 } else { 1 },
            ctime_ns: bits.number().cast_signed(),
            inode: bits.number(),
            mode: bits.number() as u32,
            owner: bits
                .flag()
                .then(|| (bits.number() as u32, bits.number() as u32)),
        },
        content: bits.flag().then(|| ContentHash::of(&bits.bytes())),
        version_id: keepwatch::types::VersionId::new(bits.text()),
        etag: bits.text().into(),
        stored_bytes: if bits.flag() {
            size_bytes
        } else {
            bits.number()
        },
        stored_at_ms: WallMs(bits.number().cast_signed()),
        racy: bits.flag(),
        look: [Look::Unknown, Look::Plain, Look::Noise][usize::from(bits.byte() % 3)],
        attributes: bits.flag().then(|| bits.number()),
    }
}
