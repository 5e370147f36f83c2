//! ETags and version ids in as few bytes as their text allows.
//!
//! Every text comes back exactly as it was: what is of no known form is kept as
//! it is. It must never change what an existing form means.

use super::bytes::{ByteReader, put_number};

/// How a text is packed. Four bits each; ETag low, version id high.
mod form {
    pub(super) const EMPTY: u8 = 0;
    pub(super) const TEXT: u8 = 1;
    /// Lower-case hex, any even number of digits.
    pub(super) const HEX: u8 = 2;
    /// 32 hex digits, `-`, a number: a multipart ETag.
    pub(super) const MD5_PARTS: u8 = 3;
    /// Lower-case UUID with dashes.
    pub(super) const UUID: u8 = 4;
    /// Six bits a character; the alphabet is `ALPHABETS[form - SIX_BITS]`.
    pub(super) const SIX_BITS: u8 = 5;
}

/// The last two characters after `A-Z a-z 0-9`: AWS's version ids, base64url, base64.
const ALPHABETS: [[u8; 2]; 3] = [*b"._", *b"-_", *b"+/"];

/// The shortest known form of an ETag or a version id.
pub(super) fn pack(text: &str) -> (u8, Vec<u8>) {
    if text.is_empty() {
        return (form::EMPTY, Vec::new());
    }
    let mut out = Vec::with_capacity(text.len());
    if let Some(bytes) = lower_hex(text) {
        put_number(&mut out, bytes.len() as u64);
        out.extend(bytes);
        return (form::HEX, out);
    }
    if let Some((md5, parts)) = text.split_once('-')
        && md5.len() == 32
        && let (Some(bytes), Ok(count)) = (lower_hex(md5), parts.parse::<u32>())
        && count.to_string() == parts
    {
        out.extend(bytes);
        put_number(&mut out, u64::from(count));
        return (form::MD5_PARTS, out);
    }
    let groups: Vec<&str> = text.split('-').collect();
    if groups.iter().map(|g| g.len()).eq([8, 4, 4, 4, 12])
        && let Some(bytes) = lower_hex(&groups.concat())
    {
        return (form::UUID, bytes);
    }
    for (at, last_two) in (0u8..).zip(&ALPHABETS) {
        if let Some(bits) = six_bits(text, last_two) {
            put_number(&mut out, text.len() as u64);
            out.extend(bits);
            return (form::SIX_BITS + at, out);
        }
    }
    put_number(&mut out, text.len() as u64);
    out.extend(text.as_bytes());
    (form::TEXT, out)
}

/// Read [`pack`] back; `None` at broken bytes.
pub(super) fn unpack(form: u8, from: &mut ByteReader) -> Option<String> {
    match form {
        form::EMPTY => Some(String::new()),
        form::TEXT => {
            let count = from.count()?;
            String::from_utf8(from.bytes(count)?.to_vec()).ok()
        }
        form::HEX => {
            let count = from.count()?;
            from.bytes(count).map(hex::encode)
        }
        form::MD5_PARTS => {
            let md5 = hex::encode(from.bytes(16)?);
            Some(format!("{md5}-{}", from.number()?))
        }
        form::UUID => {
            let mut text = hex::encode(from.bytes(16)?);
            for at in [20, 16, 12, 8] {
                text.insert(at, '-');
            }
            Some(text)
        }
        _ => {
            let last_two = ALPHABETS.get(usize::from(form - form::SIX_BITS))?;
            let count = from.count()?;
            let packed = from.bytes(count.checked_mul(6)?.div_ceil(8))?;
            Some(from_six_bits(packed, count, last_two))
        }
    }
}

fn lower_hex(text: &str) -> Option<Vec<u8>> {
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    hex::decode(text).ok()
}

fn six_bits(text: &str, last_two: &[u8; 2]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4 + 1);
    let (mut pending, mut bits) = (0u32, 0);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            _ if byte == last_two[0] => 62,
            _ if byte == last_two[1] => 63,
            _ => return None,
        };
        pending = pending << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((pending >> bits) as u8);
        }
    }
    if bits > 0 {
        out.push((pending << (8 - bits)) as u8);
    }
    Some(out)
}

fn from_six_bits(packed: &[u8], count: usize, last_two: &[u8; 2]) -> String {
    let value_at = |at: usize| {
        let bit = at * 6;
        let two = u16::from(packed[bit / 8]) << 8
            | u16::from(packed.get(bit / 8 + 1).copied().unwrap_or(0));
        (two >> (10 - bit % 8)) as u8 & 0x3f
    };
    (0..count)
        .map(|at| {
            char::from(match value_at(at) {
                value @ 0..26 => b'A' + value,
                value @ 26..52 => b'a' + value - 26,
                value @ 52..62 => b'0' + value - 52,
                62 => last_two[0],
                _ => last_two[1],
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_packed_and_come_back() {
        for (text, bytes_max) in [
            ("", 0),
            ("null", 4),
            ("9b2cf535f27731c974343645a3985328", 17),
            ("9b2cf535f27731c974343645a3985328-12", 17),
            ("9b2cf535f27731c974343645a3985328-012", 37),
            ("9B2CF535F27731C974343645A3985328", 25),
            ("f81d4fae-7dec-11d0-a765-00a0c91e6bf6", 16),
            ("PHtexPGjH2y.zBgT8LmB7wwLI2mpbz.k", 25),
            ("aZ-_", 4),
            ("aZ+/", 4),
            ("a", 2),
            ("ü \"W/", 10),
        ] {
            let (form, packed) = pack(text);
            assert!(packed.len() <= bytes_max, "{text}: {}", packed.len());
            assert_eq!(
                unpack(form, &mut ByteReader(&packed)).as_deref(),
                Some(text),
                "{form}"
            );
        }
    }
}
