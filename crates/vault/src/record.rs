//! What the vault records of one version, and the format of a log's line.
//!
//! A line is `+` or `-`, eight hex digits of CRC-32, a space, JSON, a newline.
//! The first byte alone says whether the version is still there, so that
//! removing one is a single byte on the disk. The CRC does not cover it.
//! Fields may be added with a default; none may change its meaning.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The longest line that is believed; longer ones are damage.
pub(super) const LINE_BYTES_MAX: usize = 1 << 20;

/// The version id of what was stored while versioning was not enabled.
pub(super) const NULL_ID: &str = "null";

const LIVE: u8 = b'+';
pub(super) const DEAD: u8 = b'-';

/// One line of a key's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Entry {
    /// The first line: the full key, which the file's name may only hash.
    Head { key: String },
    /// A version.
    Version(Box<Version>),
}

/// One version of a key: an object or a delete marker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) id: String,
    /// Milliseconds since 1970.
    pub(super) modified_ms: i64,
    /// Absent for a delete marker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) object: Option<Object>,
}

/// What is known of an object's bytes and headers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Object {
    /// The name of the body beneath `bodies/`, unique for each version.
    pub(super) body: String,
    pub(super) size: u64,
    /// The body's own modification time, which shows a change by hand.
    pub(super) mtime_ns: i64,
    /// MD5 of the stored bytes in hex, whatever the ETag is.
    pub(super) md5: String,
    pub(super) etag: String,
    #[serde(default, skip_serializing_if = "Sums::is_empty")]
    pub(super) sums: Sums,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) headers: BTreeMap<Header, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) metadata: BTreeMap<String, String>,
    /// For multipart objects: sizes of the parts as runs of (size, how many).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) parts: Vec<(u64, u32)>,
    /// The upload it came from, so that a repeated completion is recognised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) upload: Option<String>,
}

/// The system headers that are kept and given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub(super) enum Header {
    CacheControl,
    ContentDisposition,
    ContentEncoding,
    ContentLanguage,
    ContentType,
    /// As an HTTP date.
    Expires,
    StorageClass,
    WebsiteRedirectLocation,
}

/// The checksums that the client gave or asked for, in base64.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Sums {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) crc32: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) crc32c: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) crc64nvme: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sha1: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sha256: Option<String>,
    /// True when these are checksums of the parts' checksums.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_composite: bool,
}

impl Sums {
    pub(super) fn is_empty(&self) -> bool {
        self == &Self::default()
    }
}

impl Object {
    /// Where part `number` (from 1) begins and ends; for an object that was
    /// not uploaded in parts, part 1 is the whole.
    pub(super) fn part(&self, number: i32) -> Option<std::ops::Range<u64>> {
        let mut left = u64::try_from(number).ok()?.checked_sub(1)?;
        if self.parts.is_empty() {
            return (left == 0).then_some(0..self.size);
        }
        let mut start = 0;
        for &(size, count) in &self.parts {
            if left < u64::from(count) {
                start += left * size;
                return Some(start..start + size);
            }
            left -= u64::from(count);
            start += size * u64::from(count);
        }
        None
    }

    /// How many parts it was uploaded in; `None` for a single PUT.
    pub(super) fn parts_count(&self) -> Option<i32> {
        let count: u64 = self.parts.iter().map(|&(_, n)| u64::from(n)).sum();
        i32::try_from(count).ok().filter(|&n| n > 0)
    }
}

/// Sizes of parts as runs, the way [`Object::parts`] keeps them.
pub(super) fn runs(sizes: impl IntoIterator<Item = u64>) -> Vec<(u64, u32)> {
    let mut runs: Vec<(u64, u32)> = Vec::new();
    for size in sizes {
        match runs.last_mut() {
            Some((last, count)) if *last == size => *count += 1,
            _ => runs.push((size, 1)),
        }
    }
    runs
}

/// A value as a live line.
pub(super) fn to_line<T: Serialize>(value: &T) -> std::io::Result<Vec<u8>> {
    let json = serde_json::to_vec(value)?;
    let mut line = Vec::with_capacity(json.len() + 12);
    line.push(LIVE);
    line.extend_from_slice(format!("{:08x} ", crc32fast::hash(&json)).as_bytes());
    line.extend_from_slice(&json);
    line.push(b'\n');
    if line.len() > LINE_BYTES_MAX {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    Ok(line)
}

/// A line without its newline: is it live, and what does it say? `None` for damage.
pub(super) fn from_line<T: for<'de> Deserialize<'de>>(line: &[u8]) -> Option<(bool, T)> {
    let (head, json) = (line.get(..10)?, line.get(10..)?);
    let is_live = match head[0] {
        LIVE => true,
        DEAD => false,
        _ => return None,
    };
    let crc = u32::from_str_radix(std::str::from_utf8(&head[1..9]).ok()?, 16).ok()?;
    if head[9] != b' ' || crc != crc32fast::hash(json) {
        return None;
    }
    Some((is_live, serde_json::from_slice(json).ok()?))
}

/// One version found in a log.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    pub(super) offset: u64,
    pub(super) is_live: bool,
    pub(super) version: Version,
}

/// The version in the line that begins at `offset`; `None` for damage and for the
/// first line.
pub(super) fn found(offset: u64, line: &[u8]) -> Option<Found> {
    match from_line(line)? {
        (is_live, Entry::Version(version)) => Some(Found {
            offset,
            is_live,
            version: *version,
        }),
        (_, Entry::Head { .. }) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_back_and_any_damage_is_seen() {
        let entry = Entry::Version(Box::new(Version {
            id: "7".to_owned(),
            modified_ms: 5,
            object: Some(Object {
                metadata: [("k".to_owned(), "Büro".to_owned())].into(),
                headers: [(Header::ContentType, "text/csv".to_owned())].into(),
                ..Object::default()
            }),
        }));
        let line = to_line(&entry).unwrap();
        let body = &line[..line.len() - 1];
        assert_eq!(from_line(body), Some((true, entry.clone())));
        for at in 0..body.len() {
            let mut damaged = body.to_vec();
            damaged[at] ^= 0x10;
            assert_eq!(from_line::<Entry>(&damaged), None, "byte {at}");
            assert_eq!(from_line::<Entry>(&body[..at]), None, "cut at {at}");
        }
        let mut dead = body.to_vec();
        dead[0] = DEAD;
        assert_eq!(from_line(&dead), Some((false, entry)));
    }

    #[test]
    fn parts_are_found_in_their_runs() {
        let object = Object {
            size: 25,
            parts: runs([10, 10, 5]),
            ..Object::default()
        };
        assert_eq!(object.parts, [(10, 2), (5, 1)]);
        assert_eq!(object.parts_count(), Some(3));
        for (number, range) in [
            (1, Some(0..10)),
            (2, Some(10..20)),
            (3, Some(20..25)),
            (4, None),
            (0, None),
            (-1, None),
        ] {
            assert_eq!(object.part(number), range, "{number}");
        }
        assert_eq!(
            Object {
                size: 3,
                ..Object::default()
            }
            .part(1),
            Some(0..3)
        );
    }
}
