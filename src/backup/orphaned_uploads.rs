//! Orphaned uploads: uploads in parts that a killed run, a failed abort or a lost answer
//! left in the bucket. They are aborted, unless they can still be resumed.
//!
//! Invariant: only uploads are touched that the index has noted as begun, or about to
//! begin, by this installation, and none that a worker is busy with. Where a note has no
//! id, only uploads of exactly its key count that began after it was written. An upload
//! that can be resumed waits as long as its file waits to be sent, but not for ever.

use crate::files;
use crate::files::Pulse;
use crate::guard::{Standing, root_sentinel};
use crate::index::{Index, Multipart, Resume, SourceId};
use crate::os::blocking::blocking;
use crate::os::clock::wall_ms;
use crate::s3::{At, Store};
use crate::source::{SourceRuntime, Sources};
use crate::transfer::{CLOCK_SKEW_MS, Uploads, is_young};
use crate::types::{Class, Fault, Fingerprint, WallMs};
use futures::StreamExt as _;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Aborts at a time: quick enough for the last seconds of a stop, few for a server.
const AT_ONCE: usize = 8;

/// How long a request whose answer was lost may still be carried out: twice its time-out.
const SETTLED_MS: i64 = 60_000;

/// How long a note of an upload on another server or vault is kept, so that its parts are
/// cleared away if somebody goes back there. After that, only a lifecycle rule of that
/// bucket can do it.
const ELSEWHERE_KEEP_MS: i64 = 90 * 24 * 3_600_000;

/// What a sweep may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asking {
    /// Index and disk.
    Disk,
    /// The index alone: there is no time for a disk that may hang.
    Index,
}

/// Clears orphaned uploads away.
#[derive(Clone)]
pub struct OrphanedUploads {
    /// All sources.
    pub sources: Sources,
    /// The server.
    pub store: Store,
    /// The index, where uploads are noted.
    pub index: Index,
    /// Uploads that this process has under way.
    pub uploads: Uploads,
}

impl OrphanedUploads {
    /// Abort orphaned uploads that cannot be resumed; true when none is left.
    pub async fn sweep(&self) -> bool {
        self.sweep_asking(Asking::Disk).await
    }

    /// The same without a look at the disk: what only that would tell stays for later.
    pub async fn sweep_at_stop(&self) -> bool {
        self.sweep_asking(Asking::Index).await
    }

    async fn sweep_asking(&self, asking: Asking) -> bool {
        let noted = {
            let index = self.index.clone();
            blocking(move || index.multiparts()).await
        };
        let noted = match noted {
            Ok(noted) => noted,
            Err(fault) => {
                tracing::error!("{fault}");
                return false;
            }
        };
        let left = noted.into_iter().filter(|note| self.uploads.is_left(note));
        let done = futures::stream::iter(left)
            .map(|note| async move {
                self.clear(&note, asking).await.unwrap_or_else(|fault| {
                    // Stays noted: it is tried again.
                    tracing::warn!("an unfinished upload stays in the bucket for now: {fault}");
                    false
                })
            })
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<_>>()
            .await;
        done.into_iter().all(|done| done)
    }

    /// True when nothing is left of it that should not be.
    async fn clear(&self, note: &Multipart, asking: Asking) -> Result<bool, Fault> {
        if self.is_elsewhere(note) {
            let age_ms = wall_ms() - note.noted_ms;
            if note.noted_ms > WallMs::default() && age_ms < ELSEWHERE_KEEP_MS {
                return Ok(true);
            }
            tracing::warn!(
                destination = %note.destination,
                bucket = %note.bucket,
                key = %note.bucket_key,
                "an unfinished upload at a destination that is not used any more is forgotten: only a lifecycle rule of that bucket can clear it away"
            );
            self.forget(note).await?;
            return Ok(true);
        }
        if self.is_wanted(note, asking).await {
            return Ok(true);
        }
        // A worker that comes now begins anew.
        let Some(_aborting) = self.uploads.abort(note) else {
            return Ok(true);
        };
        let is_over = match self.abort(note).await {
            // Parts go with their bucket. One that a source still names may only be
            // out of reach (a vault's disk that is not there); that is told anyway.
            Err(fault) if fault.class == Class::NoBucket && !self.is_in_use(&note.bucket) => {
                tracing::warn!("an unfinished upload is forgotten with its bucket: {fault}");
                true
            }
            is_over => is_over?,
        };
        if is_over {
            self.forget(note).await?;
        }
        Ok(is_over)
    }

