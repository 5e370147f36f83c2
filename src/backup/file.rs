//! A path that is there: file, link or empty folder.

use super::outcome::Outcome;
use super::stored::{is_as_stored, is_paced};
use super::take::{Early, take};
use super::{doubt, since};
use crate::destination;
use crate::destination::Deed;
use crate::files;
use crate::files::{Kept, Pulse};
use crate::guard;
use crate::index::{ActivityDelta, Change, Commit};
use crate::os;
use crate::os::blocking::blocking;
use crate::os::clock;
use crate::s3::{At, CopyFrom, Head, Stored};
use crate::source::{Context, Source, on_disk, unless_silent};
use crate::status::News;
use crate::transfer;
use crate::transfer::{
    Content, Copied, Done, Job, Original, SMALL_BYTES_MAX, Sent, Wire, is_of_one_piece,
};
use crate::types::{
    Carried, Class, ContentHash, Fault, Fingerprint, FullKey, Kind, Look, ObjectMeta, Operation,
    Parts, Record, RelKey, id_text,
};
use crate::work::{Item, Lane};
use bytes::Bytes;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

/// Store a file or link whose content or metadata the bucket does not have.
pub(crate) async fn store(
    ctx: &Arc<Context>,
    item: &Item,
    seen: Fingerprint,
    record: Option<Record>,
    early: Option<Early>,
) -> Result<Outcome, Fault> {
    if is_as_stored(&seen, record.as_ref()) {
        ctx.pacing.forget(item.source, &item.path);
        return Ok(Outcome::Agreed);
    }
    if is_paced(ctx, item, &seen, record.as_ref()) {
        return Ok(Outcome::Agreed);
    }
    // The memory is held until the content is sent: this is what bounds it.
    let (_memory, taken) = match early {
        Some(Early { memory, taken }) => (Some(memory), taken?),
        None => {
            let memory = match seen.size_bytes <= SMALL_BYTES_MAX {
                true => Some(ctx.budget.take(item.lane, seen.size_bytes).await),
                false => None,
            };
            (memory, take(ctx, item, seen.kind).await?)
        }
    };
    let Some((mut content, target)) = taken else {
        return Ok(Outcome::Changed);
    };
    content.seen_ms = when_seen_ms(ctx, content.seen_steady_ms);
    content.seen_ms = since::since_ms(ctx, item, &content, record.as_ref()).await?;
    let upload = Upload::new(ctx, item, RelKey::of_file(&item.path), target)?;
    let outcome = upload.put(&content, record).await?;
    if outcome == Outcome::Changed {
        return Ok(outcome);
    }
    // It was stored as it was when read; if it has changed since, look again.
    // What had not rested goes on changing, and not every system says so.
    let unrested = content.unrested || item.deadline;
    if unrested || changed_since(ctx, item, content.fingerprint).await? {
        let now_ms = ctx.steady_ms();
        ctx.hint(crate::source::Hint {
            source: item.source,
            path: item.path.clone(),
            first_ms: now_ms,
            last_ms: now_ms,
            is_given_back: false,
        });
    }
    Ok(outcome)
}

/// Store an empty folder's object; a filled one needs none, but what it has stays
/// right.
pub(crate) async fn store_folder(
    ctx: &Arc<Context>,
    item: &Item,
    seen: Fingerprint,
    record: Option<Record>,
    empty: bool,
) -> Result<Outcome, Fault> {
    // Its attributes may have changed, or only what is in it.
    let same = record.as_ref().is_some_and(|r| {
        r.content.is_some()
            && r.fingerprint.mode == seen.mode
            && r.fingerprint.owner == seen.owner
            && r.fingerprint.ctime_ns == seen.ctime_ns
    });
    if same || item.path.is_root() {
        return Ok(Outcome::Agreed);
    }
    if !empty && record.is_none() {
        return Ok(Outcome::Agreed);
    }
    let attributes = folder_attributes(ctx, item).await?;
    let seen_steady_ms = os::steady_ms();
    let content = Content {
        fingerprint: Fingerprint {
            size_bytes: 0,
            ..seen
        },
        hash: ContentHash::of(&[]),
        seen_steady_ms,
        seen_ms: when_seen_ms(ctx, seen_steady_ms),
        bytes: Some(Bytes::new()),
        unrested: false,
        racy: false,
        look: Look::Unknown,
        segments: Arc::new([]),
        sparse_bytes: None,
        attributes,
    };
    let upload = Upload::new(ctx, item, RelKey::of_folder(&item.path), None)?;
    upload.carry(&content).await?;
    if let Some(outcome) = upload.known(&content, record.as_ref()).await? {
        return Ok(outcome);
    }
    if let Sent::Stored(done) = upload.send(&content).await? {
        upload.stored(&content, done).await?;
    }
    Ok(Outcome::Sent)
}

