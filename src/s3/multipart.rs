//! Uploads in parts. Whoever opens one completes it or aborts it.
//!
//! A server that knows S3's checksum of a whole object (CRC-64/NVME) checks the
//! joined bytes against ours before they become a version; others check each
//! part that is sent by its SHA-256. Which it is, its first answer says.

use super::acknowledged::Acknowledged;
use super::object::{Head, metadata};
use super::{At, ObjectHeaders, Store, Stored, client, error, sha256_header, xml};
use crate::types::{Class, ContentHash, Crc64, Fault};
use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_s3::operation::RequestId as _;
use aws_sdk_s3::operation::list_multipart_uploads::ListMultipartUploadsError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::atomic::Ordering;

/// Pages of a list of parts: 10,000 parts by 1,000 each.
const PART_PAGES_MAX: usize = 10;

/// Pages of open uploads that are looked through: 10,000 uploads that nobody went
/// on with. What lies beyond is left to the bucket's own rules.
const UPLOAD_PAGES_MAX: usize = 10;

/// What the server checks an upload in parts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proof {
    /// The CRC-64/NVME of the whole object, given when it is completed.
    Whole,
    /// The SHA-256 of each part that is sent. Of copied parts it proves nothing.
    EachPart,
}

/// An upload in parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// S3's id of it.
    pub id: String,
    /// What its bytes are checked by.
    pub proof: Proof,
}

/// Checksums of exactly the bytes of one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sums {
    /// SHA-256; needed unless the upload's proof is [`Proof::Whole`].
    pub sha256: Option<ContentHash>,
    /// CRC-64/NVME.
    pub crc64: Crc64,
}

/// What the whole object must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole {
    /// Bytes as stored.
    pub bytes: u64,
    /// CRC-64/NVME of them, where it is known.
    pub crc64: Option<Crc64>,
}

/// A part the server has acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartDone {
    /// 1 to 10,000.
    pub number: i32,
    /// ETag as S3 gave it.
    pub etag: String,
    /// SHA-256 as sent, or as the server says of a part that it copied.
    pub sha256: Option<ContentHash>,
    /// CRC-64/NVME, likewise.
    pub crc64: Option<Crc64>,
}

/// A part that the server has of an open upload.
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

impl Store {
    /// Begin an upload in parts. Asked once: a second request by the SDK would
    /// leave the first one's upload to nobody if only its answer was lost. The
    /// caller tries again.
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
            // It took no notice of what it does not know. Fails like an answer
            // that was lost: then nobody knows whether the upload is still there.
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

