//! Object metadata: what a bucket says of a file.

use super::Bits;
use keepwatch::types::{
    Attributes, Carried, ContentHash, FULL_KEY_VALUE_BYTES_MAX, FullKey, Kind, META_BYTES_MAX,
    ObjectMeta, sent_bytes,
};

/// Any bytes: as lines `name: value` that somebody else wrote, and as a file
/// of which the metadata is made.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let fields = text.lines().filter_map(|line| line.split_once(": "));
    if let Ok(meta) = ObjectMeta::from_headers(fields) {
        assert_ne!(meta.kind, Kind::Special);
        comes_back(&meta);
    }
    comes_back(&made_of(&mut Bits(data)));
}

fn made_of(bits: &mut Bits<'_>) -> ObjectMeta {
    let is_torn = bits.flag();
    ObjectMeta {
        kind: [Kind::File, Kind::Symlink, Kind::Folder][usize::from(bits.byte() % 3)],
        content: (!is_torn || bits.flag()).then(|| ContentHash::of(&bits.bytes())),
        // S3 knows no larger objects, nor does a file system.
        size_bytes: bits.number() >> 1,
        mtime_ns: i128::from(bits.number().cast_signed())
            * if bits.flag() { 1_000_000_000 } else { 1 },
        mode: u32::try_from(bits.number() & 0o7777).unwrap(),
        owner: bits.flag().then(|| {
            let id = bits.number();
            ((id >> 32) as u32, id as u32)
        }),
        symlink_target: bits.flag().then(|| bits.bytes()),
        is_torn,
        full_key: bits.flag().then(|| FullKey::Whole(bits.text())),
        seen_ms: bits.flag().then(|| bits.number().cast_signed()),
        beside: bits.flag().then(|| ContentHash::of(&bits.bytes())),
        sparse_bytes: bits.flag().then(|| bits.number()),
        attributes: match bits.byte() % 3 {
            0 => Carried::Nothing,
            1 => Carried::Apart(ContentHash::of(&bits.bytes())),
            _ => {
                let mut attributes = Attributes::default();
                attributes.insert(bits.text(), bits.bytes());
                Carried::Here(attributes)
            }
        },
    }
}

/// Written and read again it is the same; and headers carry it.
fn comes_back(meta: &ObjectMeta) {
    let headers = meta.to_headers();
    for (name, value) in &headers {
        assert!(
            value.bytes().all(|b| b.is_ascii_graphic()),
            "{name}: {value:?}"
        );
    }
    let bytes = sent_bytes(&headers);
    let has_room = headers
        .get("kw-key")
        .or(headers.get("kw-key-rest"))
        .is_none_or(|key| key.len() <= FULL_KEY_VALUE_BYTES_MAX);
    assert!(!has_room || bytes <= META_BYTES_MAX, "{bytes}");
    let again = ObjectMeta::from_headers(headers.iter().map(|(n, v)| (n.as_str(), v.as_str())));
    let mut want = meta.clone();
    if !headers.contains_key("kw-symlink-target") {
        // Too long to be repeated: the body has it.
        want.symlink_target = None;
    }
    if !headers.contains_key("kw-owner") {
        want.owner = None;
    }
    if !headers.contains_key("kw-sparse-bytes") {
        want.sparse_bytes = None;
    }
    if !meta.has_room_for_attributes() {
        want.attributes = Carried::Nothing;
    }
    assert_eq!(again.as_ref(), Ok(&want));
}
