//! What large objects are made of, kept wherever a version of one comes to be:
//! its next version is put together from it.

use super::file::Upload;
use crate::index::ActivityDelta;
use crate::os::blocking::blocking;
use crate::s3::{Head, Stored};
use crate::transfer::Content;
use crate::types::{Fault, Parts, Record};
use std::sync::Arc;

impl Upload<'_> {
    /// What the version that the index names is made of. Also when it is in doubt
    /// whether a newer one has come since, as after a lost line: a version stays
    /// what it is, and whatever is copied from it is proved.
    pub(crate) async fn parts(&self) -> Result<Option<Parts>, Fault> {
        let (ctx, key, id) = (Arc::clone(self.ctx), self.key.clone(), self.source.id);
        blocking(move || ctx.index.parts(id, &key)).await
    }

    /// What a copy of the version `head` is made of: the same.
    pub(crate) async fn parts_of_copy(
        &self,
        content: &Content,
        head: &Head,
        stored: &Stored,
    ) -> Result<Option<Parts>, Fault> {
        if content.segments.is_empty() {
            return Ok(None);
        }
        let known = self.parts().await?;
        let known = known.filter(|p| p.version_id == head.version_id && p.etag == head.etag);
        let raw = (!head.gzip).then(|| Self::parts_of(content, stored, head.stored_bytes));
        Ok(known.or(raw.flatten()).map(|parts| Parts {
            version_id: stored.version_id.clone(),
            etag: stored.etag.clone(),
            ..parts
        }))
    }

    /// What a version that holds exactly this content as it is, is made of.
    pub(crate) fn parts_of(content: &Content, stored: &Stored, stored_bytes: u64) -> Option<Parts> {
        let is_raw = stored_bytes == content.fingerprint.size_bytes && !content.unrested;
        (is_raw && !content.segments.is_empty()).then(|| Parts {
            version_id: stored.version_id.clone(),
            etag: stored.etag.clone(),
            gzip: false,
            segments: content.segments.to_vec(),
        })
    }

    /// Nothing to store, but the index should not look again next time.
    pub(crate) async fn refresh(&self, content: &Content, record: Record) -> Result<(), Fault> {
        let fresh = Record {
            fingerprint: content.fingerprint,
            racy: content.racy,
            look: content.look,
            attributes: match content.attributes.lost {
                None => content.attributes.attributes.id(),
                Some(_) => record.attributes,
            },
            ..record.clone()
        };
        if fresh == record {
            return Ok(());
        }
        let (ctx, key, id) = (Arc::clone(self.ctx), self.key.clone(), self.source.id);
        let stored = Stored {
            version_id: record.version_id.clone(),
            etag: record.etag.clone(),
        };
        let parts = Self::parts_of(content, &stored, record.stored_bytes);
        blocking(move || {
            // A file that was adopted, or whose list an older Keepwatch did not keep.
            match parts.is_some() && ctx.index.parts(id, &key)?.is_none() {
                true => {
                    let nothing = ActivityDelta::default();
                    ctx.index.commit_parts(id, &key, fresh, parts, &nothing)
                }
                false => ctx.index.update(id, &key, fresh),
            }
        })
        .await
    }
}
