//! One object: put, head, get, copy, delete marker.

use super::{At, ObjectHeaders, Store, Stored, client, fault, sha256_header, unquote};
use crate::error::{Class, Fault, chain};
use crate::model::ContentHash;
use crate::model::meta::{MetaRefused, ObjectMeta};
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::MetadataDirective;
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::HashMap;

/// What a copy source may carry unescaped (RFC 3986 unreserved, and `/`).
const COPY_SOURCE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/');

/// What HEAD says of one version.
#[derive(Debug, Clone)]
pub struct Head {
    /// Version id; empty when the bucket is not versioned.
    pub version_id: String,
    /// ETag without quotes.
    pub etag: String,
    /// Bytes of the object as stored.
    pub stored_bytes: u64,
    /// True when the body is gzip.
    pub gzip: bool,
    /// What the object says about its file, or why that cannot be understood.
    pub meta: Result<ObjectMeta, MetaRefused>,
}

/// An object's body, read piece by piece.
pub struct GetBody {
    stream: ByteStream,
    subject: String,
}

impl GetBody {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// Class `Transient` when the connection breaks.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        self.stream.try_next().await.map_err(|e| {
            Fault::new(Class::Transient, "download", &self.subject, chain(&e))
                .hint("Keepwatch tries again by itself")
        })
    }

    /// The body as a reader.
    pub fn into_reader(self) -> impl tokio::io::AsyncBufRead + Send + Unpin {
        self.stream.into_async_read()
    }
}

impl Store {
    /// Store `body` as the newest version. The server checks `sha256`, the
    /// hash of exactly these bytes.
    ///
    /// # Errors
    /// Any class; nothing became a version unless the answer was lost on the way.
    pub async fn put(
        &self,
        at: At<'_>,
        body: Bytes,
        sha256: ContentHash,
        headers: &ObjectHeaders,
    ) -> Result<Stored, Fault> {
        self.count();
        let bytes = body.len() as u64;
        let answer = self
            .client
            .put_object()
            .bucket(at.bucket)
            .key(at.key)
            .set_metadata(Some(metadata(headers)))
            .set_content_encoding(headers.gzip.then(|| "gzip".to_owned()))
            .set_content_type(headers.content_type.map(str::to_owned))
            .checksum_sha256(sha256_header(sha256))
            .body(ByteStream::from(body))
            .customize()
            .config_override(client::moving(bytes))
            .send()
            .await
            .map_err(|e| fault::from_sdk("upload", &at.subject(), e))?;
        Ok(Stored::of(answer.version_id(), answer.e_tag()))
    }

    /// What the newest (or the given) version says of itself; `None` when there
    /// is none or a delete marker is current.
    ///
    /// # Errors
    /// Any class but `NotFound`.
    pub async fn head(&self, at: At<'_>, version_id: Option<&str>) -> Result<Option<Head>, Fault> {
        self.count();
        let answer = self
            .client
            .head_object()
            .bucket(at.bucket)
            .key(at.key)
            .set_version_id(version_id.map(str::to_owned))
            .customize()
            .config_override(client::short_operation())
            .send()
            .await;
        match answer {
            Ok(head) => Ok(Some(Head {
                version_id: head.version_id().unwrap_or_default().to_owned(),
                etag: unquote(head.e_tag()),
                stored_bytes: u64::try_from(head.content_length().unwrap_or(0)).unwrap_or(0),
                gzip: head.content_encoding() == Some("gzip"),
                meta: parse_meta(head.metadata()),
            })),
            Err(error) => {
                let is_mute = error.code().is_none_or(str::is_empty);
                let fault = fault::from_sdk("look up", &at.subject(), error);
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

    /// Open the body of the newest (or the given) version.
    ///
    /// # Errors
    /// Any class; `NotFound` when the version is gone.
    pub async fn get(
        &self,
        at: At<'_>,
        version_id: Option<&str>,
    ) -> Result<(Head, GetBody), Fault> {
        self.count();
        let answer = self
            .client
            .get_object()
            .bucket(at.bucket)
            .key(at.key)
            .set_version_id(version_id.map(str::to_owned))
            .customize()
            .config_override(client::short_operation())
            .send()
            .await
            .map_err(|e| fault::from_sdk("download", &at.subject(), e))?;
        let head = Head {
            version_id: answer.version_id().unwrap_or_default().to_owned(),
            etag: unquote(answer.e_tag()),
            stored_bytes: u64::try_from(answer.content_length().unwrap_or(0)).unwrap_or(0),
            gzip: answer.content_encoding() == Some("gzip"),
            meta: parse_meta(answer.metadata()),
        };
        Ok((
            head,
            GetBody {
                stream: answer.body,
                subject: at.subject(),
            },
        ))
    }

    /// Store the version `source_version_id` of the same key again with new
    /// metadata, without sending its content. Up to 5 GiB (S3's own limit).
    ///
    /// # Errors
    /// Any class; `NotFound` when that version is gone.
    pub async fn copy_with_metadata(
        &self,
        at: At<'_>,
        source_version_id: &str,
        headers: &ObjectHeaders,
    ) -> Result<Stored, Fault> {
        self.count();
        let answer = self
            .client
            .copy_object()
            .bucket(at.bucket)
            .key(at.key)
            .copy_source(copy_source(at, source_version_id))
            .metadata_directive(MetadataDirective::Replace)
            .set_metadata(Some(metadata(headers)))
            .set_content_encoding(headers.gzip.then(|| "gzip".to_owned()))
            .set_content_type(headers.content_type.map(str::to_owned))
            .customize()
            .config_override(client::server_work())
            .send()
            .await
            .map_err(|e| fault::from_sdk("update the metadata of", &at.subject(), e))?;
        let etag = answer.copy_object_result().and_then(|r| r.e_tag());
        Ok(Stored::of(answer.version_id(), etag))
    }

    /// Put a delete marker on the key; every version stays. Only for versioned
    /// buckets: elsewhere S3 would destroy the object.
    ///
    /// # Errors
    /// Any class.
    pub async fn mark_deleted(&self, at: At<'_>) -> Result<(), Fault> {
        self.count();
        self.client
            .delete_object()
            .bucket(at.bucket)
            .key(at.key)
            .customize()
            .config_override(client::short_operation())
            .send()
            .await
            .map_err(|e| fault::from_sdk("mark as deleted", &at.subject(), e))?;
        Ok(())
    }
}

/// The largest object that CopyObject takes: 5 GiB (Amazon S3 API, CopyObject).
pub const COPY_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;

pub(super) fn copy_source(at: At<'_>, version_id: &str) -> String {
    let mut source =
        utf8_percent_encode(&format!("{}/{}", at.bucket, at.key), COPY_SOURCE).to_string();
    if !version_id.is_empty() {
        source.push_str("?versionId=");
        source.push_str(version_id);
    }
    source
}

pub(super) fn metadata(headers: &ObjectHeaders) -> HashMap<String, String> {
    headers.meta.to_headers().into_iter().collect()
}

fn parse_meta(metadata: Option<&HashMap<String, String>>) -> Result<ObjectMeta, MetaRefused> {
    ObjectMeta::from_headers(
        metadata
            .into_iter()
            .flatten()
            .map(|(k, v)| (k.as_str(), v.as_str())),
    )
}
