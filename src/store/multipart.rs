//! Uploads in parts. Whoever opens one completes it or aborts it.

use super::object::{copy_source, metadata};
use super::{At, ObjectHeaders, Store, Stored, client, fault, sha256_header};
use crate::error::{Class, Fault};
use crate::model::ContentHash;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;

/// A part the server has acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartDone {
    /// 1 to 10,000.
    pub number: i32,
    /// ETag as S3 gave it.
    pub etag: String,
    /// Hash of the part's bytes; `None` for a part copied on the server.
    pub sha256: Option<ContentHash>,
}

/// An upload that was begun and neither completed nor aborted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenUpload {
    /// Full key.
    pub key: String,
    /// S3's id of the upload.
    pub upload_id: String,
}

impl Store {
    /// Begin an upload in parts; returns its id. Asked once: each asking whose
    /// answer is lost leaves an upload open, which the caller must clear away.
    ///
    /// # Errors
    /// Any class.
    pub async fn begin_multipart(
        &self,
        at: At<'_>,
        headers: &ObjectHeaders,
    ) -> Result<String, Fault> {
        self.count();
        let answer = self
            .client
            .create_multipart_upload()
            .bucket(at.bucket)
            .key(at.key)
            .set_metadata(Some(metadata(headers)))
            .set_content_encoding(headers.gzip.then(|| "gzip".to_owned()))
            .set_content_type(headers.content_type.map(str::to_owned))
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .customize()
            .config_override(client::short_operation().retry_config(RetryConfig::disabled()))
            .send()
            .await
            .map_err(|e| fault::from_sdk("begin the upload of", &at.subject(), e))?;
        match answer.upload_id() {
            Some(id) if !id.is_empty() => Ok(id.to_owned()),
            _ => Err(Fault::new(
                Class::Refused,
                "begin the upload of",
                at.subject(),
                "the server gave no upload id",
            )
            .hint("this server does not support uploads in parts")),
        }
    }

    /// Send one part; the server checks `sha256`.
    ///
    /// # Errors
    /// Any class.
    pub async fn upload_part(
        &self,
        at: At<'_>,
        upload_id: &str,
        number: i32,
        body: Bytes,
        sha256: ContentHash,
    ) -> Result<PartDone, Fault> {
        self.count();
        let bytes = body.len() as u64;
        let answer = self
            .client
            .upload_part()
            .bucket(at.bucket)
            .key(at.key)
            .upload_id(upload_id)
            .part_number(number)
            .checksum_sha256(sha256_header(sha256))
            .body(ByteStream::from(body))
            .customize()
            .config_override(client::moving(bytes))
            .send()
            .await
            .map_err(|e| fault::from_sdk("upload a part of", &at.subject(), e))?;
        Ok(PartDone {
            number,
            etag: answer.e_tag().unwrap_or_default().to_owned(),
            sha256: Some(sha256),
        })
    }

    /// Fill one part from a byte range of an existing version of the same key,
    /// without sending content.
    ///
    /// # Errors
    /// Any class.
    pub async fn copy_part(
        &self,
        at: At<'_>,
        upload_id: &str,
        number: i32,
        source_version_id: &str,
        range: std::ops::Range<u64>,
    ) -> Result<PartDone, Fault> {
        self.count();
        let answer = self
            .client
            .upload_part_copy()
            .bucket(at.bucket)
            .key(at.key)
            .upload_id(upload_id)
            .part_number(number)
            .copy_source(copy_source(at, source_version_id))
            .copy_source_range(format!("bytes={}-{}", range.start, range.end - 1))
            .customize()
            .config_override(client::server_work())
            .send()
            .await
            .map_err(|e| fault::from_sdk("copy a part of", &at.subject(), e))?;
        Ok(PartDone {
            number,
            etag: answer
                .copy_part_result()
                .and_then(|r| r.e_tag())
                .unwrap_or_default()
                .to_owned(),
            sha256: None,
        })
    }

    /// Make the parts the newest version.
    ///
    /// # Errors
    /// Any class. The upload stays open: the caller aborts it.
    pub async fn complete_multipart(
        &self,
        at: At<'_>,
        upload_id: &str,
        mut parts: Vec<PartDone>,
    ) -> Result<Stored, Fault> {
        self.count();
        parts.sort_by_key(|part| part.number);
        let parts = parts
            .into_iter()
            .map(|part| {
                CompletedPart::builder()
                    .part_number(part.number)
                    .e_tag(part.etag)
                    .set_checksum_sha256(part.sha256.map(sha256_header))
                    .build()
            })
            .collect();
        let answer = self
            .client
            .complete_multipart_upload()
            .bucket(at.bucket)
            .key(at.key)
            .upload_id(upload_id)
            .multipart_upload(
                CompletedMultipartUpload::builder()
                    .set_parts(Some(parts))
                    .build(),
            )
            .customize()
            .config_override(client::server_work())
            .send()
            .await
            .map_err(|e| fault::from_sdk("complete the upload of", &at.subject(), e))?;
        Ok(Stored::of(answer.version_id(), answer.e_tag()))
    }

    /// Throw an open upload's parts away. One that is gone already is fine.
    ///
    /// # Errors
    /// Any class but `NotFound`.
    pub async fn abort_multipart(&self, at: At<'_>, upload_id: &str) -> Result<(), Fault> {
        self.count();
        let answer = self
            .client
            .abort_multipart_upload()
            .bucket(at.bucket)
            .key(at.key)
            .upload_id(upload_id)
            .customize()
            .config_override(client::short_operation())
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) => {
                let fault = fault::from_sdk("abort the upload of", &at.subject(), error);
                if fault.class == Class::NotFound {
                    Ok(())
                } else {
                    Err(fault)
                }
            }
        }
    }

    /// Open uploads below a prefix, at most S3's page of 1,000.
    ///
    /// # Errors
    /// Any class.
    pub async fn open_uploads(&self, bucket: &str, prefix: &str) -> Result<Vec<OpenUpload>, Fault> {
        self.count();
        let answer = self
            .client
            .list_multipart_uploads()
            .bucket(bucket)
            .prefix(prefix)
            .customize()
            .config_override(client::short_operation())
            .send()
            .await
            .map_err(|e| fault::from_sdk("list the open uploads of", bucket, e))?;
        Ok(answer
            .uploads()
            .iter()
            .filter_map(|u| {
                Some(OpenUpload {
                    key: u.key()?.to_owned(),
                    upload_id: u.upload_id()?.to_owned(),
                })
            })
            .collect())
    }
}
