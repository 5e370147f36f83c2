//! One object on its way to the bucket or out of it.

use super::executor::Executor;
use crate::backup::item::Item;
use crate::backup::mark_unverified;
use crate::backup::plan::{Facts, Policy};
use crate::backup::read::Early;
use crate::destination;
use crate::destination::Deed;
use crate::files::Pulse;
use crate::guard::Grant;
use crate::s3::{At, Stored};
use crate::source::SourceRuntime;
use crate::transfer::{Content, Job, Permit, UploadHooks};
use crate::types::{
    BucketKey, Carried, Class, ContentHash, Fault, Fingerprint, FullKey, ObjectMeta, RelKey,
};
use std::sync::Arc;

/// One object of a path, while it is planned and its plan carried out.
pub(crate) struct Object<'a> {
    pub(crate) executor: &'a Executor,
    pub(crate) item: &'a Item,
    pub(crate) source: &'a Arc<SourceRuntime>,
    pub(crate) key: RelKey,
    pub(crate) bucket_key: BucketKey,
    /// What the metadata says of the path; set when there is something to store.
    pub(crate) full_key: Option<FullKey>,
    pub(crate) symlink_target: Option<Vec<u8>>,
    /// Of a companion: the content of the file that it was read with.
    pub(crate) beside: Option<ContentHash>,
    /// How the metadata carries the attributes; set when there is something to store.
    pub(crate) carried: Carried,
    /// Its content, where the thread that looked at it has read that as well.
    pub(crate) early: Option<Early>,
    /// Held until the content is sent: this is what bounds memory.
    pub(crate) memory: Option<Permit>,
    /// The guard's word that it may be marked as deleted.
    pub(crate) grant: Option<Grant>,
}

impl<'a> Object<'a> {
    pub(crate) fn new(executor: &'a Executor, item: &'a Item, key: RelKey) -> Self {
        let source = &item.source;
        Self {
            executor,
            item,
            source,
            bucket_key: source.bucket_key(&key),
            key,
            full_key: None,
            symlink_target: None,
            beside: None,
            carried: Carried::Nothing,
            early: None,
            memory: None,
            grant: None,
        }
    }

    /// State and policy of the source, as they are now.
    pub(crate) fn policy(&self, facts: &Facts<'_>) -> Policy {
        let owners = self.item.source.owners();
        let content = facts.content();
        Policy {
            marks_deletions: self.source.marks_deletions(),
            keeps_versions: self.source.destination.keeps_versions(),
            is_compared: self.source.comparison.is_done(),
            may_copy: self
                .source
                .copies
                .may_try(self.executor.clock.monotonic_ms()),
            forgives_owner: content.is_some_and(|read| owners.are_forgiven(&read.fingerprint)),
        }
    }

    /// Settle what the metadata will say besides the content.
    pub(crate) async fn prepare(&mut self, content: &Content) -> Result<(), Fault> {
        let full_key = FullKey::of(&self.key, &self.source.config.prefix, &self.bucket_key);
        self.full_key = full_key.map_err(|refused| {
            let path = self.item.path.to_string();
            Fault::new(Class::Unstorable, "back up", path, refused.to_string())
                .hint("give the file or one of the folders it is in a shorter name")
        })?;
        self.carried = self.place_attributes(content).await?;
        Ok(())
    }

    pub(crate) fn at(&self) -> At<'_> {
        self.at_key(&self.bucket_key.key)
    }

    pub(crate) fn at_key<'k>(&'k self, key: &'k str) -> At<'k> {
        At {
            bucket: &self.source.config.bucket,
            key,
        }
    }

    pub(crate) fn meta(&self, content: &Content) -> ObjectMeta {
        // A large file that never rests may differ from what was hashed by the time it is
        // sent, and its metadata is sent first: it claims no hash.
        let hash = (!content.is_torn || content.bytes.is_some()).then_some(content.hash);
        ObjectMeta {
            symlink_target: self.symlink_target.clone(),
            is_torn: content.is_torn,
            full_key: self.full_key.clone(),
            seen_ms: content.seen_ms,
            beside: self.beside,
            sparse_bytes: content.sparse_bytes,
            attributes: self.carried.clone(),
            ..ObjectMeta::of(&content.fingerprint, hash)
        }
    }

    pub(crate) fn job(&self) -> Job {
        let compress = !self.key.is_folder()
            && self.symlink_target.is_none()
            && self.source.compress.matches(&self.item.path);
        Job {
            store: self.executor.store.clone(),
            index: self.executor.index.clone(),
            source: self.source.id,
            root: self.source.config.path.clone(),
            path: self.item.path.clone(),
            key: self.key.clone(),
            bucket: self.source.config.bucket.clone(),
            bucket_key: self.bucket_key.key.clone(),
            gzip_level: compress.then_some(self.source.config.compress_level),
            lane: self.item.lane,
            budget: self.executor.budget.clone(),
            wire: self.wire(),
            pulse: Pulse::default(),
            uploads: self.executor.uploads.clone(),
        }
    }

    /// What is told while it is sent. A circuit breaker that waits for this path to prove
    /// the bucket need not wait for the end of a large file.
    fn wire(&self) -> UploadHooks {
        let shared = || (self.executor.breakers.clone(), self.item.clone());
        let (breakers, item) = shared();
        let works = Arc::new(move || breakers.took(&item));
        let (breakers, item) = shared();
        let slowed = Arc::new(move || breakers.slowed(&item));
        let item = self.item.clone();
        let at_once = Arc::new(move || item.source.breaker.at_once());
        UploadHooks {
            works,
            slowed,
            at_once,
        }
    }

    /// Pass the answer on; when there was none, the key is compared with the bucket later.
    /// `seen` is what stood there.
    pub(crate) async fn unless_answered<T>(
        &self,
        seen: Fingerprint,
        answer: Result<T, Fault>,
    ) -> Result<T, Fault> {
        let index = &self.executor.index;
        mark_unverified::unless_answered(index, self.source, &self.key, seen, answer).await
    }

    /// Take in what the answer says of the bucket.
    pub(crate) async fn heard(&self, deed: Deed, stored: &Stored) {
        let version_id = stored.version_id.as_ref();
        destination::heard(&self.item.source.destination, deed, version_id).await;
    }
}
