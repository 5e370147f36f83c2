//! What an object is written with, besides its bytes.

use crate::types::{ContentHash, ObjectMeta};
use std::collections::HashMap;

/// How an object is written, besides its bytes.
#[derive(Debug, Clone)]
pub struct ObjectHeaders {
    /// What the object says about the file.
    pub meta: ObjectMeta,
    /// True when the body is gzip; sets `Content-Encoding`.
    pub gzip: bool,
    /// MIME type; S3's default when absent.
    pub content_type: Option<&'static str>,
}

pub(super) fn metadata(headers: &ObjectHeaders) -> HashMap<String, String> {
    headers.meta.to_headers().into_iter().collect()
}

pub(super) fn sha256_header(hash: ContentHash) -> String {
    hash.to_base64()
}
