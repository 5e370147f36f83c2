//! New metadata for a version whose content stays: copied on the server.

use super::send::Job;
use crate::error::{Class, Fault};
use crate::model::ObjectMeta;
use crate::store::{COPY_BYTES_MAX, Head, Stored};

/// Bytes per part of a copy in parts: S3 takes up to 5 GiB; 1 GiB keeps each
/// request short, and 10,000 of them cover the largest object (5 TiB).
const COPY_PART_BYTES: u64 = 1024 * 1024 * 1024;

/// Store the version that `head` describes again, with `meta`. No content is
/// sent. `None` when the server cannot do it: send the content then.
///
/// # Errors
/// Whatever the store reports, unless sending the content would help.
pub async fn restamp(job: &Job, head: &Head, meta: ObjectMeta) -> Result<Option<Stored>, Fault> {
    let headers = job.headers(meta, head.gzip);
    let result = if head.stored_bytes <= COPY_BYTES_MAX {
        job.store
            .copy_with_metadata(job.at(), &head.version_id, &headers)
            .await
    } else {
        job.copy_in_parts(head, &headers, COPY_PART_BYTES).await
    };
    match result {
        Ok(stored) => Ok(Some(stored)),
        Err(fault)
            if matches!(
                fault.class,
                Class::NotFound | Class::Refused | Class::Denied
            ) =>
        {
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

impl Job {
    /// Copy a version in parts of `part_bytes`.
    ///
    /// # Errors
    /// Whatever the store reports; the upload is aborted then.
    pub(super) async fn copy_in_parts(
        &self,
        head: &Head,
        headers: &crate::store::ObjectHeaders,
        part_bytes: u64,
    ) -> Result<Stored, Fault> {
        let begun = self.begin(headers).await?;
        let upload_id = begun.upload_id.clone();
        let result = async {
            let mut parts = Vec::new();
            let mut from = 0;
            while from < head.stored_bytes {
                let to = head.stored_bytes.min(from + part_bytes);
                let number = i32::try_from(parts.len() + 1).unwrap_or(i32::MAX);
                parts.push(
                    self.store
                        .copy_part(self.at(), &upload_id, number, &head.version_id, from..to)
                        .await?,
                );
                from = to;
            }
            self.store
                .complete_multipart(self.at(), &upload_id, parts)
                .await
        }
        .await;
        let completed = result.is_ok();
        self.conclude(&upload_id, result, completed).await
    }
}
