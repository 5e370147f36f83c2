//! Content that the bucket has already, stored again on the server: under the
//! same key with new metadata, or under another one.

use super::send::Job;
use crate::error::{Class, Fault};
use crate::model::{Crc64, ObjectMeta};
use crate::store::{COPY_BYTES_MAX, CopyFrom, ObjectHeaders, Stored, Whole};

/// Bytes per part of a copy in parts: S3 takes up to 5 GiB; 1 GiB keeps each
/// request short, and 10,000 of them cover the largest object (5 TiB).
const COPY_PART_BYTES: u64 = 1024 * 1024 * 1024;

/// A version that holds the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Original<'a> {
    /// Where it is, in the job's bucket.
    pub from: CopyFrom<'a>,
    /// Its bytes as stored.
    pub stored_bytes: u64,
    /// It is stored compressed.
    pub gzip: bool,
    /// Checksum of these bytes, where it is known.
    pub crc64: Option<Crc64>,
}

/// Store `original` at the job's key, with `meta`. No content is sent. `None`
/// when the server cannot do it: send the content then.
///
/// # Errors
/// Whatever the store reports, unless sending the content would help.
pub async fn copy(
    job: &Job,
    original: &Original<'_>,
    meta: ObjectMeta,
) -> Result<Option<Stored>, Fault> {
    let headers = job.headers(meta, original.gzip);
    let result = if original.stored_bytes <= COPY_BYTES_MAX {
        job.store.copy(job.at(), &original.from, &headers).await
    } else if !job.trusts_copies().await? {
        return Ok(None);
    } else {
        job.copy_in_parts(original, &headers, COPY_PART_BYTES).await
    };
    match result {
        Ok(stored) => Ok(Some(stored)),
        Err(fault)
            if matches!(
                fault.class,
                // The version may be broken while what the disk has is not.
                Class::NotFound | Class::Refused | Class::Denied | Class::Damaged
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
        original: &Original<'_>,
        headers: &ObjectHeaders,
        part_bytes: u64,
    ) -> Result<Stored, Fault> {
        // It costs nobody's line: begun anew when it is broken off.
        let session = self.session(headers, None, "").await?;
        let upload = &session.upload;
        let result = async {
            let mut parts = Vec::new();
            let mut from = 0;
            while from < original.stored_bytes {
                let to = original.stored_bytes.min(from + part_bytes);
                let number = i32::try_from(parts.len() + 1).unwrap_or(i32::MAX);
                parts.push(
                    self.store
                        .copy_part(self.at(), upload, number, &original.from, from..to)
                        .await?,
                );
                from = to;
            }
            let whole = Whole {
                bytes: original.stored_bytes,
                crc64: original.crc64,
            };
            self.store
                .complete_multipart(self.at(), upload, parts, &whole)
                .await
        }
        .await;
        let completed = result.is_ok();
        session.conclude(result, completed).await
    }
}
