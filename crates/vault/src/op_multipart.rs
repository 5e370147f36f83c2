//! The operations of multipart uploads.

use super::checksum::Algorithm;
use super::complete::Named;
use super::convert::{self, get_sums, kept_headers, own_metadata, set_sums, sum_type, timestamp};
use super::failure;
use super::inner::{Inner, Versioning};
use super::multipart::{PART_NUMBER_MAX, Upload};
use super::op_copy::{open_source, source_conditions};
use super::op_uploads::{list_parts, list_uploads};
use super::op_write::announced;
use super::precondition::Precondition;
use super::record::Version;
use super::stage::{Wanted, blocking, drain, receive};
use super::vault::Vault;
use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result};
use std::sync::Arc;

fn check_number(number: i32) -> S3Result<()> {
    if (1..=PART_NUMBER_MAX).contains(&number) {
        return Ok(());
    }
    Err(failure::refuse(
        S3ErrorCode::InvalidArgument,
        format!("part numbers are 1 to {PART_NUMBER_MAX}"),
    ))
}

impl Vault {
    pub(super) async fn op_create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = request.input;
        let algorithm = input
            .checksum_algorithm
            .as_ref()
            .and_then(|name| Algorithm::parse(name.as_str()));
        let is_full = match input.checksum_type.as_ref().map(ChecksumType::as_str) {
            Some(kind) => kind == ChecksumType::FULL_OBJECT,
            None => algorithm == Some(Algorithm::Crc64Nvme),
        };
        let upload = Upload {
            id: String::new(),
            key: input.key.clone(),
            initiated_ms: self.inner.now_ms(),
            headers: kept_headers!(input),
            metadata: own_metadata(input.metadata.as_ref())?,
            checksum: algorithm.map(|algorithm| algorithm.name().to_owned()),
            is_full_checksum: is_full && algorithm.is_some(),
        };
        let inner = self.inner.clone();
        let bucket = input.bucket.clone();
        let id = blocking(move || inner.begin_upload(&bucket, &upload)).await?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            checksum_algorithm: algorithm.map(|a| ChecksumAlgorithm::from_static(a.name())),
            checksum_type: algorithm.map(|_| {
                ChecksumType::from_static(if is_full {
                    ChecksumType::FULL_OBJECT
                } else {
                    ChecksumType::COMPOSITE
                })
            }),
            ..Default::default()
        }))
    }

    pub(super) async fn op_upload_part(
        &self,
        mut request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let body = request.input.body.take();
        let inner = self.inner.clone();
        let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
        let (id, number) = (request.input.upload_id.clone(), request.input.part_number);
        let found = blocking(move || {
            check_number(number)?;
            inner.upload(&bucket, &key, &id)
        })
        .await;
        let upload = match found {
            Ok(upload) => upload,
            Err(e) => {
                drain(body).await;
                return Err(e);
            }
        };
        let length = announced(request.input.content_length, body.as_ref());
        let given = get_sums!(request.input);
        let md5 = request.input.content_md5.clone();
        let mut wanted = convert::wanted(&request, given, md5, length);
        wanted.algorithms.extend(upload.algorithm());
        let trailers = convert::trailers(&request);
        let (staged, sums) = receive(&self.inner, body, wanted, trailers).await?;
        let inner = self.inner.clone();
        let bucket = request.input.bucket;
        let part = blocking(move || inner.put_part(&bucket, &upload, number, staged, sums)).await?;
        let mut output = UploadPartOutput {
            e_tag: Some(ETag::Strong(part.md5)),
            ..Default::default()
        };
        set_sums!(output, part.sums);
        Ok(S3Response::new(output))
    }

    pub(super) async fn op_upload_part_copy(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        let inner = self.inner.clone();
        let output = blocking(move || copy_part(&inner, &request.input)).await?;
        Ok(S3Response::new(output))
    }

    pub(super) async fn op_complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        let inner = self.inner.clone();
        let output = blocking(move || {
            let version = complete(&inner, &input)?;
            let versioning = inner.bucket(&input.bucket)?.versioning;
            let object = version.object.clone().unwrap_or_default();
            let mut output = CompleteMultipartUploadOutput {
                location: Some(format!("/{}/{}", input.bucket, input.key)),
                bucket: Some(input.bucket),
                key: Some(input.key),
                e_tag: Some(ETag::Strong(object.etag)),
                checksum_type: sum_type(&object.sums),
                version_id: (versioning != Versioning::Never).then_some(version.id),
                ..Default::default()
            };
            set_sums!(output, object.sums);
            Ok(output)
        })
        .await?;
        Ok(S3Response::new(output))
    }

    pub(super) async fn op_abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let inner = self.inner.clone();
        let input = request.input;
        blocking(move || {
            inner.upload(&input.bucket, &input.key, &input.upload_id)?;
            inner.end_upload(&input.bucket, &input.upload_id)
        })
        .await?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    pub(super) async fn op_list_parts(
        &self,
        request: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        let inner = self.inner.clone();
        let output = blocking(move || list_parts(&inner, request.input)).await?;
        Ok(S3Response::new(output))
    }

    pub(super) async fn op_list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let inner = self.inner.clone();
        let output = blocking(move || list_uploads(&inner, request.input)).await?;
        Ok(S3Response::new(output))
    }
}

