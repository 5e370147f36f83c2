//! An upload in parts, and how its parts are checked.

use crate::types::{ContentHash, Crc64};
use serde::{Deserialize, Serialize};

/// How the server checks an upload in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proof {
    /// The CRC-64/NVME of the whole object, given when it is completed.
    Whole,
    /// The SHA-256 of each part that is sent. Of copied parts it proves nothing.
    EachPart,
}

/// An upload in parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// S3's id of it.
    pub id: String,
    /// How its bytes are checked.
    pub proof: Proof,
}

/// Checksums of exactly the bytes of one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sums {
    /// SHA-256; needed unless the upload's proof is [`Proof::Whole`].
    pub sha256: Option<ContentHash>,
    /// CRC-64/NVME.
    pub crc64: Crc64,
}

/// What the whole object must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole {
    /// Bytes as stored.
    pub bytes: u64,
    /// CRC-64/NVME of them, where it is known.
    pub crc64: Option<Crc64>,
}

/// A part the server has acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartDone {
    /// 1 to 10,000.
    pub number: i32,
    /// ETag as S3 gave it.
    pub etag: String,
    /// SHA-256 as sent, or as the server says of a part that it copied.
    pub sha256: Option<ContentHash>,
    /// CRC-64/NVME, likewise.
    pub crc64: Option<Crc64>,
}

pub(super) fn sha256_of(header: Option<&str>) -> Option<ContentHash> {
    ContentHash::from_base64(header?)
}

pub(super) fn crc64_of(header: Option<&str>) -> Option<Crc64> {
    Crc64::from_base64(header?)
}