    /// What this server checks uploads in parts by; `None` before the first one.
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
            .config_override(client::once())
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
        // S3 refuses another checksum than the upload was begun with.
        let request = match upload.proof {
            Proof::Whole => request.checksum_crc64_nvme(sums.crc64.to_base64()),
            Proof::EachPart => request.set_checksum_sha256(sums.sha256.map(sha256_header)),
        };
        let answer = request
            .customize()
            .config_override(self.moving(bytes))
            .send()
            .await
            .map_err(|e| error::from_sdk("upload a part of", &at.subject(), e))?;
        // The completion proves the part by this; without it nobody has it.
        let etag = answer.e_tag().filter(|etag| !etag.is_empty());
        let etag = etag.ok_or_else(|| {
            Fault::new(
                Class::Transient,
                "upload a part of",
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

    /// The parts that the server has of an open upload, by their numbers.
    ///
    /// # Errors
    /// Any class; `NotFound` when the upload is over.
    pub async fn list_parts(&self, at: At<'_>, upload_id: &str) -> Result<Vec<ListedPart>, Fault> {
        // Its own numbers say where the next page begins, and what has come: a
        // part that the list leaves out is sent again.
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
                    error::from_sdk_unless_unknown("list the parts of", &at.subject(), e)
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
        mut parts: Vec<PartDone>,
        whole: &Whole,
    ) -> Result<Stored, Fault> {
        parts.sort_by_key(|part| part.number);
        let number_of_parts = parts.len();
        let parts = parts
            .into_iter()
            .map(|part| {
                let sha256 = part.sha256.filter(|_| upload.proof == Proof::EachPart);
                CompletedPart::builder()
                    .part_number(part.number)
                    .e_tag(part.etag)
                    .set_checksum_sha256(sha256.map(sha256_header))
                    .build()
            })
            .collect();
        let mut request = self
            .client
            .complete_multipart_upload()
            .bucket(at.bucket)
            .key(at.key)
            .upload_id(&upload.id)
            .multipart_upload(
                CompletedMultipartUpload::builder()
                    .set_parts(Some(parts))
                    .build(),
            );
        if upload.proof == Proof::Whole {
            request = request
                .set_checksum_crc64_nvme(whole.crc64.map(Crc64::to_base64))
                .checksum_type(ChecksumType::FullObject)
                .set_mpu_object_size(i64::try_from(whole.bytes).ok());
        }
        let answer = request
            .customize()
            .config_override(client::server_work())
            .send()
            .await
            .map_err(|error| {
                let is_other = error.code() == Some("BadDigest");
                let fault = error::from_sdk("complete the upload of", &at.subject(), error);
                let class = if is_other {
                    Class::Damaged
                } else {
                    fault.class
                };
                Fault { class, ..fault }
            })?;
        let joined = crc64_of(answer.checksum_crc64_nvme());
        if let (Some(joined), Some(wanted)) = (joined, whole.crc64)
            && joined != wanted
        {
            return Err(Fault::new(
                Class::Damaged,
                "complete the upload of",
                at.subject(),
                "the server has joined other bytes than it was told to",
            )
            .hint("Keepwatch sends the whole file again by itself"));
        }
        let stored = Stored::of(answer.version_id(), answer.e_tag());
        let answer = Acknowledged {
            operation: "complete the upload of",
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

    /// Throw an open upload's parts away. One that is gone already is fine.
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
            .config_override(client::short_operation())
            .send()
            .await;
        match answer {
            Ok(answer) if answer.request_id().is_some() => Ok(()),
            // An empty answer that S3 has not signed with the request's id may
            // be anybody's.
            Ok(_) => match self.list_parts(at, upload_id).await {
                Err(fault) if fault.class == Class::NotFound => Ok(()),
                Err(fault) => Err(fault),
                Ok(_) => Err(Fault::new(
                    Class::Transient,
                    "abort the upload of",
                    at.subject(),
                    "the server acknowledged that, and the upload is still open",
                )
                .hint("Keepwatch tries again by itself")),
            },
            Err(error) => {
                let fault = error::from_sdk("abort the upload of", &at.subject(), error);
                if fault.class == Class::NotFound {
                    Ok(())
                } else {
                    Err(fault)
                }
            }
        }
    }

    /// Open uploads of one key.
    ///
    /// # Errors
    /// Any class.
    pub async fn open_uploads_of(&self, at: At<'_>) -> Result<Vec<Begun>, Fault> {
        // The key itself is the first of those that begin with it.
        let listed = self.list_uploads(at.bucket, at.key, Some(at.key)).await;
        let listed = listed.map_err(|e| {
            error::from_sdk_unless_unknown("list the open uploads of", &at.subject(), e)
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
        let listed = listed.map_err(|e| error::from_sdk("list the open uploads of", bucket, e))?;
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

/// What fails when an upload cannot be begun.
const BEGIN: &str = "begin the upload of";

/// An open upload as it is listed.
struct ListedUpload {
    key: String,
    upload_id: String,
    initiated_ms: Option<i64>,
}

/// The id of an upload whose answer the SDK cannot read
/// (`Differs::BeginsUnderAnotherRoot`).
fn begun_otherwise<E>(error: &SdkError<E, HttpResponse>) -> Option<String> {
    let response = error.raw_response()?;
    let body = response.body().bytes()?;
    let is_begun = response.status().is_success()
        && xml::root(body).is_some_and(|root| root.starts_with("InitiateMultipartUpload"));
    xml::text_of(body, "UploadId").filter(|_| is_begun)
}

pub(super) fn sha256_of(header: Option<&str>) -> Option<ContentHash> {
    ContentHash::from_base64(header?)
}

pub(super) fn crc64_of(header: Option<&str>) -> Option<Crc64> {
    Crc64::from_base64(header?)
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