fn copy_part(inner: &Arc<Inner>, input: &UploadPartCopyInput) -> S3Result<UploadPartCopyOutput> {
    check_number(input.part_number)?;
    let upload = inner.upload(&input.bucket, &input.key, &input.upload_id)?;
    let mut source = open_source(inner, &input.copy_source, &source_conditions!(input))?;
    let size = source.object.size;
    let span = match &input.copy_source_range {
        None => 0..size,
        Some(text) => source_range(text, size)?,
    };
    let Some((staged, sums)) = source.take(inner, span, upload.algorithm())? else {
        return Err(failure::damaged(format!(
            "the file of version {} is not what was stored: copy another version",
            source.version.id
        )));
    };
    let part = inner.put_part(&input.bucket, &upload, input.part_number, staged, sums)?;
    let mut result = CopyPartResult {
        e_tag: Some(ETag::Strong(part.md5)),
        last_modified: Some(timestamp(part.modified_ms)),
        ..Default::default()
    };
    set_sums!(result, part.sums);
    Ok(UploadPartCopyOutput {
        copy_part_result: Some(result),
        copy_source_version_id: source.shown_id,
        ..Default::default()
    })
}

/// `bytes=first-last`, wholly inside the source.
fn source_range(text: &str, size: u64) -> S3Result<std::ops::Range<u64>> {
    match s3s::dto::Range::parse(text) {
        Ok(Range::Int {
            first,
            last: Some(last),
        }) if last < size => Ok(first..last + 1),
        Ok(Range::Int { last: Some(_), .. }) => Err(failure::refuse(
            S3ErrorCode::InvalidRange,
            format!("the range {text} lies outside the source's {size} bytes"),
        )),
        _ => Err(failure::refuse(
            S3ErrorCode::InvalidArgument,
            "x-amz-copy-source-range must be bytes=first-last",
        )),
    }
}

fn complete(inner: &Arc<Inner>, input: &CompleteMultipartUploadInput) -> S3Result<Version> {
    let upload = match inner.upload(&input.bucket, &input.key, &input.upload_id) {
        Err(e) if *e.code() == S3ErrorCode::NoSuchUpload => {
            // The answer to an earlier completion may have been lost.
            let newest = inner.newest(&input.bucket, &input.key)?;
            let is_done = |version: &Version| {
                let object = version.object.as_ref();
                object.is_some_and(|object| object.upload.as_ref() == Some(&input.upload_id))
            };
            return newest.filter(is_done).ok_or(e);
        }
        other => other?,
    };
    let named = named_parts(input);
    check_size(inner, input, &upload, &named)?;
    let wanted = Wanted {
        given: if upload.is_full_checksum {
            get_sums!(input)
        } else {
            Default::default()
        },
        ..Wanted::default()
    };
    let precondition = Precondition {
        if_match: input.if_match.clone(),
        if_none_match: input.if_none_match.clone(),
    };
    inner.complete_upload(&input.bucket, &upload, &named, &wanted, &precondition)
}

/// The parts that the request names.
fn named_parts(input: &CompleteMultipartUploadInput) -> Vec<Named> {
    let parts = input
        .multipart_upload
        .as_ref()
        .and_then(|list| list.parts.as_deref());
    let parts = parts.unwrap_or_default().iter();
    parts
        .map(|part| Named {
            number: part.part_number.unwrap_or(0),
            etag: part
                .e_tag
                .as_ref()
                .map(|etag| etag.value().to_owned())
                .unwrap_or_default(),
            sums: get_sums!(part),
        })
        .collect()
}

/// Is the object as long as the client says, where it does?
fn check_size(
    inner: &Inner,
    input: &CompleteMultipartUploadInput,
    upload: &Upload,
    named: &[Named],
) -> S3Result<()> {
    let Some(size) = input.mpu_object_size else {
        return Ok(());
    };
    let parts = inner.parts(&input.bucket, &upload.id)?;
    let sum: u64 = named
        .iter()
        .filter_map(|name| parts.get(&name.number))
        .map(|part| part.size)
        .sum();
    if u64::try_from(size) == Ok(sum) {
        return Ok(());
    }
    Err(failure::refuse(
        S3ErrorCode::InvalidRequest,
        format!("the parts have {sum} bytes, not {size}"),
    ))
}
