//! A content that the bucket has under another path: copied there, not sent.
//!
//! Invariant: what is copied is one version, known by its id, so that nothing that
//! happens to its path meanwhile can get into the copy; and nothing fails because
//! a copy does: the content is sent then.

use super::file::Upload;
use super::outcome::Outcome;
use crate::destination::Deed;
use crate::index::{ActivityDelta, COPY_FROM_BYTES, Elsewhere};
use crate::os::blocking::blocking;
use crate::s3::{At, BytesAre, CopyFrom, Head, Stored};
use crate::transfer;
use crate::transfer::{Content, Copied, Original, SMALL_BYTES_MAX};
use crate::types::{Class, Fault, Kind, Parts, VersionId, id_text};
use std::sync::Arc;

/// A version to copy from, as the bucket has it.
pub(crate) struct From {
    version: Elsewhere,
    key: String,
    gzip: bool,
    bytes_are: BytesAre,
    made_of: Option<Parts>,
}

impl Upload<'_> {
    /// Have the server copy the content from wherever it has it. `None` when it
    /// must be sent.
    pub(crate) async fn copied(&self, content: &Content) -> Result<Option<Outcome>, Fault> {
        let now_ms = self.ctx.steady_ms();
        if !is_worth_it(content) || !self.source.copies.may_try(now_ms) {
            return Ok(None);
        }
        let Some(from) = self.find(content).await? else {
            return Ok(None);
        };
        let original = Original {
            from: CopyFrom {
                key: &from.key,
                version_id: from.version.version_id.as_ref(),
                etag: &from.version.etag,
            },
            stored_bytes: from.version.stored_bytes,
            gzip: from.gzip,
            bytes_are: from.bytes_are,
        };
        let meta = self.meta(content);
        let copied = transfer::copy(&self.job(), content, &original, meta).await;
        match &copied {
            // That the copy cannot be looked at says nothing about copying.
            Err(fault) if fault.class == Class::Transient && !fault.operation.is_reading() => {
                self.source.copies.failed();
            }
            Err(_) => {}
            Ok(_) => self.source.copies.answered(),
        }
        match self.unless_answered(content, copied).await? {
            Copied::Stored(stored) => {
                self.heard(Deed::Copied, &stored).await;
                self.commit_copy(content, from, stored).await?;
                Ok(Some(Outcome::Sent))
            }
            Copied::Refused => {
                // A lifecycle rule may have ended it.
                self.forget(content, from.version).await?;
                Ok(None)
            }
            Copied::Unproved => Ok(None),
        }
    }

    /// Where the content is, and how it is stored there.
    async fn find(&self, content: &Content) -> Result<Option<From>, Fault> {
        let (hash, size_bytes) = (content.hash, content.fingerprint.size_bytes);
        let (ctx, id) = (Arc::clone(self.ctx), self.source.id);
        let found = blocking(move || {
            let Some(version) = ctx.index.elsewhere(id, &hash, size_bytes)? else {
                return Ok(None);
            };
            let made_of = ctx.index.parts(id, &version.key)?;
            Ok(Some((version, made_of)))
        })
        .await?;
        let Some((version, made_of)) = found else {
            return Ok(None);
        };
        let made_of = made_of
            .filter(|parts| parts.version_id == version.version_id && parts.etag == version.etag);
        let from = From {
            key: self.source.bucket_key(&version.key).key,
            // Small ones are compressed only when that makes them smaller.
            gzip: version.stored_bytes != size_bytes,
            bytes_are: BytesAre::default(),
            version,
            made_of,
        };
        if size_bytes <= SMALL_BYTES_MAX && self.is_pinned(from.version.version_id.as_ref()) {
            return Ok(Some(from));
        }
        self.asked(content, from).await
    }

    /// The same as the object itself says. Of a large one nothing else tells for
    /// certain; of one whose version the index does not know, its id.
    async fn asked(&self, content: &Content, from: From) -> Result<Option<From>, Fault> {
        let version_id = from.version.version_id.as_ref();
        let at = self.at_key(&from.key);
        let head = match self.ctx.store.head_with_sums(at, version_id).await {
            Ok(head) => head,
            Err(fault) if is_final(&fault) => return Ok(None),
            Err(fault) => {
                if fault.class == Class::Transient {
                    self.source.copies.failed();
                }
                return Err(fault);
            }
        };
        let Some(head) = head.filter(|head| claims(head, content)) else {
            self.forget(content, from.version).await?;
            return Ok(None);
        };
        // What is there may be replaced before it is copied, and not every server
        // heeds the condition that it is still the same.
        let version_id = match version_id {
            Some(known) => Some(known.clone()),
            None => head.version_id,
        };
        if !self.is_pinned(version_id.as_ref()) {
            return Ok(None);
        }
        Ok(Some(From {
            version: Elsewhere {
                version_id,
                etag: head.etag,
                stored_bytes: head.stored_bytes,
                ..from.version
            },
            gzip: head.gzip,
            bytes_are: head.bytes_are,
            ..from
        }))
    }

    /// That id stays that of one content. A bucket that keeps no versions calls
    /// whatever is there `null`.
    fn is_pinned(&self, version_id: Option<&VersionId>) -> bool {
        version_id.is_some_and(|id| id.is_pinned() || self.source.destination.keeps_versions())
    }

    async fn forget(&self, content: &Content, gone: Elsewhere) -> Result<(), Fault> {
        if gone.is_live {
            // The record says so, and a scan of the bucket would say otherwise.
            return Ok(());
        }
        let (ctx, id, hash) = (Arc::clone(self.ctx), self.source.id, content.hash);
        blocking(move || ctx.index.forget_elsewhere(id, &hash, &gone)).await
    }

    async fn commit_copy(
        &self,
        content: &Content,
        from: From,
        stored: Stored,
    ) -> Result<(), Fault> {
        let (size_bytes, stored_bytes) =
            (content.fingerprint.size_bytes, from.version.stored_bytes);
        let delta = ActivityDelta {
            versions: 1,
            raw_bytes: size_bytes,
            stored_bytes,
            // Nothing of it was sent.
            saved_bytes: size_bytes,
            ..ActivityDelta::default()
        };
        let record = self.record(content, content.hash, &stored, stored_bytes);
        self.count_version(&record);
        // The same bytes: the next version of it need not be sent whole either.
        let raw = (!from.gzip).then(|| Self::parts_of(content, &stored, stored_bytes));
        let made_of = from.made_of.or(raw.flatten()).map(|parts| Parts {
            version_id: stored.version_id.clone(),
            etag: stored.etag.clone(),
            ..parts
        });
        // A deletion that came first took the list along.
        let made_of = made_of.or_else(|| Self::parts_of(content, &stored, stored_bytes));
        {
            let (ctx, key, id) = (Arc::clone(self.ctx), self.key.clone(), self.source.id);
            blocking(move || ctx.index.commit_parts(id, &key, record, made_of, &delta)).await?;
        }
        let after_ms = self.ctx.steady_ms().saturating_sub(self.item.since_ms);
        tracing::info!(
            source = %self.source.config.name,
            path = %self.item.path,
            from = %from.version.key.path(),
            size_bytes,
            after_ms,
            version_id = %id_text(&stored.version_id),
            "copied"
        );
        self.tell_stored(size_bytes, stored_bytes, after_ms);
        Ok(())
    }

    fn at_key<'k>(&'k self, key: &'k str) -> At<'k> {
        At { key, ..self.at() }
    }
}

/// Asking again gives no other answer, and sending the content may help.
fn is_final(fault: &Fault) -> bool {
    matches!(fault.class, Class::Refused | Class::Denied | Class::Damaged)
}

/// A file that never rests may be another one by the time it is copied.
fn is_worth_it(content: &Content) -> bool {
    let file = &content.fingerprint;
    file.kind == Kind::File && file.size_bytes >= COPY_FROM_BYTES && !content.unrested
}

/// The object says that it holds this content.
fn claims(head: &Head, content: &Content) -> bool {
    head.meta.as_ref().is_ok_and(|meta| {
        meta.content == Some(content.hash)
            && meta.kind == content.fingerprint.kind
            && meta.size_bytes == content.fingerprint.size_bytes
    })
}
