//! How a file's attributes get into the bucket: in its object's metadata, or, where they
//! do not fit there, in an object of their own that files with the same attributes share.
//!
//! Invariants: that object is in the bucket before any object that names it; attributes
//! that are lost are told of, with path and reason.

use super::object::Object;
use crate::s3::{At, ObjectHeaders, Precondition};
use crate::transfer::Content;
use crate::types::{
    Carried, Class, ContentHash, Fault, Fingerprint, Kind, ObjectMeta, RelPath, attributes,
};
use bytes::Bytes;

/// Paths of which `status` says at a time that attributes are lost; each is in the log.
const PATHS_TOLD_MAX: usize = 20;

/// The topic of such a note in the status, before the path.
const TOPIC: &str = "attributes of ";

/// The same of alternate data streams.
const STREAMS: &str = "streams of ";

/// Where the attributes go.
#[derive(Debug, PartialEq, Eq)]
enum Placement {
    /// Into the object's own metadata, which may have nothing to say of them.
    Here(Carried),
    /// Into an object of their own, with this text.
    Apart(String, ContentHash),
    /// Nowhere, for this reason.
    Lost(String),
}

/// The metadata with those attributes is not too long.
fn has_room(meta: &ObjectMeta, carried: &Carried) -> bool {
    let with = || ObjectMeta {
        attributes: carried.clone(),
        ..meta.clone()
    };
    *carried == Carried::Nothing || with().has_room_for_attributes()
}

/// Where the content's attributes go; `meta` is the rest of the metadata.
fn placement(content: &Content, meta: &ObjectMeta) -> Placement {
    if let Some(why) = &content.attributes.lost {
        return Placement::Lost(why.clone());
    }
    let kept = &content.attributes.attributes;
    let here = Carried::here(kept);
    if has_room(meta, &here) {
        return Placement::Here(here);
    }
    let text = kept.to_text();
    let hash = ContentHash::of(text.as_bytes());
    if has_room(meta, &Carried::Apart(hash)) {
        return Placement::Apart(text, hash);
    }
    let why = "its long path leaves no room for them in the object's metadata";
    Placement::Lost(why.to_owned())
}

impl Object<'_> {
    /// Settle how the object carries the content's attributes, and have the bucket hold
    /// them where they go apart.
    pub(crate) async fn place_attributes(&self, content: &Content) -> Result<Carried, Fault> {
        let (carried, lost) = match placement(content, &self.meta(content)) {
            Placement::Here(carried) => (carried, None),
            Placement::Lost(why) => (Carried::Nothing, Some(why)),
            Placement::Apart(text, hash) => match self.store_apart(text, hash).await {
                Ok(()) => (Carried::Apart(hash), None),
                // A policy may forbid that key: the file is stored all the same.
                Err(fault) if is_of_the_place(&fault) => {
                    (Carried::Nothing, Some(fault.to_string()))
                }
                Err(fault) => return Err(fault),
            },
        };
        let path = &self.item.path;
        let text = lost.map(|why| {
            format!("{path} is backed up without its attributes and access control lists: {why}")
        });
        self.tell_lost(TOPIC, text);
        self.tell_lost(STREAMS, streams_text(path, &content.attributes.streams));
        Ok(carried)
    }

    /// Have the bucket hold the text under its own hash.
    async fn store_apart(&self, text: String, hash: ContentHash) -> Result<(), Fault> {
        let settings = &self.source.config;
        let key = attributes::key(&settings.prefix, &hash);
        let at = At {
            bucket: &settings.bucket,
            key: &key,
        };
        let existing = self.executor.store.head(at, None).await?;
        if existing.is_some_and(|head| head.holds(Kind::File, &hash)) {
            return Ok(());
        }
        let file = Fingerprint {
            kind: Kind::File,
            size_bytes: text.len() as u64,
            mtime_ns: i128::from(self.executor.clock.server_now_ms().0) * 1_000_000,
            mode: 0o600,
            ..Fingerprint::UNSEEN
        };
        let headers = ObjectHeaders {
            meta: ObjectMeta::of(&file, Some(hash)),
            gzip: false,
            content_type: Some("text/plain"),
        };
        let body = Bytes::from(text);
        let written = self
            .executor
            .store
            .write_record(at, body, &headers, Precondition::Always);
        written.await.map(drop)
    }

    /// Say, or say no more, what of the path is not kept.
    fn tell_lost(&self, topics: &str, text: Option<String>) {
        let status = &self.source.status;
        let topic = format!("{topics}{}", self.item.path);
        let Some(text) = text else {
            status.note(&topic, None);
            return;
        };
        let told = Some(status.snapshot()).map_or(0, |board| {
            let others = board.notes.keys().filter(|other| **other != topic);
            others.filter(|other| other.starts_with(topics)).count()
        });
        if told >= PATHS_TOLD_MAX || status.note(&topic, Some(text.clone())) {
            tracing::warn!("{text}");
        }
    }
}

/// What is said of alternate data streams; `None` where there are none.
fn streams_text(path: &RelPath, streams: &[String]) -> Option<String> {
    let names: Vec<String> = streams.iter().map(|name| format!("`{name}`")).collect();
    let what = match names.len() {
        0 => return None,
        1 => "alternate data stream",
        _ => "alternate data streams",
    };
    Some(format!(
        "{path} is backed up without its {what} {}: only the content that programs show is kept",
        names.join(", ")
    ))
}

/// The bucket takes files, but not this object.
fn is_of_the_place(fault: &Fault) -> bool {
    matches!(
        fault.class,
        Class::Denied | Class::Refused | Class::Unstorable
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_that_are_not_kept_are_named() {
        let path = RelPath::from_bytes("a/b.docx").unwrap();
        assert_eq!(streams_text(&path, &[]), None);
        let text = streams_text(&path, &["notes".to_owned()]).unwrap();
        assert!(
            text.starts_with("a/b.docx is") && text.contains("stream `notes`:"),
            "{text}"
        );
        let text = streams_text(&path, &["a".to_owned(), "b".to_owned()]).unwrap();
        assert!(text.contains("streams `a`, `b`:"), "{text}");
    }
}
