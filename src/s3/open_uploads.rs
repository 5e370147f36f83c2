//! Lists uploads that are neither completed nor aborted, and their parts.

use super::at::At;
use super::error;
use super::store::Store;
use super::upload::{PartDone, crc64_of, sha256_of};
use crate::types::{Fault, Operation};
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::list_multipart_uploads::ListMultipartUploadsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use std::collections::HashSet;

/// Pages of a list of parts: 10,000 parts by 1,000 each.
const PART_PAGES_MAX: usize = 10;

/// Pages of open uploads that are searched: 10,000 uploads. More are left to the bucket's
/// own rules.
const UPLOAD_PAGES_MAX: usize = 10;

/// A part of an open upload that the server has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPart {
    /// Its bytes.
    pub bytes: u64,
    /// The part as its completion names it; checksums where the server tells.
    pub part: PartDone,
}

/// An upload that was begun and neither completed nor aborted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenUpload {
    /// Full key.
    pub key: String,
    /// S3's id of the upload.
    pub upload_id: String,
}

/// An open upload of a key, with the moment it was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// S3's id of the upload.
    pub upload_id: String,
    /// When it was begun by the server's clock, milliseconds since 1970.
    pub initiated_ms: i64,
}

/// An open upload as it is listed.
struct ListedUpload {
    key: String,
    upload_id: String,
    initiated_ms: Option<i64>,
}

impl Store {
    /// The parts that the server has of an open upload, by their numbers.
    ///
    /// # Errors
    /// Any class; `NotFound` when the upload is over.
    pub async fn list_parts(&self, at: At<'_>, upload_id: &str) -> Result<Vec<ListedPart>, Fault> {
        // The parts' own numbers say where the next page begins. A part that the list
        // leaves out is sent again.
        let mut parts: Vec<ListedPart> = Vec::new();
        for _ in 0..PART_PAGES_MAX {
            let last = parts.last().map_or(0, |last| last.part.number);
            let page = self
                .client
                .list_parts()
                .bucket(at.bucket)
                .key(at.key)
                .upload_id(upload_id)
                .set_part_number_marker((last > 0).then(|| last.to_string()))
                .customize()
                .config_override(self.listing())
                .send()
                .await
                .map_err(|e| {
                    error::from_sdk_unless_unknown(Operation::ListParts, &at.subject(), e)
                })?;
            let before = parts.len();
            let given = page.parts().iter().filter_map(|part| {
                Some(ListedPart {
                    bytes: u64::try_from(part.size()?).ok()?,
                    part: PartDone {
                        number: part.part_number()?,
                        etag: part.e_tag()?.to_owned(),
                        sha256: sha256_of(part.checksum_sha256()),
                        crc64: crc64_of(part.checksum_crc64_nvme()),
                    },
                })
            });
            parts.extend(given.filter(|part| part.part.number > last));
            parts.sort_by_key(|part| part.part.number);
            parts.dedup_by_key(|part| part.part.number);
            let brought_new = parts.len() > before;
            if page.is_truncated() == Some(false) || !brought_new {
                break;
            }
        }
        Ok(parts)
    }

    /// Open uploads of one key.
    ///
    /// # Errors
    /// Any class.
    pub async fn open_uploads_of(&self, at: At<'_>) -> Result<Vec<Begun>, Fault> {
        // The key itself is the first of those that begin with it.
        let listed = self.list_uploads(at.bucket, at.key, Some(at.key)).await;
        let listed = listed.map_err(|e| {
            error::from_sdk_unless_unknown(Operation::ListUploads, &at.subject(), e)
        })?;
        let of_key = listed.into_iter().filter(|upload| upload.key == at.key);
        Ok(of_key
            .filter_map(|upload| {
                Some(Begun {
                    upload_id: upload.upload_id,
                    initiated_ms: upload.initiated_ms?,
                })
            })
            .collect())
    }

    /// Open uploads below a prefix.
    ///
    /// # Errors
    /// Any class.
    pub async fn open_uploads(&self, bucket: &str, prefix: &str) -> Result<Vec<OpenUpload>, Fault> {
        let listed = self.list_uploads(bucket, prefix, None).await;
        let listed = listed.map_err(|e| error::from_sdk(Operation::ListUploads, bucket, e))?;
        Ok(listed
            .into_iter()
            .map(|upload| OpenUpload {
                key: upload.key,
                upload_id: upload.upload_id,
            })
            .collect())
    }

    /// Open uploads below a prefix, page by page as long as each brings new ones
    /// and, where `only` is given, not past that key.
    async fn list_uploads(
        &self,
        bucket: &str,
        prefix: &str,
        only: Option<&str>,
    ) -> Result<Vec<ListedUpload>, SdkError<ListMultipartUploadsError, HttpResponse>> {
        let mut all: Vec<ListedUpload> = Vec::new();
        let mut seen = HashSet::new();
        for _ in 0..UPLOAD_PAGES_MAX {
            // By the last upload that came, not by the server's markers.
            let last = all.last();
            let page = self
                .client
                .list_multipart_uploads()
                .bucket(bucket)
                .prefix(prefix)
                .set_key_marker(last.map(|last| last.key.clone()))
                .set_upload_id_marker(last.map(|last| last.upload_id.clone()))
                .customize()
                .config_override(self.listing())
                .send()
                .await?;
            let before = all.len();
            let given = page.uploads().iter().filter_map(|upload| {
                Some(ListedUpload {
                    key: upload.key()?.to_owned(),
                    upload_id: upload.upload_id()?.to_owned(),
                    initiated_ms: upload.initiated().and_then(|at| at.to_millis().ok()),
                })
            });
            all.extend(given.filter(|upload| seen.insert(upload.upload_id.clone())));
            let is_past = all
                .last()
                .is_some_and(|last| only.is_some_and(|k| last.key != k));
            let is_last = page.is_truncated() != Some(true);
            if is_last || is_past || all.len() == before {
                break;
            }
        }
        Ok(all)
    }
}
