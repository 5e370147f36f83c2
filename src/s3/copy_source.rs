//! Names the source of a copy, in the way that the server wants it.

use crate::types::{ETag, VersionId};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// What a copy source may carry unescaped (RFC 3986 unreserved, and `/`).
pub(super) const COPY_SOURCE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/');

/// A version of the same bucket that content is copied from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyFrom<'a> {
    /// Full key.
    pub key: &'a str,
    /// The version; the newest when none (the bucket is not versioned).
    pub version_id: Option<&'a VersionId>,
    /// Copied only while it has this ETag; not checked when empty.
    pub etag: &'a ETag,
}

/// How often the server undoes the escapes of a copied part's source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escaped {
    Once,
    Twice,
}

/// How one server wants to be asked for copies, as its answers have shown.
#[derive(Debug, Default)]
pub(super) struct CopyManners {
    /// It refuses to be told what becomes of tags.
    pub(super) refuses_tag_rule: AtomicBool,
    /// Times that it undoes escapes of a part's source; 0 while nobody knows.
    part_source: AtomicU8,
}

impl CopyManners {
    pub(super) fn part_source(&self) -> Option<Escaped> {
        match self.part_source.load(Ordering::Relaxed) {
            1 => Some(Escaped::Once),
            2 => Some(Escaped::Twice),
            _ => None,
        }
    }

    pub(super) fn learn(&self, escaped: Escaped) {
        let times = match escaped {
            Escaped::Once => 1,
            Escaped::Twice => 2,
        };
        self.part_source.store(times, Ordering::Relaxed);
    }
}

impl CopyFrom<'_> {
    pub(super) fn source(&self, bucket: &str, escaped: Escaped) -> String {
        let path = format!("{bucket}/{}", self.key);
        let mut source = utf8_percent_encode(&path, COPY_SOURCE).to_string();
        if escaped == Escaped::Twice {
            source = utf8_percent_encode(&source, COPY_SOURCE).to_string();
        }
        if let Some(version_id) = self.version_id {
            source.push_str("?versionId=");
            source.push_str(version_id);
        }
        source
    }

    pub(super) fn if_match(&self) -> Option<String> {
        (!self.etag.is_empty()).then(|| format!("\"{}\"", self.etag))
    }

    /// No other version can be meant.
    pub(super) fn is_pinned(&self) -> bool {
        self.version_id.is_some_and(VersionId::is_pinned)
    }
}