async fn folder_attributes(ctx: &Arc<Context>, item: &Item) -> Result<Kept, Fault> {
    let (shared, item) = (Arc::clone(ctx), item.clone());
    let pulse = Pulse::default();
    on_disk(ctx, item.source, &pulse, move || {
        files::folder_attributes(&shared.sources[item.source].config.path, &item.path)
    })
    .await
}

/// When that was by the server's clock, which was read at `seen_steady_ms`.
pub(crate) fn when_seen_ms(ctx: &Context, seen_steady_ms: i64) -> Option<i64> {
    ctx.store.server_time_ms(seen_steady_ms, clock::wall_ms())
}

/// Tell the brake of content that looks encrypted, or of none; `old` is what was
/// there.
async fn raise_alarm(
    ctx: &Arc<Context>,
    item: &Item,
    old: Option<Record>,
    look: Look,
) -> Result<(), Fault> {
    if !matches!(look, Look::Noise | Look::Blank) {
        return Ok(());
    }
    let (ctx, item) = (Arc::clone(ctx), item.clone());
    blocking(move || {
        let was = old.filter(|old| old.content.is_some());
        guard::looks_ruined(
            &ctx,
            item.source,
            &item.path,
            was.as_ref(),
            look,
            item.since_ms,
        )
    })
    .await
}

pub(crate) async fn changed_since(
    ctx: &Arc<Context>,
    item: &Item,
    stored: Fingerprint,
) -> Result<bool, Fault> {
    let (shared, item) = (Arc::clone(ctx), item.clone());
    let pulse = Pulse::default();
    on_disk(ctx, item.source, &pulse, move || {
        let now = files::stat(&shared.sources[item.source].config.path, &item.path)?;
        Ok(now != Some(stored))
    })
    .await
}

/// One object on its way.
pub(crate) struct Upload<'a> {
    pub(crate) ctx: &'a Arc<Context>,
    pub(crate) item: &'a Item,
    pub(crate) source: &'a Source,
    pub(crate) key: RelKey,
    bucket_key: crate::types::BucketKey,
    /// What the metadata says of the path.
    full_key: Option<FullKey>,
    symlink_target: Option<Vec<u8>>,
    /// Of a journal and the like: the content of the file that it was read with.
    beside: Option<ContentHash>,
    /// What the bucket has says another content of that file, or may.
    is_beside_another: bool,
    /// How its attributes go along, when that is settled.
    pub(crate) carried: OnceLock<Carried>,
}

impl<'a> Upload<'a> {
    pub(crate) fn new(
        ctx: &'a Arc<Context>,
        item: &'a Item,
        key: RelKey,
        symlink_target: Option<Vec<u8>>,
    ) -> Result<Self, Fault> {
        let source = &ctx.sources[item.source];
        let bucket_key = source.bucket_key(&key);
        let full_key = FullKey::of(&key, &source.config.prefix, &bucket_key);
        let full_key = full_key.map_err(|refused| {
            let path = item.path.to_string();
            Fault::new(Class::Unstorable, "back up", path, refused.to_string())
                .hint("give the file or one of the folders it is in a shorter name")
        })?;
        Ok(Self {
            ctx,
            item,
            source,
            key,
            bucket_key,
            full_key,
            symlink_target,
            beside: None,
            is_beside_another: false,
            carried: OnceLock::new(),
        })
    }

    /// The same of what belongs to a file that has this content now; `is_news` when
    /// it had another one when this was stored last.
    pub(crate) fn beside(self, content: ContentHash, is_news: bool) -> Self {
        Self {
            beside: Some(content),
            is_beside_another: is_news,
            ..self
        }
    }

