//! Reads and writes small objects about the destination itself: they are read whole, and
//! written only if nobody else has written them meanwhile.

use super::at::At;
use super::object_headers::metadata;
use super::object_headers::{ObjectHeaders, sha256_header};
use super::store::Store;
use super::{error, timeouts};
use crate::types::{Class, ContentHash, ETag, Fault, Operation};
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;

/// The field of the metadata that repeats the record: it can be read even after a lifecycle
/// rule has moved the object to cold storage.
const REPEATED: &str = "kw-record";

/// S3 takes 2 KB of metadata; the other fields take under 450 bytes.
const REPEATED_BYTES_MAX: usize = 1_500;

/// What must hold of an object for it to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition<'a> {
    /// Nothing: whatever is there gets a newer version.
    Always,
    /// There is none.
    Absent,
    /// The newest version has this ETag.
    Unchanged(&'a ETag),
}

/// What became of a conditional write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrote {
    /// It is written. Servers that know no preconditions write always.
    Done,
    /// The precondition does not hold.
    PreconditionFailed,
    /// The server does not know such preconditions; nothing was written.
    Unsupported,
}

impl Store {
    /// A small object and its ETag; `None` when there is none. Of a larger one than
    /// `bytes_max` only the beginning is read.
    ///
    /// # Errors
    /// Any class but `NotFound`.
    pub async fn read_record(
        &self,
        at: At<'_>,
        bytes_max: usize,
    ) -> Result<Option<(Vec<u8>, ETag)>, Fault> {
        let (head, mut body) = match self.get(at, None).await {
            Ok(got) => got,
            Err(fault) if fault.class == Class::NotFound => return Ok(None),
            // A lifecycle rule for the whole bucket moves it too.
            Err(fault) if fault.is_cold() => {
                return self.repeated(at).await?.ok_or(fault).map(Some);
            }
            Err(fault) => return Err(fault),
        };
        let mut bytes = Vec::new();
        while let Some(piece) = body.next().await? {
            let room = bytes_max.saturating_sub(bytes.len());
            bytes.extend_from_slice(&piece[..piece.len().min(room)]);
            if bytes.len() >= bytes_max {
                break;
            }
        }
        Ok(Some((bytes, head.etag)))
    }

    /// The record of an object in cold storage, from its metadata, and its ETag.
    async fn repeated(&self, at: At<'_>) -> Result<Option<(Vec<u8>, ETag)>, Fault> {
        let head = self
            .quick
            .short
            .head_object()
            .bucket(at.bucket)
            .key(at.key)
            .send()
            .await
            .map_err(|e| error::from_sdk(Operation::LookUp, &at.subject(), e))?;
        let field = head.metadata().and_then(|fields| fields.get(REPEATED));
        let bytes = field.and_then(|text| BASE64.decode(text).ok());
        Ok(bytes.map(|bytes| (bytes, ETag::of_header(head.e_tag()))))
    }

    /// Store a small object if the precondition holds.
    ///
    /// # Errors
    /// Any class.
    pub async fn write_record(
        &self,
        at: At<'_>,
        body: Bytes,
        headers: &ObjectHeaders,
        precondition: Precondition<'_>,
    ) -> Result<Wrote, Fault> {
        let (absent, unchanged) = match precondition {
            Precondition::Always => (None, None),
            Precondition::Absent => (Some("*".to_owned()), None),
            Precondition::Unchanged(etag) => (None, Some(format!("\"{etag}\""))),
        };
        let mut fields = metadata(headers);
        let repeated = BASE64.encode(&body);
        if repeated.len() <= REPEATED_BYTES_MAX {
            fields.insert(REPEATED.to_owned(), repeated);
        }
        let answer = self
            .client
            .put_object()
            .bucket(at.bucket)
            .key(at.key)
            .set_if_none_match(absent)
            .set_if_match(unchanged)
            .set_metadata(Some(fields))
            .set_content_type(headers.content_type.map(str::to_owned))
            .checksum_sha256(sha256_header(ContentHash::of(&body)))
            .body(ByteStream::from(body))
            .customize()
            .config_override(timeouts::short_operation())
            .send()
            .await;
        match answer {
            Ok(answer) if !ETag::of_header(answer.e_tag()).is_empty() => Ok(Wrote::Done),
            Ok(_) => Err(Fault::new(
                Class::Transient,
                Operation::Upload,
                at.subject(),
                "the server said yes without saying what it stored",
            )),
            Err(error) => not_written(at, precondition, error),
        }
    }
}

/// What an error says of the precondition.
fn not_written(
    at: At<'_>,
    precondition: Precondition<'_>,
    error: SdkError<PutObjectError, HttpResponse>,
) -> Result<Wrote, Fault> {
    let status = error.raw_response().map(|r| r.status().as_u16());
    let is_conditional = precondition != Precondition::Always;
    let fault = error::from_sdk(Operation::Upload, &at.subject(), error);
    match status {
        // Changed, changing, or gone where a precondition was given.
        Some(409 | 412) if is_conditional => Ok(Wrote::PreconditionFailed),
        Some(404)
            if matches!(precondition, Precondition::Unchanged(_))
                && fault.class == Class::NotFound =>
        {
            Ok(Wrote::PreconditionFailed)
        }
        Some(501) if is_conditional => Ok(Wrote::Unsupported),
        _ => Err(fault),
    }
}