    async fn forget(&self, note: &Multipart) -> Result<(), Fault> {
        let (index, note) = (self.index.clone(), note.clone());
        blocking(move || index.multipart_end(note.source, &note.key, &note.upload_id)).await
    }

    fn is_in_use(&self, bucket: &str) -> bool {
        self.sources.iter().any(|s| s.config.bucket == bucket)
    }

    /// Whether its parts are on another server than the one that is used now, which knows
    /// nothing of them. Notes of earlier versions do not say where they belong, and count
    /// as here.
    fn is_elsewhere(&self, note: &Multipart) -> bool {
        let is_here =
            |source: &Arc<SourceRuntime>| self.index.destination(source.id) == note.destination;
        !note.destination.is_empty() && !self.sources.iter().any(is_here)
    }

    /// Whether it may still be resumed: it can be, is not too old, and its file is still as
    /// it was and not in the bucket. In doubt, it may.
    async fn is_wanted(&self, note: &Multipart, asking: Asking) -> bool {
        let Some(resume) = &note.resume else {
            return false;
        };
        if !note.is_begun() || !is_young(note, wall_ms()) {
            return false;
        }
        let is_its = |source: &&Arc<SourceRuntime>| {
            source.config.bucket == note.bucket
                && source.bucket_key(&note.key).key == note.bucket_key
        };
        let Some(source) = self.sources.iter().find(is_its) else {
            return false;
        };
        let stored = {
            let (index, id, note, resume) =
                (self.index.clone(), source.id, note.clone(), resume.clone());
            blocking(move || is_stored(&index, id, &note, &resume))
        };
        if stored.await == Ok(true) {
            return false;
        }
        if asking == Asking::Index || !source.watchdog.may_work() {
            return true;
        }
        let (own, note) = (Arc::clone(source), note.clone());
        let then = resume.fingerprint;
        let pulse = Pulse::default();
        let look = source
            .watchdog
            .run(&pulse, move || is_on_disk(&own, &note, &then));
        look.await.unwrap_or(true)
    }

    /// True when nothing is left of it in the bucket.
    async fn abort(&self, note: &Multipart) -> Result<bool, Fault> {
        let at = At {
            bucket: &note.bucket,
            key: &note.bucket_key,
        };
        if note.is_begun() {
            self.store.abort_multipart(at, &note.upload_id).await?;
            return Ok(true);
        }
        let now_ms = wall_ms();
        let since_ms = note.noted_ms - CLOCK_SKEW_MS;
        let open = self.store.open_uploads_of(at).await?;
        // A worker may have begun another before the list was made.
        if !self.uploads.is_left(note) {
            return Ok(false);
        }
        // An upload that is noted with its id is not the one whose id is missing.
        let known: BTreeSet<String> = {
            let index = self.index.clone();
            let noted = blocking(move || index.multiparts()).await?;
            noted.into_iter().map(|other| other.upload_id).collect()
        };
        let is_lost = |id: &str, began_ms: WallMs| began_ms >= since_ms && !known.contains(id);
        for upload in &open {
            if is_lost(&upload.upload_id, upload.initiated_ms) {
                self.store.abort_multipart(at, &upload.upload_id).await?;
            }
        }
        // By a clock that was set back it would never be over.
        let age_ms = now_ms - note.noted_ms;
        Ok(!(0..SETTLED_MS).contains(&age_ms))
    }
}

/// Whether the index knows a version of exactly this.
fn is_stored(
    index: &Index,
    source: SourceId,
    note: &Multipart,
    resume: &Resume,
) -> Result<bool, Fault> {
    let record = index.get(source, &note.key)?;
    Ok(record.is_some_and(|record| {
        record.content == Some(resume.content)
            && record.fingerprint.has_same_meta(&resume.fingerprint)
    }))
}

/// Whether the file is still there as it was; blocking.
fn is_on_disk(source: &SourceRuntime, note: &Multipart, then: &Fingerprint) -> Result<bool, Fault> {
    // Where a disk is not mounted, everything looks gone.
    let standing = root_sentinel::standing(&source.guard)?;
    if !matches!(standing, Standing::Itself | Standing::Unknown) {
        return Ok(true);
    }
    files::root_state(&source.config.path)?;
    let path = note.key.path();
    let now = files::stat(&source.config.path, &path)?;
    let is_as_it_was = now.is_some_and(|now| now.has_same_meta(then));
    Ok(is_as_it_was && !source.rules.excluded(&path, false))
}
