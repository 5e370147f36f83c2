//! Uploads in parts. Whoever opens one completes it or aborts it.
//!
//! A server that knows S3's checksum of a whole object (CRC-64/NVME) checks the joined
//! bytes against ours before they become a version; others check each part that is sent by
//! its SHA-256. Its first answer says which it is.

use super::acknowledged::Acknowledged;
use super::at::At;
use super::head::Head;
use super::object_headers::metadata;
use super::object_headers::{ObjectHeaders, sha256_header};
use super::store::Store;
use super::stored::Stored;
use super::upload::{PartDone, Proof, Sums, Upload, Whole, crc64_of};
use super::{error, timeouts, xml};
use crate::types::{Class, Crc64, Fault, Operation};
use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_s3::operation::RequestId as _;
use aws_sdk_s3::operation::complete_multipart_upload::CompleteMultipartUploadError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use bytes::Bytes;
use std::sync::atomic::Ordering;

impl Store {
    /// Begin an upload in parts. The SDK does not repeat the request: if only the answer to
    /// the first one was lost, its upload would belong to nobody. The caller tries again.
    ///
    /// # Errors
    /// Any class.
    pub async fn begin_multipart(
        &self,
        at: At<'_>,
        headers: &ObjectHeaders,
    ) -> Result<Upload, Fault> {
        if let Some(proof) = self.proof() {
            return self.begin_with(at, headers, proof).await;
        }
        match self.begin_with(at, headers, Proof::Whole).await {
            Ok(upload) if upload.proof == Proof::Whole => {
                self.remember(Proof::Whole);
                Ok(upload)
            }
            // The server ignored the checksum that it does not know. If the abort fails,
            // nobody knows whether the upload is still there, as after a lost answer.
            Ok(upload) => {
                let aborted = self.abort_multipart(at, &upload.id).await;
                aborted.map_err(|fault| Fault {
                    class: Class::Transient,
                    ..fault
                })?;
                self.remember(Proof::EachPart);
                self.begin_with(at, headers, Proof::EachPart).await
            }
            Err(fault) if fault.class == Class::Refused => {
                let upload = self.begin_with(at, headers, Proof::EachPart).await?;
                self.remember(Proof::EachPart);
                Ok(upload)
            }
            Err(fault) => Err(fault),
        }
    }

    /// How this server checks uploads in parts; `None` before the first one.
    pub fn proof(&self) -> Option<Proof> {
        match self.proof.load(Ordering::Relaxed) {
            1 => Some(Proof::Whole),
            2 => Some(Proof::EachPart),
            _ => None,
        }
    }

    fn remember(&self, proof: Proof) {
        let number = match proof {
            Proof::Whole => 1,
            Proof::EachPart => 2,
        };
        self.proof.store(number, Ordering::Relaxed);
    }

    pub(super) async fn begin_with(
        &self,
        at: At<'_>,
        headers: &ObjectHeaders,
        proof: Proof,
    ) -> Result<Upload, Fault> {
        let (algorithm, kind) = match proof {
            Proof::Whole => (ChecksumAlgorithm::Crc64Nvme, Some(ChecksumType::FullObject)),
            Proof::EachPart => (ChecksumAlgorithm::Sha256, None),
        };
        let answer = self
            .client
            .create_multipart_upload()
            .bucket(at.bucket)
            .key(at.key)
            .set_metadata(Some(metadata(headers)))
            .set_content_encoding(headers.gzip.then(|| "gzip".to_owned()))
            .set_content_type(headers.content_type.map(str::to_owned))
            .checksum_algorithm(algorithm)
            .set_checksum_type(kind)
            .customize()
            .config_override(timeouts::once())
            .send()
            .await;
        let (upload_id, is_whole) = match answer {
            Ok(answer) => {
                let is_whole = answer.checksum_type() == Some(&ChecksumType::FullObject)
                    && answer.checksum_algorithm() == Some(&ChecksumAlgorithm::Crc64Nvme);
                (answer.upload_id().map(str::to_owned), is_whole)
            }
            Err(error) => match begun_otherwise(&error) {
                Some(upload_id) => (Some(upload_id), false),
                None => {
                    let subject = at.subject();
                    return Err(error::from_sdk_unless_unknown(BEGIN, &subject, error));
                }
            },
        };
        match upload_id {
            Some(id) if !id.is_empty() => Ok(Upload {
                id,
                proof: match is_whole {
                    true => Proof::Whole,
                    false => Proof::EachPart,
                },
            }),
            _ => Err(Fault::new(
                Class::Refused,
                BEGIN,
                at.subject(),
                "the server gave no upload id",
            )
            .hint("this server does not support uploads in parts")),
        }
    }

