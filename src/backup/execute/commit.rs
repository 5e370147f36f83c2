//! What the index learns of a version.

use super::executor::Executor;
use super::object::Object;
use super::part_layout;
use crate::backup::plan::Facts;
use crate::index::{ActivityDelta, Change, Commit};
use crate::os::blocking::blocking;
use crate::s3::{Head, Stored};
use crate::status::Event;
use crate::transfer::Content;
use crate::types::{ContentHash, Fault, Kind, Parts, Record};
use crate::work::Lane;

impl Object<'_> {
    pub(crate) fn record(
        &self,
        content: &Content,
        hash: ContentHash,
        stored: &Stored,
        stored_bytes: u64,
    ) -> Record {
        Record {
            fingerprint: content.fingerprint,
            content: Some(hash),
            version_id: stored.version_id.clone(),
            etag: stored.etag.clone(),
            stored_bytes,
            stored_at_ms: self.executor.clock.now_ms(),
            racy: content.racy,
            look: content.look,
            attributes: content.attributes.attributes.id(),
        }
    }

    /// Write the record, and what the version is made of where that is known.
    pub(crate) async fn commit(
        &self,
        record: Record,
        parts: Option<Parts>,
        delta: ActivityDelta,
    ) -> Result<(), Fault> {
        if delta.versions > 0 {
            self.count_version(&record);
        }
        let (key, source) = (self.key.clone(), self.source.id);
        if parts.is_some() {
            // Large, so it is rare.
            let index = self.executor.index.clone();
            return blocking(move || index.commit_parts(source, &key, record, parts, &delta)).await;
        }
        let commit = Commit {
            source,
            key,
            change: Change::Put(record),
            activity: delta,
        };
        let Executor { commits, index, .. } = self.executor;
        commits.commit(index, commit).await
    }

    /// Record the version that the bucket has.
    pub(crate) async fn adopt(&self, content: &Content, head: &Head) -> Result<(), Fault> {
        let stored = Stored {
            version_id: head.version_id.clone(),
            etag: head.etag.clone(),
        };
        let adopted = self.record(content, content.hash, &stored, head.stored_bytes);
        let parts = (!head.gzip).then(|| part_layout::of_raw(content, &stored, head.stored_bytes));
        self.commit(adopted, parts.flatten(), ActivityDelta::default())
            .await
    }

    /// Nothing to store, but the index should not look again next time.
    pub(crate) async fn refresh(&self, facts: &Facts<'_>) -> Result<(), Fault> {
        let (Some(content), Some(record)) = (facts.content(), &facts.record) else {
            return Ok(());
        };
        let fresh = refreshed(content, record);
        if fresh == *record {
            return Ok(());
        }
        let (index, key, id) = (
            self.executor.index.clone(),
            self.key.clone(),
            self.source.id,
        );
        let stored = Stored {
            version_id: record.version_id.clone(),
            etag: record.etag.clone(),
        };
        let parts = part_layout::of_raw(content, &stored, record.stored_bytes);
        blocking(move || {
            // A file that was adopted, or whose list an older Keepwatch did not keep.
            if parts.is_some() && index.parts(id, &key)?.is_none() {
                let nothing = ActivityDelta::default();
                return index.commit_parts(id, &key, fresh, parts, &nothing);
            }
            index.update(id, &key, fresh)
        })
        .await
    }

    /// It counts for how often this file may be stored, and what that costs.
    fn count_version(&self, record: &Record) {
        if record.fingerprint.kind == Kind::File {
            let (source, path) = (&self.item.source, &self.item.path);
            let now_ms = self.executor.clock.now_ms();
            source.pacing.stored(path, record.stored_bytes, now_ms);
        }
    }

    /// How long ago the change was heard of.
    pub(crate) fn after_ms(&self) -> i64 {
        let now_ms = self.executor.clock.monotonic_ms();
        now_ms - self.item.since_ms
    }

    pub(crate) fn tell_stored(&self, size_bytes: u64, stored_bytes: u64, after_ms: i64) {
        self.item.source.status.tell(Event::Stored {
            source: self.item.source.status.name(),
            path: if self.key.is_folder() {
                format!("{}/", self.item.path)
            } else {
                self.item.path.to_string()
            },
            size_bytes,
            stored_bytes,
            after_ms,
            is_edit: self.item.lane == Lane::Edit,
        });
    }
}

/// The same version, with the file as it is now.
fn refreshed(content: &Content, record: &Record) -> Record {
    Record {
        fingerprint: content.fingerprint,
        racy: content.racy,
        look: content.look,
        attributes: match content.attributes.lost {
            None => content.attributes.attributes.id(),
            Some(_) => record.attributes,
        },
        ..record.clone()
    }
}
