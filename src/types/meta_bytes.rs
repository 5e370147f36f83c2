//! How many bytes of metadata S3 takes, who gets which of them, and text in the ASCII
//! that headers carry.

use super::byte_escape;
use std::collections::BTreeMap;

/// User metadata that S3 takes: names and values together (Amazon S3 User Guide,
/// "Working with object metadata").
pub const META_BYTES_MAX: usize = 2_048;

/// What S3's own clients send before each name. Nobody says whether it counts.
const S3_NAME_PREFIX_BYTES: usize = "x-amz-meta-".len();

/// All fields at their longest, save the path, the owner and a link's target.
const OTHER_FIELDS_BYTES_MAX: usize = 389;

/// The owner at its longest.
const OWNER_BYTES_MAX: usize = 40;

/// What is left for the path of an object whose key is shortened, beside the owner.
pub const FULL_KEY_VALUE_BYTES_MAX: usize = META_BYTES_MAX
    - OTHER_FIELDS_BYTES_MAX
    - OWNER_BYTES_MAX
    - S3_NAME_PREFIX_BYTES
    - "kw-key".len();

/// What is left for the packed rest of a path, where need be in the owner's place:
/// a file without its owner is better than none.
pub(crate) const KEY_REST_VALUE_BYTES_MAX: usize =
    META_BYTES_MAX - OTHER_FIELDS_BYTES_MAX - S3_NAME_PREFIX_BYTES - "kw-key-rest".len();

/// What S3 counts of one header, at most.
pub(super) fn field_bytes(name: &str, value: &str) -> usize {
    S3_NAME_PREFIX_BYTES + name.len() + value.len()
}

/// What S3 counts of these headers, at most.
pub fn sent_bytes(headers: &BTreeMap<String, String>) -> usize {
    headers
        .iter()
        .map(|(name, value)| field_bytes(name, value))
        .sum()
}

/// Headers carry ASCII: what is beyond it, and `=` itself, becomes `=XX` for
/// each byte. A layer over the key's own `%` escapes, so that both undo cleanly.
pub(crate) fn to_ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        // Spaces at the ends of a header are trimmed on the way: escape them all.
        if byte.is_ascii_graphic() && byte != b'=' {
            out.push(char::from(byte));
        } else {
            byte_escape::push(&mut out, '=', byte);
        }
    }
    out
}

/// Undoes [`to_ascii`]; what is no escape stays as it is.
pub(super) fn from_ascii(text: &str) -> String {
    String::from_utf8_lossy(&byte_escape::undone(text, b'=')).into_owned()
}
