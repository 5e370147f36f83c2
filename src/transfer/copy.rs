//! Copies on the server: a version onto its own key with new metadata, or onto another
//! key.
//!
//! Invariant: a copy counts only when the server's answers prove that it holds the right
//! bytes. An unproved copy is reported as such, its record is distrusted, and the content
//! itself is sent after it.

mod original;
pub(crate) mod proof;

pub use original::Original;

use super::read::Content;
use super::send::Job;
use super::trust::Copying;
use crate::s3::{COPY_BYTES_MAX, ObjectHeaders, Stored, Whole};
use crate::types::{Class, Fault, ObjectMeta, Record};
use proof::Proved;

/// Bytes per part of a copy in parts: S3 takes up to 5 GiB; 1 GiB keeps each
/// request short, and 10,000 of them cover the largest object (5 TiB).
const COPY_PART_BYTES: u64 = 1024 * 1024 * 1024;

/// What became of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Copied {
    /// The copy is the newest version, and proved.
    Stored(Stored),
    /// The server does not copy, or the original is gone: send the content.
    Refused,
    /// Nothing proves that the copy is right: send the content.
    Unproved,
}

/// Have the server copy `original`, which holds `content`, to the job's key, with `meta`.
///
/// # Errors
/// Whatever the store reports, unless sending the content would help.
pub async fn copy(
    job: &Job,
    content: &Content,
    original: &Original<'_>,
    meta: ObjectMeta,
) -> Result<Copied, Fault> {
    if !job.trusts(Copying::Whole).await? {
        return Ok(Copied::Refused);
    }
    let headers = job.headers(meta, original.gzip);
    let result = if original.stored_bytes <= COPY_BYTES_MAX {
        job.store.copy(job.at(), &original.from, &headers).await
    } else if !job.trusts(Copying::Parts).await? {
        return Ok(Copied::Refused);
    } else {
        job.copy_in_parts(original, &headers, COPY_PART_BYTES).await
    };
    let stored = match result {
        Ok(stored) => stored,
        // The stored version may be damaged; the file on disk is not.
        Err(fault) if fault.class == Class::NotFound || proof::is_final(&fault) => {
            return Ok(Copied::Refused);
        }
        Err(fault) => return Err(fault),
    };
    match job.prove(content, original, &headers, &stored).await {
        Ok(Proved::Right(stored)) => Ok(Copied::Stored(stored)),
        Ok(Proved::Wrong(why)) => {
            job.distrust_version(content).await?;
            job.distrust(Copying::Whole, why).await;
            Ok(Copied::Unproved)
        }
        Ok(Proved::Unsaid(why)) => {
            job.distrust_version(content).await?;
            tracing::warn!(path = %job.path, "the file is sent, since nothing proves the server's copy of it: {why}");
            Ok(Copied::Unproved)
        }
        Err(fault) => {
            if proof::looks_wrong(original, &stored) {
                job.distrust_version(content).await?;
            }
            Err(fault)
        }
    }
}

impl Job {
    /// Distrust the record: until the content was sent, nothing that the bucket says of
    /// this key proves anything, even after a kill.
    async fn distrust_version(&self, content: &Content) -> Result<(), Fault> {
        let seen = content.fingerprint;
        self.noted(move |job| {
            let known = job.index.get(job.source, &job.key)?;
            let record = known.unwrap_or_else(|| Record::unverified(seen));
            job.index.update(job.source, &job.key, record.distrusted())
        })
        .await
    }

    /// Copy a version in parts of `part_bytes`.
    ///
    /// # Errors
    /// Whatever the store reports; the upload is aborted then.
    pub(crate) async fn copy_in_parts(
        &self,
        original: &Original<'_>,
        headers: &ObjectHeaders,
        part_bytes: u64,
    ) -> Result<Stored, Fault> {
        // No content is sent, so it is begun anew when it is interrupted.
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
                crc64: original.bytes_are.crc64,
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
