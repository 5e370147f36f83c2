//! Beginning and ending uploads in parts, so that none is left in the bucket,
//! where nobody sees it and everybody pays for it.
//!
//! Invariant: the index knows of every upload that the server may have begun
//! for us. Before the server is asked, the intention is noted; its note stays
//! when the answer is lost, and whoever finds it (the next upload of the same
//! file, or the next start) aborts what stands open at that key.

use super::send::{Job, local_fault};
use crate::error::{Class, Fault};
use crate::index::{Index, Multipart};
use crate::store::{At, ObjectHeaders, Store};

/// What the note of an intention has in the place of the server's upload id.
/// No server's id begins like this.
const INTENTION: char = '?';

impl Job {
    /// Begin an upload in parts and note it, so that it is aborted at the next
    /// start if this process dies.
    pub(super) async fn begin(&self, headers: &ObjectHeaders) -> Result<String, Fault> {
        self.clear_earlier().await?;
        let intention = format!("{INTENTION}{:016x}", fastrand::u64(..));
        self.note(&intention).await?;
        let begun = self.store.begin_multipart(self.at(), headers).await;
        if begun
            .as_ref()
            .is_err_and(|fault| fault.class.is_transient())
        {
            // It may be begun, its answer lost. What cannot be cleared now stays
            // noted.
            if let Err(fault) = self.clear_earlier().await {
                tracing::debug!("an unfinished upload may stay in the bucket for now: {fault}");
            }
            return begun;
        }
        let noted = match &begun {
            Ok(upload_id) => self.note(upload_id).await,
            Err(_) => Ok(()),
        };
        if let (Ok(upload_id), Err(fault)) = (&begun, noted) {
            self.store.abort_multipart(self.at(), upload_id).await?;
            return Err(fault);
        }
        self.forget(&intention).await?;
        begun
    }

    /// The upload is over: abort it unless it was completed, and forget it.
    pub(super) async fn end(&self, upload_id: &str, completed: bool) -> Result<(), Fault> {
        if !completed {
            // If this fails too, the note stays and whoever finds it aborts it.
            self.store.abort_multipart(self.at(), upload_id).await?;
        }
        self.forget(upload_id).await
    }

    /// Abort what earlier tries of this file have left open. No other worker
    /// has one under way: a path is never in two workers.
    async fn clear_earlier(&self) -> Result<(), Fault> {
        let index = self.index.clone();
        let left = self.blocking(move || index.multiparts()).await?;
        for upload in left {
            if (upload.source, &upload.key) == (self.source, &self.key) {
                clear(&self.store, &self.index, upload).await?;
            }
        }
        Ok(())
    }

    async fn note(&self, upload_id: &str) -> Result<(), Fault> {
        let (job, id) = (self.clone(), upload_id.to_owned());
        self.blocking(move || {
            job.index
                .multipart_begin(job.source, &job.key, &id, &job.bucket, &job.bucket_key)
        })
        .await
    }

    async fn forget(&self, upload_id: &str) -> Result<(), Fault> {
        let (job, id) = (self.clone(), upload_id.to_owned());
        self.blocking(move || job.index.multipart_end(job.source, &job.key, &id))
            .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|e| local_fault(&self.path, &e))?
    }
}

/// Abort an upload that is noted and not under way, and forget it. Of a mere
/// intention, whatever stands open at exactly its key, unless somebody else has
/// seen to it meanwhile.
///
/// # Errors
/// Whatever the store reports; the note stays then.
pub async fn clear(store: &Store, index: &Index, upload: Multipart) -> Result<(), Fault> {
    let at = At {
        bucket: &upload.bucket,
        key: &upload.bucket_key,
    };
    if upload.upload_id.starts_with(INTENTION) {
        let open = match store.open_uploads(&upload.bucket, &upload.bucket_key).await {
            Ok(open) => open,
            Err(fault) if fault.class == Class::Denied => {
                // Not worth holding up a backup: rules of the bucket may see to it.
                tracing::warn!("an unfinished upload may stay in the bucket: {fault}");
                Vec::new()
            }
            Err(fault) => return Err(fault),
        };
        // Whoever begins another upload at this key clears this note first: as
        // long as it stands, what was listed is old.
        if !is_noted(index, &upload).await? {
            return Ok(());
        }
        for left in open.iter().filter(|left| left.key == upload.bucket_key) {
            store.abort_multipart(at, &left.upload_id).await?;
        }
    } else {
        store.abort_multipart(at, &upload.upload_id).await?;
    }
    on_disk(index, move |index| {
        index.multipart_end(upload.source, &upload.key, &upload.upload_id)
    })
    .await
}

async fn is_noted(index: &Index, upload: &Multipart) -> Result<bool, Fault> {
    let upload = upload.clone();
    on_disk(index, move |index| {
        Ok(index.multiparts()?.contains(&upload))
    })
    .await
}

async fn on_disk<T: Send + 'static>(
    index: &Index,
    work: impl FnOnce(Index) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let index = index.clone();
    tokio::task::spawn_blocking(move || work(index))
        .await
        .map_err(|e| {
            let cause = crate::error::chain(&e);
            Fault::new(Class::Local, "use the index", "this computer", cause)
        })?
}
