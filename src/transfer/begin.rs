//! Beginning and ending an upload in parts, noted in the index before and after:
//! whoever dies in between leaves nothing that nobody knows of.

use super::send::{Job, PART_PAUSE, local_fault};
use super::uploads::{UnderWay, wall_ms};
use crate::error::{Class, Fault};
use crate::store::{ObjectHeaders, Upload};

/// Requests to begin an upload in parts; the SDK may not repeat them.
const BEGIN_TRIES: u32 = 3;

/// An upload in parts that this process works on, while it lives.
pub(super) struct Begun {
    pub upload: Upload,
    _under_way: UnderWay,
}

impl Job {
    /// Begin an upload in parts and note it, before and after: so it is aborted
    /// later if this process dies or the answer is lost.
    pub(super) async fn begin(&self, headers: &ObjectHeaders) -> Result<Begun, Fault> {
        let under_way = self.uploads.begin(&self.bucket, &self.bucket_key);
        let now_ms = wall_ms();
        let was_lost = self
            .noted(move |job| {
                job.index.multipart_intend(
                    job.source,
                    &job.key,
                    &job.bucket,
                    &job.bucket_key,
                    now_ms,
                )
            })
            .await?;
        let (answer, is_lost) = self.ask_to_begin(headers).await;
        // A note without an id stays as long as an upload may be there without us.
        let forget = !was_lost && !is_lost;
        let id = answer.as_ref().ok().map(|upload| upload.id.clone());
        let noted = self
            .noted(move |job| {
                if let Some(id) = id {
                    job.index.multipart_begin(
                        job.source,
                        &job.key,
                        &id,
                        &job.bucket,
                        &job.bucket_key,
                    )?;
                }
                match forget {
                    true => job.index.multipart_end(job.source, &job.key, ""),
                    false => Ok(()),
                }
            })
            .await;
        let upload = answer?;
        if let Err(fault) = noted {
            self.store.abort_multipart(self.at(), &upload.id).await?;
            return Err(fault);
        }
        Ok(Begun {
            upload,
            _under_way: under_way,
        })
    }

    /// The answer, and whether one before it may have been lost.
    async fn ask_to_begin(&self, headers: &ObjectHeaders) -> (Result<Upload, Fault>, bool) {
        let (mut pause, mut is_lost) = (PART_PAUSE, false);
        for _ in 1..BEGIN_TRIES {
            match self.store.begin_multipart(self.at(), headers).await {
                Err(fault) if fault.class == Class::Transient => is_lost = true,
                answer => return (answer, is_lost),
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        let answer = self.store.begin_multipart(self.at(), headers).await;
        is_lost |= matches!(&answer, Err(fault) if fault.class == Class::Transient);
        (answer, is_lost)
    }

    /// Write into the index, off the async threads.
    async fn noted<T: Send + 'static>(
        &self,
        write: impl FnOnce(Job) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let job = self.clone();
        tokio::task::spawn_blocking(move || write(job))
            .await
            .map_err(|e| local_fault(&self.path, &e))?
    }

    /// End the upload that brought `result`. A version that the bucket has taken
    /// stays one, whatever the index says to that: to report a failure would have
    /// the whole file sent again.
    pub(super) async fn conclude<T>(
        &self,
        upload_id: &str,
        result: Result<T, Fault>,
        completed: bool,
    ) -> Result<T, Fault> {
        match self.end(upload_id, completed).await {
            Err(fault) if completed => {
                tracing::warn!("a completed upload stays noted for now: {fault}");
                result
            }
            // Why it failed is worth more than that tidying up failed too.
            ended => result.and_then(|result| ended.map(|()| result)),
        }
    }

    /// The upload is over: abort it unless it was completed, and forget it.
    async fn end(&self, upload_id: &str, completed: bool) -> Result<(), Fault> {
        if !completed {
            // If this fails too, the note stays and it is aborted later.
            self.store.abort_multipart(self.at(), upload_id).await?;
        }
        let id = upload_id.to_owned();
        self.noted(move |job| job.index.multipart_end(job.source, &job.key, &id))
            .await
    }
}

#[cfg(test)]
mod tests;