    /// Send one part; the server checks it against `sums`.
    ///
    /// # Errors
    /// Any class.
    pub async fn upload_part(
        &self,
        at: At<'_>,
        upload: &Upload,
        number: i32,
        body: Bytes,
        sums: &Sums,
    ) -> Result<PartDone, Fault> {
        let bytes = body.len() as u64;
        let request = self
            .client
            .upload_part()
            .bucket(at.bucket)
            .key(at.key)
            .upload_id(&upload.id)
            .part_number(number)
            .body(ByteStream::from(body));
        // S3 refuses any other checksum than the one the upload began with.
        let request = match upload.proof {
            Proof::Whole => request.checksum_crc64_nvme(sums.crc64.to_base64()),
            Proof::EachPart => request.set_checksum_sha256(sums.sha256.map(sha256_header)),
        };
        let answer = request
            .customize()
            .config_override(self.moving(bytes))
            .send()
            .await
            .map_err(|e| error::from_sdk(Operation::UploadPart, &at.subject(), e))?;
        // The completion names the part by it.
        let etag = answer.e_tag().filter(|etag| !etag.is_empty());
        let etag = etag.ok_or_else(|| {
            Fault::new(
                Class::Transient,
                Operation::UploadPart,
                at.subject(),
                "the server acknowledged it without an ETag",
            )
            .hint("Keepwatch tries again by itself")
        })?;
        Ok(PartDone {
            number,
            etag: etag.to_owned(),
            sha256: sums.sha256,
            crc64: Some(sums.crc64),
        })
    }

    /// Make the parts the newest version. A server that knows the checksum of a
    /// whole object refuses when they do not make up `whole`.
    ///
    /// # Errors
    /// Any class; the upload stays open then. `Damaged` when the parts do not make
    /// up `whole`; when the server says so only afterwards, they are a version.
    pub async fn complete_multipart(
        &self,
        at: At<'_>,
        upload: &Upload,
        parts: Vec<PartDone>,
        whole: &Whole,
    ) -> Result<Stored, Fault> {
        let number_of_parts = parts.len();
        let mut request = self
            .client
            .complete_multipart_upload()
            .bucket(at.bucket)
            .key(at.key)
            .upload_id(&upload.id)
            .multipart_upload(completion(upload, parts));
        if upload.proof == Proof::Whole {
            request = request
                .set_checksum_crc64_nvme(whole.crc64.map(Crc64::to_base64))
                .checksum_type(ChecksumType::FullObject)
                .set_mpu_object_size(i64::try_from(whole.bytes).ok());
        }
        let answer = request
            .customize()
            .config_override(timeouts::server_work())
            .send()
            .await
            .map_err(|error| not_completed(at, error))?;
        let joined = crc64_of(answer.checksum_crc64_nvme());
        if let (Some(joined), Some(wanted)) = (joined, whole.crc64)
            && joined != wanted
        {
            return Err(Fault::new(
                Class::Damaged,
                Operation::CompleteUpload,
                at.subject(),
                "the server has joined other bytes than it was told to",
            )
            .hint("Keepwatch sends the whole file again by itself"));
        }
        let stored = Stored::of(answer.version_id(), answer.e_tag());
        let answer = Acknowledged {
            operation: Operation::CompleteUpload,
            // The server refuses parts that are not those it acknowledged.
            is_proved: !stored.etag.is_empty(),
            stored,
        };
        let is_it = |head: &Head| {
            let parts = head.etag.rsplit_once('-').map(|(_, parts)| parts);
            head.stored_bytes == whole.bytes
                && parts.is_none_or(|parts| parts == number_of_parts.to_string())
        };
        self.acknowledged(at, answer, is_it).await
    }

