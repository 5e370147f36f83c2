//! What a server says of one version without its bytes.

use super::at::At;
use super::error;
use super::store::Store;
use crate::types::{
    Class, ContentHash, Crc64, ETag, Fault, Kind, MetaRefused, ObjectMeta, Operation, VersionId,
};
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::{ChecksumMode, ChecksumType, ServerSideEncryption};
use std::collections::HashMap;

/// What HEAD says of one version.
#[derive(Debug, Clone)]
pub struct Head {
    /// Version id; empty when the bucket is not versioned.
    pub version_id: Option<VersionId>,
    /// ETag without quotes.
    pub etag: ETag,
    /// Bytes of the object as stored.
    pub stored_bytes: u64,
    /// True when the body is gzip.
    pub gzip: bool,
    /// What the object says about its file, or why that cannot be understood.
    pub meta: Result<ObjectMeta, MetaRefused>,
    /// What the server says that its bytes are.
    pub bytes_are: BytesAre,
}

impl Head {
    /// The version says of itself that it holds this content, of a file, link or folder.
    pub fn holds(&self, kind: Kind, content: &ContentHash) -> bool {
        let meta = self.meta.as_ref();
        meta.is_ok_and(|meta| meta.kind == kind && meta.content.as_ref() == Some(content))
    }
}

/// What a server says that the bytes of a version are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BytesAre {
    /// The SHA-256 of all of them, where it has that. Only
    /// [`Store::head_with_sums`] asks for it.
    pub sha256: Option<ContentHash>,
    /// Their CRC-64/NVME, likewise.
    pub crc64: Option<Crc64>,
    /// They are encrypted so that the ETag is not the MD5 of the content (S3 API,
    /// "Object": SSE-KMS, SSE-C).
    pub etag_says_nothing: bool,
}

pub(super) fn bytes_are(head: &HeadObjectOutput) -> BytesAre {
    let is_whole = head.checksum_type() != Some(&ChecksumType::Composite);
    let encrypted = head.server_side_encryption();
    BytesAre {
        // That of an upload in parts has their number behind it, and is none.
        sha256: head
            .checksum_sha256()
            .filter(|_| is_whole)
            .and_then(ContentHash::from_base64),
        crc64: head
            .checksum_crc64_nvme()
            .filter(|_| is_whole)
            .and_then(Crc64::from_base64),
        etag_says_nothing: head.sse_customer_algorithm().is_some()
            || encrypted.is_some_and(|kind| *kind != ServerSideEncryption::Aes256),
    }
}

pub(super) fn parse_meta(
    metadata: Option<&HashMap<String, String>>,
) -> Result<ObjectMeta, MetaRefused> {
    ObjectMeta::from_headers(
        metadata
            .into_iter()
            .flatten()
            .map(|(k, v)| (k.as_str(), v.as_str())),
    )
}

impl Store {
    /// What the newest (or the given) version says of itself; `None` when there
    /// is none or a delete marker is current.
    ///
    /// # Errors
    /// Any class but `NotFound`.
    pub async fn head(
        &self,
        at: At<'_>,
        version_id: Option<&VersionId>,
    ) -> Result<Option<Head>, Fault> {
        self.look_up(at, version_id, None).await
    }

    /// The same, and what the server knows of the bytes themselves. On a bucket
    /// that encrypts with KMS it takes the right to decrypt, like a copy.
    ///
    /// # Errors
    /// As [`Store::head`].
    pub async fn head_with_sums(
        &self,
        at: At<'_>,
        version_id: Option<&VersionId>,
    ) -> Result<Option<Head>, Fault> {
        self.look_up(at, version_id, Some(ChecksumMode::Enabled))
            .await
    }

    async fn look_up(
        &self,
        at: At<'_>,
        version_id: Option<&VersionId>,
        sums: Option<ChecksumMode>,
    ) -> Result<Option<Head>, Fault> {
        let answer = self
            .quick
            .short
            .head_object()
            .bucket(at.bucket)
            .key(at.key)
            .set_version_id(self.version_asked(at.bucket, version_id))
            .set_checksum_mode(sums)
            .send()
            .await;
        match answer {
            Ok(head) => Ok(Some(Head {
                version_id: head.version_id().and_then(VersionId::new),
                etag: ETag::of_header(head.e_tag()),
                stored_bytes: u64::try_from(head.content_length().unwrap_or(0)).unwrap_or(0),
                gzip: head.content_encoding() == Some("gzip"),
                meta: parse_meta(head.metadata()),
                bytes_are: bytes_are(&head),
            })),
            Err(error) => {
                let is_mute = error.code().is_none_or(str::is_empty);
                let fault = error::from_sdk(Operation::LookUp, &at.subject(), error);
                match fault.class {
                    Class::NotFound => Ok(None),
                    // HEAD has no body to say why: a request that has one tells
                    // wrong keys from missing rights and expired tokens.
                    Class::Denied | Class::Refused if is_mute => {
                        self.reach(at.bucket).await?;
                        Err(fault)
                    }
                    _ => Err(fault),
                }
            }
        }
    }
}
