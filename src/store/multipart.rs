//! Uploads in parts. Whoever opens one completes it or aborts it.
//!
//! A server that knows S3's checksum of a whole object (CRC-64/NVME) checks the
//! joined bytes against ours before they become a version; others check each
//! part that is sent by its SHA-256. Which it is, its first answer says.

use super::object::metadata;
use super::{At, ObjectHeaders, Store, Stored, client, fault, sha256_header};
use crate::error::{Class, Fault};
use crate::model::{ContentHash, Crc64};
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering;

/// Pages of a list of parts: 10,000 parts by 1,000 each.
const PART_PAGES_MAX: usize = 10;

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
            .await
            .map_err(|e| fault::from_sdk_unless_unknown("begin the upload of", &at.subject(), e))?;
        let is_whole = answer.checksum_type() == Some(&ChecksumType::FullObject)
            && answer.checksum_algorithm() == Some(&ChecksumAlgorithm::Crc64Nvme);
        match answer.upload_id() {
            Some(id) if !id.is_empty() => Ok(Upload {
                id: id.to_owned(),
                proof: match is_whole {
                    true => Proof::Whole,
                    false => Proof::EachPart,
                },
            }),
            _ => Err(Fault::new(
                Class::Refused,
                "begin the upload of",
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
            .map_err(|e| fault::from_sdk("upload a part of", &at.subject(), e))?;
        Ok(PartDone {
            number,
            etag: answer.e_tag().unwrap_or_default().to_owned(),
            sha256: sums.sha256,
            crc64: Some(sums.crc64),
        })
    }

    /// The parts that the server has of an open upload, by their numbers.
    ///
    /// # Errors
    /// Any class; `NotFound` when the upload is over.
    pub async fn list_parts(&self, at: At<'_>, upload_id: &str) -> Result<Vec<ListedPart>, Fault> {
        let (mut parts, mut marker) = (Vec::new(), None);
        for _ in 0..PART_PAGES_MAX {
            let page = self
                .client
                .list_parts()
                .bucket(at.bucket)
                .key(at.key)
                .upload_id(upload_id)
                .set_part_number_marker(marker.take())
                .customize()
                .config_override(self.listing())
                .send()
                .await
                .map_err(|e| {
                    fault::from_sdk_unless_unknown("list the parts of", &at.subject(), e)
                })?;
            parts.extend(page.parts().iter().filter_map(|part| {
                Some(ListedPart {
                    bytes: u64::try_from(part.size()?).ok()?,
                    part: PartDone {
                        number: part.part_number()?,
                        etag: part.e_tag()?.to_owned(),
                        sha256: sha256_of(part.checksum_sha256()),
                        crc64: crc64_of(part.checksum_crc64_nvme()),
                    },
                })
            }));
            marker = page.next_part_number_marker().map(str::to_owned);
            if page.is_truncated() != Some(true) || marker.is_none() {
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
                let fault = fault::from_sdk("complete the upload of", &at.subject(), error);
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
        Ok(self.with_etag(at, stored).await)
    }

    /// The same version with its ETag, asked for where the answer left it out
    /// (`Differs::CompletionWithoutETag`). Without one every comparison would take
    /// the object for somebody else's. The version is there whether the question is
    /// answered or not; the next comparison asks again.
    async fn with_etag(&self, at: At<'_>, stored: Stored) -> Stored {
        if !stored.etag.is_empty() {
            return stored;
        }
        let version_id = Some(stored.version_id.as_str()).filter(|id| !id.is_empty());
        match self.head(at, version_id).await {
            Ok(Some(head)) => Stored {
                version_id: match version_id {
                    Some(_) => stored.version_id,
                    None => head.version_id,
                },
                etag: head.etag,
            },
            _ => stored,
        }
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

    /// Open uploads of one key, at most S3's page of 1,000.
    ///
    /// # Errors
    /// Any class.
    pub async fn open_uploads_of(&self, at: At<'_>) -> Result<Vec<Begun>, Fault> {
        let answer = self
            .client
            .list_multipart_uploads()
            .bucket(at.bucket)
            // The key itself is the first of those that begin with it.
            .prefix(at.key)
            .customize()
            .config_override(self.listing())
            .send()
            .await
            .map_err(|e| {
                fault::from_sdk_unless_unknown("list the open uploads of", &at.subject(), e)
            })?;
        Ok(answer
            .uploads()
            .iter()
            .filter(|upload| upload.key() == Some(at.key))
            .filter_map(|upload| {
                Some(Begun {
                    upload_id: upload.upload_id()?.to_owned(),
                    initiated_ms: upload.initiated()?.to_millis().ok()?,
                })
            })
            .collect())
    }

    /// Open uploads below a prefix, at most S3's page of 1,000.
    ///
    /// # Errors
    /// Any class.
    pub async fn open_uploads(&self, bucket: &str, prefix: &str) -> Result<Vec<OpenUpload>, Fault> {
        let answer = self
            .client
            .list_multipart_uploads()
            .bucket(bucket)
            .prefix(prefix)
            .customize()
            .config_override(self.listing())
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

pub(super) fn sha256_of(header: Option<&str>) -> Option<ContentHash> {
    ContentHash::from_base64(header?)
}

pub(super) fn crc64_of(header: Option<&str>) -> Option<Crc64> {
    Crc64::from_base64(header?)
}
