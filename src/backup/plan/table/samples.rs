//! What the rows are made of: files, records, answers.

use super::super::facts::{Answer, Facts, FoundCopy, HeadOfCopy, Policy};
use crate::backup::snapshot::Companion;
use crate::files::ReadAttributes;
use crate::index::Elsewhere;
use crate::s3::{BytesAre, Head};
use crate::transfer::{Content, SMALL_BYTES_MAX};
use crate::types::WallMs;
use crate::types::attributes::Attributes;
use crate::types::{
    Bond, BootMs, ContentHash, Fingerprint, Kind, Look, MetaRefused, ObjectMeta, Parts, Record,
    RelKey, RelPath, VersionId,
};
use bytes::Bytes;
use std::sync::Arc;

/// What is asked about: in words, as facts, and the plan that must come of them.
pub(super) type Row = (&'static str, Facts<'static>, &'static str);

/// Bytes of the file in most rows: enough for a copy to be worth it.
pub(super) const SIZE_BYTES: u64 = 8_192;

pub(super) fn file() -> Fingerprint {
    Fingerprint {
        kind: Kind::File,
        size_bytes: SIZE_BYTES,
        mtime_ns: 1_000,
        ctime_ns: 1_000,
        inode: 7,
        mode: 0o644,
        owner: None,
    }
}

pub(super) fn folder() -> Fingerprint {
    Fingerprint {
        kind: Kind::Folder,
        size_bytes: 0,
        mode: 0o755,
        ..file()
    }
}

pub(super) fn hash(text: &str) -> ContentHash {
    ContentHash::of(text.as_bytes())
}

/// Stored with the content "old".
pub(super) fn record() -> Record {
    Record {
        content: Some(hash("old")),
        version_id: VersionId::new("v1"),
        etag: "e1".into(),
        stored_bytes: SIZE_BYTES,
        stored_at_ms: WallMs(500),
        ..Record::unverified(file())
    }
}

pub(super) fn content(text: &str) -> Content {
    Content {
        fingerprint: file(),
        hash: hash(text),
        seen_at: BootMs(0),
        seen_ms: Some(WallMs(2_000)),
        bytes: Some(Bytes::new()),
        is_torn: false,
        racy: false,
        look: Look::Plain,
        segments: Arc::new([]),
        sparse_bytes: None,
        attributes: ReadAttributes::default(),
    }
}

/// A large file's content is not held in memory.
pub(super) fn large(text: &str) -> Content {
    Content {
        fingerprint: Fingerprint {
            size_bytes: SMALL_BYTES_MAX + 1,
            ..file()
        },
        bytes: None,
        ..content(text)
    }
}

/// With attributes that neither index nor bucket know.
pub(super) fn with_attributes(content: Content) -> Content {
    let mut attributes = Attributes::default();
    attributes.insert("user.color".into(), b"red".to_vec());
    Content {
        attributes: ReadAttributes {
            attributes,
            ..ReadAttributes::default()
        },
        ..content
    }
}

/// What the bucket says of a version with this content, exactly as `file` is.
pub(super) fn head(text: &str) -> Head {
    Head {
        version_id: VersionId::new("v9"),
        etag: "e9".into(),
        stored_bytes: SIZE_BYTES,
        gzip: false,
        meta: Ok(ObjectMeta::of(&file(), Some(hash(text)))),
        bytes_are: BytesAre::default(),
    }
}

pub(super) fn head_with(text: &str, change: impl FnOnce(&mut Head, &mut ObjectMeta)) -> Head {
    let mut head = head(text);
    let mut meta = head.meta.clone().unwrap();
    change(&mut head, &mut meta);
    Head {
        meta: Ok(meta),
        ..head
    }
}

pub(super) fn foreign() -> Head {
    Head {
        meta: Err(MetaRefused::Foreign),
        ..head("old")
    }
}

pub(super) fn found(version_id: &str) -> FoundCopy {
    FoundCopy {
        entry: Elsewhere {
            key: RelKey::parse_full("elsewhere").unwrap(),
            version_id: VersionId::new(version_id),
            etag: "e5".into(),
            stored_bytes: SIZE_BYTES,
            is_live: true,
        },
        part_layout: None,
    }
}

pub(super) fn layout() -> Parts {
    Parts {
        version_id: VersionId::new("v1"),
        etag: "e1".into(),
        gzip: false,
        segments: Vec::new(),
    }
}

/// A journal beside the file, which differs from what was stored of it.
pub(super) fn changed_companion() -> Companion {
    Companion {
        path: RelPath::from_bytes("f-journal").unwrap(),
        bond: Bond::State,
        disk: Some(file()),
        record: None,
    }
}

/// A compared source in a bucket that keeps versions.
pub(super) fn policy() -> Policy {
    Policy {
        marks_deletions: true,
        keeps_versions: true,
        is_compared: true,
        may_copy: true,
        forgives_owner: false,
    }
}

/// An existing file, as `record` says it was stored.
pub(super) fn existing(record: Option<Record>) -> Facts<'static> {
    Facts {
        disk: Some(file()),
        record,
        policy: policy(),
        ..Facts::default()
    }
}

/// The same after it was read.
pub(super) fn read(record: Option<Record>, content: Content) -> Facts<'static> {
    existing(record).and(Answer::Content(Some(Box::new(content))))
}

/// An object that is gone.
pub(super) fn gone(record: Option<Record>) -> Facts<'static> {
    Facts {
        record,
        policy: policy(),
        ..Facts::default()
    }
}

impl Facts<'static> {
    pub(super) fn and(mut self, answer: Answer) -> Self {
        self.learn(answer);
        self
    }

    pub(super) fn and_head(self, head: Option<Head>) -> Self {
        self.and(Answer::Head(head.map(Box::new)))
    }

    pub(super) fn and_found(self, version_id: &str) -> Self {
        self.and(Answer::ContentLookup(Some(Box::new(found(version_id)))))
    }

    pub(super) fn and_head_of_copy(self, head: Head) -> Self {
        self.and(Answer::HeadOfCopy(HeadOfCopy::There(Box::new(head))))
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// The bucket has the content nowhere else.
    pub(super) fn and_nowhere_else(self) -> Self {
        self.and(Answer::ContentLookup(None))
    }
}