    /// Have the bucket hold this content, by whatever way costs least.
    pub(crate) async fn put(
        &self,
        content: &Content,
        record: Option<Record>,
    ) -> Result<Outcome, Fault> {
        self.carry(content).await?;
        if let Some(outcome) = self.known(content, record.as_ref()).await? {
            return Ok(outcome);
        }
        let copied = match record.as_ref().is_some_and(Record::is_distrusted) {
            true => None,
            false => self.copied(content).await?,
        };
        let outcome = match copied {
            Some(outcome) => outcome,
            None => match self.send(content).await? {
                Sent::Changed => return Ok(Outcome::Changed),
                Sent::Stored(done) => {
                    self.stored(content, done).await?;
                    Outcome::Sent
                }
            },
        };
        // Encrypted content is no better for having been copied.
        raise_alarm(self.ctx, self.item, record, content.look).await?;
        Ok(outcome)
    }

    pub(crate) fn at(&self) -> At<'_> {
        At {
            bucket: &self.source.config.bucket,
            key: &self.bucket_key.key,
        }
    }

    pub(crate) fn meta(&self, content: &Content) -> ObjectMeta {
        // A large file that never rests may differ from what was hashed by the
        // time it is sent, and metadata goes first: it then claims no hash.
        let hash = (!content.unrested || content.bytes.is_some()).then_some(content.hash);
        ObjectMeta {
            symlink_target: self.symlink_target.clone(),
            unrested: content.unrested,
            full_key: self.full_key.clone(),
            seen_ms: content.seen_ms,
            beside: self.beside,
            sparse_bytes: content.sparse_bytes,
            attributes: self.carried.get().cloned().unwrap_or_default(),
            ..ObjectMeta::of(&content.fingerprint, hash)
        }
    }

    pub(crate) fn job(&self) -> Job {
        let compress = !self.key.is_folder()
            && self.symlink_target.is_none()
            && self.source.compress.matches(&self.item.path);
        Job {
            store: self.ctx.store.clone(),
            index: self.ctx.index.clone(),
            source: self.source.id,
            root: self.source.config.path.clone(),
            path: self.item.path.clone(),
            key: self.key.clone(),
            bucket: self.source.config.bucket.clone(),
            bucket_key: self.bucket_key.key.clone(),
            gzip_level: compress.then_some(self.source.config.compress_level),
            lane: self.item.lane,
            budget: self.ctx.budget.clone(),
            wire: self.wire(),
            pulse: Pulse::default(),
            uploads: self.ctx.uploads.clone(),
        }
    }

    /// What is told while it is sent. A gate that waits for this path to prove
    /// the bucket need not wait for the end of a large file.
    fn wire(&self) -> Wire {
        let shared = || (Arc::clone(self.ctx), self.item.clone());
        let (ctx, item) = shared();
        let works = Arc::new(move || crate::backup::outcome::bucket_works(&ctx, &item));
        let (ctx, item) = shared();
        let slowed = Arc::new(move || ctx.gates.slowed(item.source, &item.path, ctx.now_ms()));
        let (ctx, item) = shared();
        let at_once = Arc::new(move || ctx.gates.at_once(item.source));
        Wire {
            works,
            slowed,
            at_once,
        }
    }

    async fn send(&self, content: &Content) -> Result<Sent, Fault> {
        let meta = self.meta(content);
        let may_copy = self.source.copies.may_try(self.ctx.steady_ms());
        let sent = match &content.bytes {
            Some(bytes) => {
                transfer::send_small(&self.job(), bytes.clone(), meta, content.hash).await
            }
            None => {
                let job = self.job();
                let old = match may_copy {
                    true => self.parts().await?,
                    false => None,
                };
                let sending = transfer::send_large(&job, content, meta, old.as_ref());
                unless_silent(self.ctx, self.item.source, &job.pulse, sending).await
            }
        };
        match &sent {
            Ok(Sent::Stored(done)) if done.cost.reused_bytes > 0 => self.source.copies.answered(),
            Err(fault)
                if fault.class == Class::Transient && fault.operation == Operation::CopyPart =>
            {
                self.source.copies.failed();
            }
            _ => {}
        }
        let is_stored = matches!(sent, Ok(Sent::Stored { .. }));
        // What failed just now may have been a copy itself: it tells nothing else.
        if !may_copy && self.source.copies.sent(is_stored, self.ctx.steady_ms()) {
            tracing::warn!(
                source = %self.source.config.name,
                "the server fails to copy but takes contents: for the next hour, all are sent"
            );
        }
        self.unless_answered(content, sent).await
    }

    pub(crate) async fn unless_answered<T>(
        &self,
        content: &Content,
        answer: Result<T, Fault>,
    ) -> Result<T, Fault> {
        let (source, seen) = (self.item.source, content.fingerprint);
        doubt::unless_answered(self.ctx, source, &self.key, seen, answer).await
    }

    /// Without sending content: the bucket has it already, or all but its
    /// metadata. `None` when the content must be sent.
    async fn known(
        &self,
        content: &Content,
        record: Option<&Record>,
    ) -> Result<Option<Outcome>, Fault> {
        if record.is_some_and(Record::is_distrusted) {
            // Its copy was damaged once: no word of the bucket replaces the content.
            return Ok(None);
        }
        let stored_hash = record.and_then(|r| r.content);
        if let Some(record) = record.filter(|r| r.content == Some(content.hash)) {
            let is_same =
                is_same_meta(&record.fingerprint, &content.fingerprint) && !self.is_beside_another;
            if is_same && has_attributes(content, record.attributes) {
                self.refresh(content, record.clone()).await?;
                return Ok(Some(Outcome::Agreed));
            }
            let version = record.version_id.as_ref();
            let head = self.ctx.store.head(self.at(), version).await?;
            // The index may be younger than the object, or older than attributes.
            let says = head.as_ref().and_then(|head| head.meta.as_ref().ok());
            if is_same && says.is_some_and(|meta| has_attributes(content, meta.attributes.id())) {
                self.refresh(content, record.clone()).await?;
                return Ok(Some(Outcome::Answered));
            }
            return self.restamp(content, head).await;
        }
        // After a kill the bucket may have taken more than the index knows.
        let is_verified = record.is_none() || stored_hash.is_some();
        if is_verified && self.source.compared.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let Some(head) = self.ctx.store.head(self.at(), None).await? else {
            return Ok(None);
        };
        let Ok(meta) = &head.meta else {
            return Ok(None);
        };
        if meta.content != Some(content.hash) || !is_as_long(&head, content) {
            return Ok(None);
        }
        let now = &content.fingerprint;
        let owners = self.ctx.owners(self.item.source);
        let is_forgiven = stored_hash.is_none() && owners.are_forgiven(now);
        // A folder's times change with its contents; they are no change of its own.
        let same = (now.kind == Kind::Folder || meta.mtime_ns == now.mtime_ns)
            && meta.mode == now.mode
            && (meta.owner == now.owner || is_forgiven)
            && meta.kind == now.kind
            && meta.beside == self.beside
            && has_attributes(content, meta.attributes.id());
        if !same {
            return self.restamp(content, Some(head)).await;
        }
        let stored = Stored {
            version_id: head.version_id,
            etag: head.etag,
        };
        let adopted = self.record(content, content.hash, &stored, head.stored_bytes);
        let parts = (!head.gzip).then(|| Self::parts_of(content, &stored, head.stored_bytes));
        self.commit_parts(adopted, parts.flatten(), ActivityDelta::default())
            .await?;
        Ok(Some(Outcome::Answered))
    }

    /// Same content, other metadata: let the server copy the version.
    async fn restamp(
        &self,
        content: &Content,
        head: Option<Head>,
    ) -> Result<Option<Outcome>, Fault> {
        let Some(head) = head else { return Ok(None) };
        let is_ours = head
            .meta
            .as_ref()
            .is_ok_and(|m| m.content == Some(content.hash) && m.kind == content.fingerprint.kind);
        if !is_ours {
            return Ok(None);
        }
        // Of one in parts only its checksum tells whether the copy is the same.
        let head = match is_of_one_piece(&head.etag) {
            true => head,
            false => {
                let version = head.version_id.as_ref();
                let with_sums = self.ctx.store.head_with_sums(self.at(), version).await?;
                match with_sums.filter(|again| again.etag == head.etag) {
                    Some(with_sums) => with_sums,
                    None => return Ok(None),
                }
            }
        };
        let meta = self.meta(content);
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
        let copied = transfer::copy(&self.job(), content, &original, meta).await;
        let Copied::Stored(stored) = self.unless_answered(content, copied).await? else {
            return Ok(None);
        };
        self.heard(Deed::Copied, &stored).await;
        let record = self.record(content, content.hash, &stored, head.stored_bytes);
        let delta = ActivityDelta {
            metadata_updates: 1,
            versions: 1,
            ..ActivityDelta::default()
        };
        let parts = self.parts_of_copy(content, &head, &stored).await?;
        self.commit_parts(record, parts, delta).await?;
        tracing::info!(source = %self.source.config.name, path = %self.item.path, "metadata updated");
        Ok(Some(Outcome::Sent))
    }

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
            stored_at_ms: self.ctx.now_ms(),
            racy: content.racy,
            look: content.look,
            attributes: content.attributes.attributes.id(),
        }
    }

    /// Write the record, and what the version is made of where that is known.
    async fn commit_parts(
        &self,
        record: Record,
        parts: Option<Parts>,
        delta: ActivityDelta,
    ) -> Result<(), Fault> {
        if delta.versions > 0 {
            self.count_version(&record);
        }
        let (ctx, key, source) = (Arc::clone(self.ctx), self.key.clone(), self.source.id);
        if parts.is_some() {
            // Large, so it is rare.
            return blocking(move || ctx.index.commit_parts(source, &key, record, parts, &delta))
                .await;
        }
        let commit = Commit {
            source,
            key,
            change: Change::Put(record),
            activity: delta,
        };
        ctx.commits.commit(&ctx.index, commit).await
    }

    async fn stored(&self, content: &Content, done: Done) -> Result<(), Fault> {
        let size_bytes = content.fingerprint.size_bytes;
        let (stored_bytes, cost) = (done.stored_bytes, done.cost);
        self.heard(Deed::Stored, &done.stored).await;
        let delta = ActivityDelta {
            versions: 1,
            raw_bytes: size_bytes,
            stored_bytes,
            saved_bytes: size_bytes.saturating_sub(cost.sent_bytes),
            ..ActivityDelta::default()
        };
        let record = self.record(content, done.hash, &done.stored, stored_bytes);
        self.commit_parts(record, done.parts, delta).await?;
        let after_ms = self.ctx.steady_ms().saturating_sub(self.item.since_ms);
        tracing::info!(
            source = %self.source.config.name,
            path = %self.item.path,
            size_bytes,
            stored_bytes,
            sent_bytes = cost.sent_bytes,
            reused_bytes = cost.reused_bytes,
            requests = cost.requests,
            after_ms,
            version_id = %id_text(&done.stored.version_id),
            "stored"
        );
        self.tell_stored(size_bytes, stored_bytes, after_ms);
        Ok(())
    }

    /// What the answer says of the bucket.
    pub(crate) async fn heard(&self, deed: Deed, stored: &Stored) {
        destination::heard(self.ctx, self.item.source, deed, stored.version_id.as_ref()).await;
    }

    /// It counts for how often this file may be stored, and what that costs.
    pub(crate) fn count_version(&self, record: &Record) {
        if record.fingerprint.kind == Kind::File {
            let (source, path) = (self.item.source, &self.item.path);
            let now_ms = self.ctx.now_ms();
            self.ctx
                .pacing
                .stored(source, path, record.stored_bytes, now_ms);
        }
    }

    pub(crate) fn tell_stored(&self, size_bytes: u64, stored_bytes: u64, after_ms: i64) {
        self.ctx.board.tell(News::Stored {
            source: self.item.source,
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

/// A copy that a server made wrong, and that nobody has looked at since, has the
/// right metadata all the same.
fn is_as_long(head: &Head, content: &Content) -> bool {
    head.gzip || head.stored_bytes == content.fingerprint.size_bytes
}

/// Those of the file are these. Of what could not be read nobody knows better.
fn has_attributes(content: &Content, then: Option<u64>) -> bool {
    content.attributes.may_be(then)
}

/// What the object's metadata says of the file would stay the same.
fn is_same_meta(then: &Fingerprint, now: &Fingerprint) -> bool {
    then.kind == now.kind
        && then.size_bytes == now.size_bytes
        && then.mode == now.mode
        && then.owner == now.owner
        && (then.mtime_ns == now.mtime_ns || now.kind == Kind::Folder)
}
