//! What the index has noted of uploads in parts.

use super::wanted::proof;
use crate::index::Multipart;
use crate::os::blocking::blocking_on;
use crate::s3::{ObjectHeaders, Proof};
use crate::transfer::read::Content;
use crate::transfer::send::Job;
use crate::types::Fault;

impl Job {
    /// The uploads of this object that are open, as far as the index knows.
    pub(crate) async fn left_open(&self) -> Result<Vec<Multipart>, Fault> {
        let mut notes = self
            .noted(|job| {
                job.index
                    .multiparts_at(job.source, &job.bucket, &job.bucket_key)
            })
            .await?;
        notes.retain(|note| note.is_begun() && !self.uploads.is_aborting(&note.upload_id));
        // The newest one usually has the most parts.
        notes.sort_by_key(|note| std::cmp::Reverse(note.noted_ms));
        Ok(notes)
    }

    /// Whether an upload of exactly this was interrupted after the server had taken
    /// parts of it; if so, what proves those parts.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub(crate) async fn waiting(
        &self,
        headers: &ObjectHeaders,
        content: &Content,
        plan: &str,
    ) -> Result<Option<Proof>, Fault> {
        if content.is_torn {
            return Ok(None);
        }
        let wanted = self.wanted(headers, content, plan);
        for note in self.left_open().await? {
            let Some(resume) = note.resume.clone() else {
                continue;
            };
            if !self.is_wanted(&note, Some(&wanted)) {
                continue;
            }
            let acknowledged = self.noted(move |job| job.index.parts_acknowledged(&note));
            if resume.parts > 0 || !acknowledged.await?.is_empty() {
                return Ok(Some(proof(&resume)));
            }
        }
        Ok(None)
    }

    /// Work with the index, off the async threads.
    pub(crate) async fn noted<T: Send + 'static>(
        &self,
        work: impl FnOnce(Job) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let job = self.clone();
        blocking_on("prepare", self.path.to_string(), move || work(job)).await
    }
}