    /// Abort an open upload; fine when it is gone already.
    ///
    /// # Errors
    /// Any class but `NotFound`.
    pub async fn abort_multipart(&self, at: At<'_>, upload_id: &str) -> Result<(), Fault> {
        let answer = self
            .client
            .abort_multipart_upload()
            .bucket(at.bucket)
            .key(at.key)
            .upload_id(upload_id)
            .customize()
            .config_override(timeouts::short_operation())
            .send()
            .await;
        match answer {
            Ok(answer) if answer.request_id().is_some() => Ok(()),
            // An empty answer without the request's id may be anybody's.
            Ok(_) => match self.list_parts(at, upload_id).await {
                Err(fault) if fault.class == Class::NotFound => Ok(()),
                Err(fault) => Err(fault),
                Ok(_) => Err(Fault::new(
                    Class::Transient,
                    Operation::AbortUpload,
                    at.subject(),
                    "the server acknowledged that, and the upload is still open",
                )
                .hint("Keepwatch tries again by itself")),
            },
            Err(error) => {
                let fault = error::from_sdk(Operation::AbortUpload, &at.subject(), error);
                if fault.class == Class::NotFound {
                    Ok(())
                } else {
                    Err(fault)
                }
            }
        }
    }
}

/// The parts as the completion of an upload names them.
fn completion(upload: &Upload, mut parts: Vec<PartDone>) -> CompletedMultipartUpload {
    parts.sort_by_key(|part| part.number);
    let named = parts.into_iter().map(|part| {
        let sha256 = part.sha256.filter(|_| upload.proof == Proof::EachPart);
        CompletedPart::builder()
            .part_number(part.number)
            .e_tag(part.etag)
            .set_checksum_sha256(sha256.map(sha256_header))
            .build()
    });
    CompletedMultipartUpload::builder()
        .set_parts(Some(named.collect()))
        .build()
}

/// What failed: `Damaged` where the parts do not make up the whole.
fn not_completed(at: At<'_>, error: SdkError<CompleteMultipartUploadError, HttpResponse>) -> Fault {
    let is_other = error.code() == Some("BadDigest");
    let fault = error::from_sdk(Operation::CompleteUpload, &at.subject(), error);
    match is_other {
        true => Fault {
            class: Class::Damaged,
            ..fault
        },
        false => fault,
    }
}

/// What fails when an upload cannot be begun.
const BEGIN: Operation = Operation::BeginUpload;

/// The id of an upload whose answer the SDK cannot read
/// (`Differs::BeginsUnderAnotherRoot`).
fn begun_otherwise<E>(error: &SdkError<E, HttpResponse>) -> Option<String> {
    let response = error.raw_response()?;
    let body = response.body().bytes()?;
    let is_begun = response.status().is_success()
        && xml::root(body).is_some_and(|root| root.starts_with("InitiateMultipartUpload"));
    xml::text_of(body, "UploadId").filter(|_| is_begun)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_types::body::SdkBody;

    /// An answer that the SDK refuses.
    fn refused(status: u16, body: &str) -> SdkError<std::io::Error, HttpResponse> {
        let body = SdkBody::from(body.to_owned());
        let response = HttpResponse::new(status.try_into().unwrap(), body);
        SdkError::response_error("invalid root", response)
    }

    #[test]
    fn an_upload_that_begins_under_another_root_is_read_all_the_same() {
        let answer = |root: &str| {
            format!(
                "<?xml version=\"1.0\"?>\n<{root}><Bucket>b</Bucket><Key>k</Key><UploadId>u1</UploadId></{root}>"
            )
        };
        for (status, body, want) in [
            (200, answer("InitiateMultipartUpload"), Some("u1")),
            (200, answer("InitiateMultipartUploadResult"), Some("u1")),
            (200, answer("html"), None),
            (500, answer("InitiateMultipartUpload"), None),
            (200, "<InitiateMultipartUpload/>".to_owned(), None),
        ] {
            let got = begun_otherwise(&refused(status, &body));
            assert_eq!(got.as_deref(), want, "{status} {body}");
        }
    }
}
