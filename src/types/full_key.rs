//! How an object's metadata carries the path that its shortened key does not: as a whole where
//! S3's 2 KB suffice, else the packed rest behind the part that the key has.
//!
//! Pure. The path is believed only after it has led back to the key of the object itself.

use super::meta_bytes::{FULL_KEY_VALUE_BYTES_MAX, KEY_REST_VALUE_BYTES_MAX, to_ascii};
use super::object_key::{BucketKey, RelKey, shortened_begin};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use std::io::{Read as _, Write as _};

/// The longest rest that is unpacked: a path of 32 KiB, beyond which no folder is
/// walked into, each byte escaped. Anybody can write metadata that unpacks to more.
const REST_BYTES_MAX: u64 = 3 * 32 * 1024;

/// The path of an object whose key is shortened, as its metadata says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FullKey {
    /// The path in key form.
    Whole(String),
    /// The path in key form after what the object's key has of it, up to the mark.
    Rest(String),
}

/// A path that neither its key nor the object's metadata can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "its path is too long for S3: behind what the object's key can hold of it, the rest takes {needed_bytes} bytes of the object's metadata even when packed, and S3 leaves {KEY_REST_VALUE_BYTES_MAX} for it"
)]
pub struct PathTooLong {
    /// What the rest would take.
    pub needed_bytes: usize,
}

impl FullKey {
    /// What the metadata of the object of `key` is to say; `None` where its key is
    /// not shortened.
    ///
    /// # Errors
    /// [`PathTooLong`] when it does not fit.
    pub fn of(key: &RelKey, prefix: &str, object: &BucketKey) -> Result<Option<Self>, PathTooLong> {
        if !object.shortened {
            return Ok(None);
        }
        let full = key.as_str();
        if to_ascii(full).len() <= FULL_KEY_VALUE_BYTES_MAX {
            return Ok(Some(Self::Whole(full.to_owned())));
        }
        let begin = object.key.strip_prefix(prefix).map_or("", shortened_begin);
        let rest = full.strip_prefix(begin).unwrap_or(full);
        let needed_bytes = pack(rest).len();
        if needed_bytes > KEY_REST_VALUE_BYTES_MAX {
            return Err(PathTooLong { needed_bytes });
        }
        Ok(Some(Self::Rest(rest.to_owned())))
    }

    /// The path in key form that this claims for the object of this key, which is
    /// without the source's prefix. A claim is no proof.
    pub fn at(&self, key: &str) -> String {
        match self {
            Self::Whole(full) => full.clone(),
            Self::Rest(rest) => format!("{}{rest}", shortened_begin(key)),
        }
    }
}

/// As a header carries it.
pub(crate) fn pack(rest: &str) -> String {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    // Memory takes everything.
    let packed = gzip.write_all(rest.as_bytes()).and_then(|()| gzip.finish());
    BASE64.encode(packed.unwrap_or_default())
}

/// Undo [`pack`]; `None` for what is not of that kind, or too long.
pub(crate) fn unpack(text: &str) -> Option<String> {
    let packed = BASE64.decode(text).ok()?;
    let mut rest = String::new();
    let mut gzip = GzDecoder::new(packed.as_slice()).take(REST_BYTES_MAX + 1);
    gzip.read_to_string(&mut rest).ok()?;
    (rest.len() as u64 <= REST_BYTES_MAX).then_some(rest)
}

/// The key that `full` stands for, if an object of that path has `bucket_key`.
/// The source's own prefix may be longer than the one that is being restored.
pub(crate) fn unshortened(prefix: &str, bucket_key: &str, full: &FullKey) -> Option<RelKey> {
    let within = bucket_key.strip_prefix(prefix)?;
    let ends = within.match_indices('/').map(|(slash, _)| slash + 1);
    std::iter::once(0).chain(ends).find_map(|end| {
        let own_prefix = &bucket_key[..prefix.len() + end];
        let full = full.at(&within[end..]);
        let own = RelKey::parse_full(&full).ok()?;
        let is_its = own.in_bucket(own_prefix).key == bucket_key
            || own.older(own_prefix).as_deref() == Some(bucket_key);
        if !is_its {
            return None;
        }
        RelKey::parse_full(&format!("{}{full}", &within[..end])).ok()
    })
}

#[cfg(test)]
#[path = "full_key_tests.rs"]
mod tests;
