//! A content that the bucket has under another path: copied there, not sent.
//!
//! Invariant: the index learns of a copy only once it is known to hold the right
//! bytes, and nothing fails because a copy does: the content is sent then.

use super::Outcome;
use super::file::Upload;
use crate::error::{Class, Fault};
use crate::index::{ActivityDelta, COPY_FROM_BYTES, Elsewhere};
use crate::model::{ContentHash, Kind, Parts, RelKey};
use crate::store::{At, BytesAre, CopyFrom, Head, Stored};
use crate::tasks::context::blocking;
use crate::tasks::destination::Deed;
use crate::transfer::{self, Content, Original, SMALL_BYTES_MAX};
use std::sync::Arc;

/// A version to copy from, as the bucket has it.
pub(super) struct From {
    version: Elsewhere,
    key: String,
    gzip: bool,
    bytes_are: BytesAre,
    made_of: Option<Parts>,
}

impl From {
    /// The object that a path of the source has itself.
    pub fn own(key: RelKey, head: &Head) -> Self {
        Self {
            version: Elsewhere {
                key,
                version_id: head.version_id.clone(),
                etag: head.etag.clone(),
                stored_bytes: head.stored_bytes,
                is_live: true,
            },
            key: String::new(),
            gzip: head.gzip,
            bytes_are: head.bytes_are,
            made_of: None,
        }
    }
}

