//! How a file's attributes get into the bucket: in its object's metadata, or, where
//! they do not fit there, in an object of their own that all files with the same
//! attributes share.
//!
//! Invariants: that object is in the bucket before any that names it; attributes that
//! are not kept are told, with the path and the reason.

use super::file::Upload;
use crate::s3::{At, Demand, ObjectHeaders};
use crate::transfer::Content;
use crate::types::{Carried, Class, ContentHash, Fault, Fingerprint, Kind, ObjectMeta, attributes};
use bytes::Bytes;

/// Paths that are told at a time; each is in the log.
const TOLD_MAX: usize = 20;

/// What `told` of one path is called on the board, before the path.
const TOPIC: &str = "attributes of ";

impl Upload<'_> {
    /// Settle how the object will carry the content's attributes.
    pub(crate) async fn carry(&self, content: &Content) -> Result<(), Fault> {
        let kept = &content.attributes;
        let (carried, lost) = match &kept.lost {
            Some(why) => (Carried::Nothing, Some(why.clone())),
            None => self.carried_of(content).await?,
        };
        self.tell_lost(lost.as_deref());
        // Settled once; another try makes another upload.
        let _ = self.carried.set(carried);
        Ok(())
    }

    async fn carried_of(&self, content: &Content) -> Result<(Carried, Option<String>), Fault> {
        let kept = &content.attributes.attributes;
        let here = Carried::here(kept);
        if self.has_room(content, &here) {
            return Ok((here, None));
        }
        let text = kept.to_text();
        let hash = ContentHash::of(text.as_bytes());
        let apart = Carried::Apart(hash);
        if !self.has_room(content, &apart) {
            let why = "its long path leaves no room for them in the object's metadata";
            return Ok((Carried::Nothing, Some(why.to_owned())));
        }
        match self.store_apart(text, hash).await {
            Ok(()) => Ok((apart, None)),
            // A policy may keep that place closed: the file is stored all the same.
            Err(fault) if is_of_the_place(&fault) => {
                Ok((Carried::Nothing, Some(fault.to_string())))
            }
            Err(fault) => Err(fault),
        }
    }

    fn has_room(&self, content: &Content, carried: &Carried) -> bool {
        *carried == Carried::Nothing
            || ObjectMeta {
                attributes: carried.clone(),
                ..self.meta(content)
            }
            .has_room_for_attributes()
    }

    /// Have the bucket hold the text under its own hash.
    async fn store_apart(&self, text: String, hash: ContentHash) -> Result<(), Fault> {
        let settings = &self.source.config;
        let key = attributes::key(&settings.prefix, &hash);
        let at = At {
            bucket: &settings.bucket,
            key: &key,
        };
        let there = self.ctx.store.head(at, None).await?;
        let is_it = |meta: &ObjectMeta| meta.content == Some(hash);
        if there.is_some_and(|head| head.meta.as_ref().is_ok_and(is_it)) {
            return Ok(());
        }
        let file = Fingerprint {
            kind: Kind::File,
            size_bytes: text.len() as u64,
            mtime_ns: i128::from(self.ctx.clock.server_now_ms()) * 1_000_000,
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
            .ctx
            .store
            .write_record(at, body, &headers, Demand::Nothing);
        written.await.map(drop)
    }

    /// Say, or say no more, that the path's attributes are not kept.
    fn tell_lost(&self, lost: Option<&str>) {
        let status = &self.source.status;
        let topic = format!("{TOPIC}{}", self.item.path);
        let Some(why) = lost else {
            status.note(&topic, None);
            return;
        };
        let text = format!(
            "{} is backed up without its attributes and access control lists: {why}",
            self.item.path
        );
        let told = Some(status.snapshot()).map_or(0, |board| {
            let others = board.notes.keys().filter(|other| **other != topic);
            others.filter(|other| other.starts_with(TOPIC)).count()
        });
        if told >= TOLD_MAX || status.note(&topic, Some(text.clone())) {
            tracing::warn!("{text}");
        }
    }
}

/// The bucket takes files, and does not take this object.
fn is_of_the_place(fault: &Fault) -> bool {
    matches!(
        fault.class,
        Class::Denied | Class::Refused | Class::Unstorable
    )
}
