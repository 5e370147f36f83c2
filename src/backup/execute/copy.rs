//! Has the server copy what it has: a version onto its own key with other metadata, or
//! one from another path.
//!
//! Invariants: one version is copied, known by its id, so that nothing that happens at its
//! path meanwhile can get into the copy. Where a copy fails, the content is sent.

use super::object::Object;
use super::part_layout;
use super::run::Progress;
use crate::backup::outcome::Outcome;
use crate::backup::plan::{Answer, CopySource, Facts};
use crate::destination::Deed;
use crate::index::{ActivityDelta, Elsewhere};
use crate::os::blocking::blocking;
use crate::s3::{CopyFrom, Head, Stored};
use crate::transfer;
use crate::transfer::{Content, Copied, Original};
use crate::types::{Class, ContentHash, Fault, Parts, id_text};

impl Object<'_> {
    /// Same content, other metadata: let the server copy the version.
    pub(crate) async fn copy_metadata(
        &self,
        content: &Content,
        head: &Head,
    ) -> Result<Progress, Fault> {
        let original = Original {
            from: CopyFrom {
                key: &self.bucket_key.key,
                version_id: head.version_id.as_ref(),
                etag: &head.etag,
            },
            stored_bytes: head.stored_bytes,
            gzip: head.gzip,
            bytes_are: head.bytes_are,
        };
        let meta = self.meta(content);
        let copied = transfer::copy(&self.job(), content, &original, meta).await;
        let Copied::Stored(stored) = self.unless_answered(content.fingerprint, copied).await?
        else {
            return Ok(Progress::Learned(Answer::MetadataCopyRefused));
        };
        self.heard(Deed::Copied, &stored).await;
        let record = self.record(content, content.hash, &stored, head.stored_bytes);
        let delta = ActivityDelta {
            metadata_updates: 1,
            versions: 1,
            ..ActivityDelta::default()
        };
        let parts = self.parts_of_own_copy(content, head, &stored).await?;
        self.commit(record, parts, delta).await?;
        tracing::info!(source = %self.source.config.name, path = %self.item.path, "metadata updated");
        Ok(Progress::Done(Outcome::Sent))
    }

    /// What a copy of this path's version `head` is made of.
    async fn parts_of_own_copy(
        &self,
        content: &Content,
        head: &Head,
        stored: &Stored,
    ) -> Result<Option<Parts>, Fault> {
        if content.segments.is_empty() {
            return Ok(None);
        }
        let (index, key, id) = (
            self.executor.index.clone(),
            self.key.clone(),
            self.source.id,
        );
        let known = blocking(move || index.parts(id, &key)).await?;
        let known = known.filter(|parts| parts.are_of(head.version_id.as_ref(), &head.etag));
        let raw = (!head.gzip).then(|| part_layout::of_raw(content, stored, head.stored_bytes));
        let original = known.or(raw.flatten());
        Ok(original.map(|parts| part_layout::of_copy(parts, stored)))
    }

    /// Have the server copy the content from another path.
    pub(crate) async fn copy_from(
        &self,
        content: &Content,
        from: &CopySource<'_>,
    ) -> Result<Progress, Fault> {
        let key = self.source.bucket_key(&from.found.entry.key).key;
        let original = Original {
            from: CopyFrom {
                key: &key,
                version_id: from.version_id,
                etag: from.etag,
            },
            stored_bytes: from.stored_bytes,
            gzip: from.gzip,
            bytes_are: from.bytes_are,
        };
        let meta = self.meta(content);
        let copied = transfer::copy(&self.job(), content, &original, meta).await;
        match &copied {
            // A copy that cannot be looked at says nothing about copying.
            Err(fault) if fault.class == Class::Transient && !fault.operation.is_reading() => {
                self.source.copies.failed();
            }
            Err(_) => {}
            Ok(_) => self.source.copies.answered(),
        }
        match self.unless_answered(content.fingerprint, copied).await? {
            Copied::Stored(stored) => {
                self.heard(Deed::Copied, &stored).await;
                self.commit_copy(content, from, &stored).await?;
                Ok(Progress::Done(Outcome::Sent))
            }
            Copied::Refused => {
                // A lifecycle rule may have ended it.
                let version = Elsewhere {
                    version_id: from.version_id.cloned(),
                    etag: from.etag.clone(),
                    stored_bytes: from.stored_bytes,
                    ..from.found.entry.clone()
                };
                self.forget_entry(content.hash, version).await?;
                Ok(Progress::Learned(Answer::CopyRefused))
            }
            Copied::Unproved => Ok(Progress::Learned(Answer::CopyRefused)),
        }
    }

    /// The content lookup's entry leads nowhere: forget it.
    pub(crate) async fn forget_copy(&self, facts: &Facts<'_>) -> Result<Progress, Fault> {
        if let (Some(content), Some(Some(found))) = (facts.content(), &facts.answers.lookup) {
            self.forget_entry(content.hash, found.entry.clone()).await?;
        }
        Ok(Progress::Learned(Answer::CopyRefused))
    }

    async fn forget_entry(&self, hash: ContentHash, gone: Elsewhere) -> Result<(), Fault> {
        if gone.is_live {
            // The record says so, and a scan of the bucket would say otherwise.
            return Ok(());
        }
        let (index, id) = (self.executor.index.clone(), self.source.id);
        blocking(move || index.forget_elsewhere(id, &hash, &gone)).await
    }

    async fn commit_copy(
        &self,
        content: &Content,
        from: &CopySource<'_>,
        stored: &Stored,
    ) -> Result<(), Fault> {
        let (size_bytes, stored_bytes) = (content.fingerprint.size_bytes, from.stored_bytes);
        let delta = ActivityDelta {
            versions: 1,
            raw_bytes: size_bytes,
            stored_bytes,
            // Nothing of it was sent.
            saved_bytes: size_bytes,
            ..ActivityDelta::default()
        };
        let record = self.record(content, content.hash, stored, stored_bytes);
        // The same bytes: the next version of it need not be sent whole either. A
        // deletion that came first took the list along.
        let known = from.found.part_layout.clone();
        let parts = known.map(|parts| part_layout::of_copy(parts, stored));
        let raw = (!from.gzip).then(|| part_layout::of_raw(content, stored, stored_bytes));
        self.commit(record, parts.or(raw.flatten()), delta).await?;
        let after_ms = self.after_ms();
        tracing::info!(
            source = %self.source.config.name,
            path = %self.item.path,
            from = %from.found.entry.key.path(),
            size_bytes,
            after_ms,
            version_id = %id_text(&stored.version_id),
            "copied"
        );
        self.tell_stored(size_bytes, stored_bytes, after_ms);
        Ok(())
    }
}
