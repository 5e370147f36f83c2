//! What a large object consists of, so that its next version need not be uploaded as a whole:
//! segments that are cut where the content says so, each with its checksums.

use super::content_hash::ContentHash;
use super::version::{ETag, VersionId, id_or_empty};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crc_fast::{CrcAlgorithm, Digest};
use serde::{Deserialize, Serialize};

/// CRC-64/NVME, S3's checksum of a whole object in parts: that of two pieces
/// together follows from those of each, without reading them again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Crc64(pub u64);

impl Crc64 {
    /// Of a whole buffer. Tens of times as fast as SHA-256.
    pub fn of(bytes: &[u8]) -> Self {
        Self(crc_fast::checksum(CrcAlgorithm::Crc64Nvme, bytes))
    }

    /// Of these bytes followed by `more_bytes` others whose checksum is `more`.
    #[must_use]
    pub fn then(self, more: Self, more_bytes: u64) -> Self {
        // A checksum is the remainder of a polynomial, and to append bytes is to
        // multiply by a power of x. `crc_fast` can do this, too, in a tenth of a
        // millisecond: seconds for the segments of a very large file.
        let mut shifted = self.0;
        for (bit, power) in BYTE_POWERS.iter().enumerate() {
            if more_bytes >> bit & 1 == 1 {
                shifted = times(shifted, *power);
            }
        }
        Self(shifted ^ more.0)
    }

    /// Base64 of the big-endian number, as S3's checksum headers have it.
    pub fn to_base64(self) -> String {
        BASE64.encode(self.0.to_be_bytes())
    }

    /// Read back [`Crc64::to_base64`]; `None` for anything else.
    pub fn from_base64(text: &str) -> Option<Self> {
        let bytes = BASE64.decode(text).ok()?;
        Some(Self(u64::from_be_bytes(bytes.try_into().ok()?)))
    }
}

/// The polynomial of CRC-64/NVME, its highest power in the lowest bit.
const POLYNOMIAL: u64 = 0x9a6c_9329_ac4b_c9b5;

/// x to the power of 8, 16, 32 and so on: what so many bytes multiply by.
static BYTE_POWERS: [u64; 64] = {
    let mut powers = [0; 64];
    // x^8: the bits run from the highest (1) downwards.
    let (mut power, mut at) = (1u64 << (63 - 8), 0);
    while at < powers.len() {
        powers[at] = power;
        power = times(power, power);
        at += 1;
    }
    powers
};

/// The product of two polynomials, modulo [`POLYNOMIAL`].
const fn times(one: u64, mut other: u64) -> u64 {
    let (mut product, mut bit) = (0, 1u64 << 63);
    while bit != 0 {
        if one & bit != 0 {
            product ^= other;
        }
        let carry = if other & 1 == 1 { POLYNOMIAL } else { 0 };
        other = other >> 1 ^ carry;
        bit >>= 1;
    }
    product
}

/// A [`Crc64`] that is fed piece by piece.
#[derive(Debug, Clone)]
pub struct Crc64Hasher(Digest);

impl Default for Crc64Hasher {
    fn default() -> Self {
        Self(Digest::new(CrcAlgorithm::Crc64Nvme))
    }
}

impl Crc64Hasher {
    /// Feed the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all bytes fed so far.
    pub fn finish(self) -> Crc64 {
        Crc64(self.0.finalize())
    }
}

/// A stretch of a file, and what it became in the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Bytes of the file.
    pub raw_bytes: u64,
    /// Bytes in the object: the same, or those of one gzip member.
    pub stored_bytes: u64,
    /// Hash of the file's bytes.
    pub sha256: ContentHash,
    /// Checksum of the object's bytes.
    pub crc64: Crc64,
}

/// What one version of a large object is made of, first to last, without gaps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// The version; believed only while the record names the same.
    #[serde(with = "id_or_empty")]
    pub version_id: Option<VersionId>,
    /// Its ETag, without quotes.
    pub etag: ETag,
    /// Every segment is a gzip member.
    pub gzip: bool,
    /// The segments.
    pub segments: Vec<Segment>,
}

impl Parts {
    /// They are of the version with this id and ETag.
    pub fn are_of(&self, version_id: Option<&VersionId>, etag: &ETag) -> bool {
        self.version_id.as_ref() == version_id && self.etag == *etag
    }
}

/// Segments of one object at most: the index keeps some 45 bytes of each, and
/// S3 takes no more parts (Amazon S3 User Guide, "Multipart upload limits").
pub const SEGMENTS_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_of_pieces_make_that_of_the_whole() {
        // The check value of CRC-64/NVME (CRC catalogue).
        assert_eq!(Crc64::of(b"123456789"), Crc64(0xae8b_1486_0a79_9888));
        let all = b"the whole of it";
        for cut in 0..=all.len() {
            let (one, two) = all.split_at(cut);
            let both = Crc64::of(one).then(Crc64::of(two), two.len() as u64);
            assert_eq!(both, Crc64::of(all), "{cut}");
            let mut hasher = Crc64Hasher::default();
            hasher.update(one);
            hasher.update(two);
            assert_eq!(hasher.finish(), both);
        }
        assert_eq!(Crc64::default(), Crc64::of(b""));
        for bytes in [1, 5 << 20, u64::from(u32::MAX), 5 << 40, u64::MAX] {
            let (one, two) = (Crc64(0x0123_4567_89ab_cdef), Crc64(77));
            let want = crc_fast::checksum_combine(CrcAlgorithm::Crc64Nvme, one.0, two.0, bytes);
            assert_eq!(one.then(two, bytes), Crc64(want), "{bytes}");
        }
    }

    #[test]
    fn base64_and_back() {
        let crc = Crc64::of(b"x");
        assert_eq!(Crc64::from_base64(&crc.to_base64()), Some(crc));
        for bad in ["", "AAAA", "not base64!", "AAAAAAAAAAAAAA=="] {
            assert_eq!(Crc64::from_base64(bad), None, "{bad}");
        }
    }
}