impl Upload<'_> {
    /// Have the server copy the content from wherever it has it. `None` when it
    /// must be sent.
    pub(super) async fn copied(&self, content: &Content) -> Result<Option<Outcome>, Fault> {
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
                version_id: &from.version.version_id,
                etag: &from.version.etag,
            },
            stored_bytes: from.version.stored_bytes,
            gzip: from.gzip,
            crc64: from.bytes_are.crc64,
        };
        let copied = transfer::copy(&self.job(), &original, self.meta(content)).await;
        match &copied {
            Err(fault) if fault.class == Class::Transient => self.source.copies.failed(),
            Err(_) => {}
            Ok(_) => self.source.copies.answered(),
        }
        let Some(stored) = self.unless_answered(content, copied).await? else {
            // A lifecycle rule may have ended it.
            self.forget(content, from.version).await?;
            return Ok(None);
        };
        if !self.is_proved(content, &from, &stored).await? {
            return Ok(None);
        }
        self.heard(Deed::Copied, &stored).await;
        self.commit_copy(content, from, stored).await?;
        Ok(Some(Outcome::Sent))
    }

    /// Whether a copy may count; said when it may not: then the content is sent.
    pub(super) async fn is_proved(
        &self,
        content: &Content,
        from: &From,
        stored: &Stored,
    ) -> Result<bool, Fault> {
        let proved = self.is_right(content, from, stored).await;
        let is_proved = self.unless_answered(content, proved).await?;
        if !is_proved {
            tracing::warn!(
                source = %self.source.config.name,
                path = %self.item.path,
                "the server's copy is not what was to be copied: the file is sent"
            );
        }
        Ok(is_proved)
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
        if size_bytes <= SMALL_BYTES_MAX {
            return Ok(Some(from));
        }
        // Of a large one only the object itself says for certain.
        let version_id = Some(from.version.version_id.as_str()).filter(|id| !id.is_empty());
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
        Ok(Some(From {
            version: Elsewhere {
                etag: head.etag,
                stored_bytes: head.stored_bytes,
                ..from.version
            },
            gzip: head.gzip,
            bytes_are: head.bytes_are,
            ..from
        }))
    }

    /// Whether the copy holds what it should: some servers answer well and store
    /// something else.
    async fn is_right(
        &self,
        content: &Content,
        from: &From,
        stored: &Stored,
    ) -> Result<bool, Fault> {
        if stored.etag == from.version.etag && is_of_one_piece(&stored.etag) {
            return Ok(true);
        }
        let version_id = Some(stored.version_id.as_str()).filter(|id| !id.is_empty());
        let head = match self.ctx.store.head_with_sums(self.at(), version_id).await {
            Err(fault) if is_final(&fault) => return Ok(false),
            head => head?,
        };
        Ok(head.is_some_and(|head| {
            claims(&head, content)
                && head.stored_bytes == from.version.stored_bytes
                && head.gzip == from.gzip
                && may_be_right(&head, from, content.hash)
        }))
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
            version_id = %stored.version_id,
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

/// What S3 gives an object that was not uploaded in parts; nothing for an empty one.
pub(super) fn is_of_one_piece(etag: &str) -> bool {
    !etag.is_empty() && !etag.contains('-')
}

/// Nothing that the server says of the copy's bytes is against it, given that
/// its ETag is another one than the original's.
fn may_be_right(copy: &Head, from: &From, content: ContentHash) -> bool {
    let (is, was) = (copy.bytes_are, from.bytes_are);
    let hash_known = is.sha256.filter(|_| !copy.gzip);
    let has_other_hash = hash_known.is_some_and(|hash| hash != content)
        || matches!((is.sha256, was.sha256), (Some(is), Some(was)) if is != was)
        || matches!((is.crc64, was.crc64), (Some(is), Some(was)) if is != was);
    if has_other_hash {
        return false;
    }
    let is_proved = hash_known.is_some()
        || (is.sha256.is_some() && is.sha256 == was.sha256)
        || (is.crc64.is_some() && is.crc64 == was.crc64);
    // ETags of one piece differ with the bytes, unless these are encrypted; those
    // of pieces always may.
    let both_plain = is_of_one_piece(&copy.etag) && is_of_one_piece(&from.version.etag);
    is_proved || !both_plain || is.etag_says_nothing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Crc64;
    use crate::model::meta::MetaRefused;

    const PLAIN: &str = "9b2cf535f27731c974343645a3985328";
    const OTHER: &str = "0b2cf535f27731c974343645a3985328";
    const PARTS: &str = "9b2cf535f27731c974343645a3985328-2";

    fn are(sha256: Option<&str>, crc64: Option<u64>, kms: bool) -> BytesAre {
        BytesAre {
            sha256: sha256.map(|text| ContentHash::of(text.as_bytes())),
            crc64: crc64.map(Crc64),
            etag_says_nothing: kms,
        }
    }

    #[test]
    fn a_copy_with_another_etag_is_believed_only_for_a_reason() {
        let none = are(None, None, false);
        for (gzip, was_etag, was, etag, is, right) in [
            // Of one piece, not encrypted: other bytes.
            (false, PLAIN, none, OTHER, none, false),
            (false, PLAIN, none, OTHER, are(None, None, true), true),
            (false, PLAIN, none, OTHER, are(Some("x"), None, true), true),
            (false, PLAIN, none, OTHER, are(Some("y"), None, true), false),
            // In parts: the ETag says nothing, sums do where they are known.
            (false, PARTS, none, OTHER, none, true),
            (
                false,
                PARTS,
                none,
                OTHER,
                are(Some("y"), None, false),
                false,
            ),
            (true, PARTS, none, OTHER, are(Some("y"), None, false), true),
            (
                false,
                PARTS,
                are(None, Some(1), false),
                OTHER,
                are(None, Some(1), false),
                true,
            ),
            (
                false,
                PARTS,
                are(None, Some(1), false),
                OTHER,
                are(None, Some(2), false),
                false,
            ),
            (
                true,
                PLAIN,
                are(Some("z"), None, true),
                OTHER,
                are(Some("y"), None, true),
                false,
            ),
            (
                true,
                PLAIN,
                are(Some("z"), None, false),
                OTHER,
                are(Some("z"), None, false),
                true,
            ),
        ] {
            let copy = Head {
                version_id: String::new(),
                etag: etag.into(),
                stored_bytes: 1,
                gzip,
                meta: Err(MetaRefused::Foreign),
                bytes_are: is,
            };
            let from = From {
                version: Elsewhere {
                    key: RelKey::parse_full("a").unwrap(),
                    version_id: String::new(),
                    etag: was_etag.into(),
                    stored_bytes: 1,
                    is_live: true,
                },
                key: String::new(),
                gzip,
                bytes_are: was,
                made_of: None,
            };
            let content = ContentHash::of(b"x");
            assert_eq!(
                may_be_right(&copy, &from, content),
                right,
                "{gzip} {was_etag} {was:?} {etag} {is:?}"
            );
        }
    }
}
