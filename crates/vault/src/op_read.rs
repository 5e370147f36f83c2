//! GET and HEAD of objects.

use super::convert::{describe, seconds};
use super::failure;
use super::inner::Inner;
use super::precondition::{is_etag, precondition_failed};
use super::read::BodyStream;
use super::record::{Object, Version};
use super::stage::blocking;
use super::vault::Vault;
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};
use std::ops::Range as Span;

/// The conditions under which an object is wanted.
pub(super) struct Conditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) if_modified_since: Option<Timestamp>,
    pub(super) if_unmodified_since: Option<Timestamp>,
}

/// The conditions of a GET or HEAD.
macro_rules! conditions {
    ($input:expr) => {
        Conditions {
            if_match: $input.if_match.clone(),
            if_none_match: $input.if_none_match.clone(),
            if_modified_since: $input.if_modified_since.clone(),
            if_unmodified_since: $input.if_unmodified_since.clone(),
        }
    };
}

impl Conditions {
    /// In the order of RFC 9110: an ETag's word outweighs a date's.
    pub(super) fn check(&self, version: &Version, object: &Object) -> S3Result<()> {
        // HTTP dates have no milliseconds, so whole seconds are compared.
        let modified = version.modified_ms.div_euclid(1000);
        match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) if !is_etag(condition, &object.etag) => {
                return Err(precondition_failed("If-Match"));
            }
            (None, Some(time)) if modified > seconds(time) => {
                return Err(precondition_failed("If-Unmodified-Since"));
            }
            _ => {}
        }
        let is_unchanged = match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) => is_etag(condition, &object.etag),
            (None, Some(time)) => modified <= seconds(time),
            (None, None) => false,
        };
        if is_unchanged {
            return Err(not_modified(object));
        }
        Ok(())
    }
}

fn not_modified(object: &Object) -> S3Error {
    let mut error = S3Error::new(S3ErrorCode::NotModified);
    let mut headers = http::HeaderMap::new();
    if let Ok(etag) = http::HeaderValue::from_str(&format!("\"{}\"", object.etag)) {
        headers.insert("etag", etag);
    }
    error.set_headers(headers);
    error
}

/// Which bytes are wanted: all, a range, or a part. `Some` in the second place
/// when it is not all.
fn span(
    object: &Object,
    range: Option<Range>,
    part: Option<i32>,
) -> S3Result<(Span<u64>, Option<String>)> {
    let span = match (range, part) {
        (None, None) => return Ok((0..object.size, None)),
        (Some(_), Some(_)) => {
            return Err(failure::refuse(
                S3ErrorCode::InvalidRequest,
                "Range and partNumber cannot be given together",
            ));
        }
        (Some(range), None) => range.check(object.size).map_err(|_| {
            failure::refuse(
                S3ErrorCode::InvalidRange,
                format!("the range lies outside the object's {} bytes", object.size),
            )
        })?,
        (None, Some(part)) => object.part(part).ok_or_else(|| {
            failure::custom(
                "InvalidPartNumber",
                http::StatusCode::RANGE_NOT_SATISFIABLE,
                format!("the object has no part {part}"),
            )
        })?,
    };
    if span.is_empty() {
        return Ok((span, None));
    }
    let shown = format!("bytes {}-{}/{}", span.start, span.end - 1, object.size);
    Ok((span, Some(shown)))
}

/// The version header, which unversioned buckets do not have.
pub(super) fn shown_id(inner: &Inner, bucket: &str, version: &Version) -> S3Result<Option<String>> {
    let never = super::inner::Versioning::Never;
    Ok((inner.bucket(bucket)?.versioning != never).then(|| version.id.clone()))
}

/// A part of an object has no checksum of its own, so none is shown with it.
fn shows_sums(mode: Option<&ChecksumMode>, is_all: bool) -> bool {
    is_all && mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED)
}

impl Vault {
    pub(super) async fn op_get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let inner = self.inner.clone();
        let input = request.input;
        let output = blocking(move || {
            let id = input.version_id.as_deref();
            let (version, object, file) = inner.open_version(&input.bucket, &input.key, id)?;
            conditions!(input).check(&version, &object)?;
            let (span, content_range) = span(&object, input.range, input.part_number)?;
            let is_all = content_range.is_none();
            let mut output = GetObjectOutput {
                content_length: i64::try_from(span.end - span.start).ok(),
                content_range,
                version_id: shown_id(&inner, &input.bucket, &version)?,
                parts_count: input.part_number.and_then(|_| object.parts_count()),
                ..Default::default()
            };
            describe!(
                output,
                version,
                object,
                shows_sums(input.checksum_mode.as_ref(), is_all)
            );
            let body = BodyStream::new(file, &span)
                .map_err(|e| failure::disk("read", &inner.layout.root, &e))?;
            output.body = Some(StreamingBlob::new(body));
            Ok(output)
        })
        .await?;
        Ok(S3Response::new(output))
    }

    pub(super) async fn op_head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let inner = self.inner.clone();
        let input = request.input;
        let output = blocking(move || {
            let id = input.version_id.as_deref();
            let (version, object) = inner.lookup(&input.bucket, &input.key, id)?;
            conditions!(input).check(&version, &object)?;
            let (span, content_range) = span(&object, input.range, input.part_number)?;
            let is_all = content_range.is_none();
            let mut output = HeadObjectOutput {
                content_length: i64::try_from(span.end - span.start).ok(),
                content_range,
                version_id: shown_id(&inner, &input.bucket, &version)?,
                parts_count: input.part_number.and_then(|_| object.parts_count()),
                ..Default::default()
            };
            describe!(
                output,
                version,
                object,
                shows_sums(input.checksum_mode.as_ref(), is_all)
            );
            Ok(output)
        })
        .await
        .map_err(failure::with_message_header)?;
        Ok(S3Response::new(output))
    }
}
