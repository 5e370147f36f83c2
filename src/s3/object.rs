//! Writes one object, or its delete marker.

use super::acknowledged::{Acknowledged, is_as_sent, proves};
use super::at::At;
use super::error;
use super::head::Head;
use super::object_headers::{ObjectHeaders, metadata, sha256_header};
use super::store::Store;
use super::stored::Stored;
use crate::types::{ContentHash, Fault, Operation, VersionId};
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;

impl Store {
    /// Store `body` as the newest version. The server checks `sha256`, the
    /// hash of exactly these bytes.
    ///
    /// # Errors
    /// Any class; nothing became a version unless the answer was lost on the way,
    /// or came from something else than the server.
    pub async fn put(
        &self,
        at: At<'_>,
        body: Bytes,
        sha256: ContentHash,
        headers: &ObjectHeaders,
    ) -> Result<Stored, Fault> {
        let (bytes, sent) = (body.len() as u64, body.clone());
        let small = self.quick.put(self.rates(), bytes);
        let request = small
            .unwrap_or(&self.client)
            .put_object()
            .bucket(at.bucket)
            .key(at.key)
            .set_metadata(Some(metadata(headers)))
            .set_content_encoding(headers.gzip.then(|| "gzip".to_owned()))
            .set_content_type(headers.content_type.map(str::to_owned))
            .checksum_sha256(sha256_header(sha256))
            .body(ByteStream::from(body));
        let answer = match small {
            Some(_) => request.send().await,
            None => {
                let request = request.customize();
                request.config_override(self.moving(bytes)).send().await
            }
        };
        let answer = answer.map_err(|e| error::from_sdk(Operation::Upload, &at.subject(), e))?;
        let stored = Stored::of(answer.version_id(), answer.e_tag());
        let told = answer.checksum_sha256();
        let answer = Acknowledged {
            operation: Operation::Upload,
            is_proved: proves(told, &stored.etag, sent, sha256).await?,
            stored,
        };
        let is_it = |head: &Head| is_as_sent(head, bytes, headers);
        self.acknowledged(at, answer, is_it).await
    }

    /// Put a delete marker on the key; every version stays. Only for versioned
    /// buckets: elsewhere S3 destroys the object. Gives the marker's version id,
    /// none when the answer has none.
    ///
    /// # Errors
    /// Any class.
    pub async fn mark_deleted(&self, at: At<'_>) -> Result<Option<VersionId>, Fault> {
        let answer = self
            .quick
            .short
            .delete_object()
            .bucket(at.bucket)
            .key(at.key)
            .send()
            .await
            .map_err(|e| error::from_sdk(Operation::MarkDeleted, &at.subject(), e))?;
        match answer.version_id.and_then(VersionId::new) {
            Some(id) => Ok(Some(id)),
            // `Differs::WriteWithoutVersionId`, or somebody else's answer.
            None => self.id_of_marker(at).await,
        }
    }
}
