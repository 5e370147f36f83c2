//! The operations of multipart uploads.

use super::Vault;
use super::commit::Demand;
use super::convert::{
    self, Encoder, get_sums, kept_headers, own_metadata, set_sums, sum_type, timestamp,
};
use super::failure;
use super::inner::{Inner, Versioning};
use super::list::{Item, PAGE_ITEMS_MAX, Query};
use super::multipart::{Named, PART_NUMBER_MAX, Part, Upload, pour};
use super::op_bucket::owner;
use super::op_write::{announced, open_source, source_conditions};
use super::record::Version;
use super::stage::{Algorithm, Stager, Wanted, blocking, drain, receive};
use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result};
use std::io::{Seek as _, SeekFrom};
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
    let wanted = Wanted {
        algorithms: upload.algorithm().into_iter().collect(),
        ..Wanted::default()
    };
    let mut stager = Stager::new(inner, &wanted)?;
    source
        .file
        .seek(SeekFrom::Start(span.start))
        .map_err(|e| failure::disk("read", &inner.layout.root, &e))?;
    let length = span.end - span.start;
    let md5 = pour(&mut source.file, &inner.layout.root, length, &mut stager)?;
    let is_damaged = stager.len() != length || (length == size && md5 != source.object.md5);
    if is_damaged {
        return Err(failure::damaged(format!(
            "the file of version {} is not what was stored: copy another version",
            source.version.id
        )));
    }
    let (staged, sums) = stager.finish()?;
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
    let parts = input
        .multipart_upload
        .as_ref()
        .and_then(|list| list.parts.as_deref())
        .unwrap_or_default();
    let named: Vec<Named> = parts
        .iter()
        .map(|part| Named {
            number: part.part_number.unwrap_or(0),
            etag: part
                .e_tag
                .as_ref()
                .map(|etag| etag.value().to_owned())
                .unwrap_or_default(),
            sums: get_sums!(part),
        })
        .collect();
    if let Some(size) = input.mpu_object_size {
        let chosen = inner.parts(&input.bucket, &upload.id)?;
        let sum: u64 = named
            .iter()
            .filter_map(|name| chosen.get(&name.number))
            .map(|part| part.size)
            .sum();
        if u64::try_from(size) != Ok(sum) {
            return Err(failure::refuse(
                S3ErrorCode::InvalidRequest,
                format!("the parts have {sum} bytes, not {size}"),
            ));
        }
    }
    let wanted = Wanted {
        given: if upload.is_full_checksum {
            get_sums!(input)
        } else {
            Default::default()
        },
        ..Wanted::default()
    };
    let demand = Demand {
        if_match: input.if_match.clone(),
        if_none_match: input.if_none_match.clone(),
    };
    inner.complete_upload(&input.bucket, &upload, &named, &wanted, &demand)
}

fn list_parts(inner: &Inner, input: ListPartsInput) -> S3Result<ListPartsOutput> {
    let upload = inner.upload(&input.bucket, &input.key, &input.upload_id)?;
    let max = usize::try_from(input.max_parts.unwrap_or(1000))
        .unwrap_or(0)
        .min(PAGE_ITEMS_MAX);
    let after = input.part_number_marker.unwrap_or(0);
    let all = inner.parts(&input.bucket, &upload.id)?;
    let mut rest = all.into_values().filter(|part| part.number > after);
    let page: Vec<Part> = rest.by_ref().take(max).collect();
    let is_truncated = max > 0 && rest.next().is_some();
    let parts = page
        .iter()
        .map(|part| {
            let mut shown = s3s::dto::Part {
                e_tag: Some(ETag::Strong(part.md5.clone())),
                last_modified: Some(timestamp(part.modified_ms)),
                part_number: Some(part.number),
                size: i64::try_from(part.size).ok(),
                ..Default::default()
            };
            set_sums!(shown, part.sums);
            shown
        })
        .collect();
    Ok(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        checksum_algorithm: upload
            .algorithm()
            .map(|a| ChecksumAlgorithm::from_static(a.name())),
        is_truncated: Some(is_truncated),
        max_parts: i32::try_from(max).ok(),
        next_part_number_marker: page.last().map(|part| part.number),
        part_number_marker: Some(after),
        owner: Some(owner()),
        parts: Some(parts),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        ..Default::default()
    })
}

fn list_uploads(
    inner: &Inner,
    input: ListMultipartUploadsInput,
) -> S3Result<ListMultipartUploadsOutput> {
    let encoder = Encoder::new(input.encoding_type.as_ref());
    let max = usize::try_from(input.max_uploads.unwrap_or(1000))
        .unwrap_or(0)
        .min(PAGE_ITEMS_MAX);
    let query = Query {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone().filter(|d| !d.is_empty()),
        ..Query::default()
    };
    let key_marker = input.key_marker.clone().unwrap_or_default();
    let id_marker = input.upload_id_marker.clone().unwrap_or_default();
    let mut all = inner.uploads(&input.bucket)?;
    // Uploads of one key come in the order they began; the marker names one of them.
    let seen = all
        .iter()
        .rposition(|upload| upload.key == key_marker && upload.id == id_marker);
    let first = seen.map_or_else(
        || all.partition_point(|upload| upload.key <= key_marker),
        |at| at + 1,
    );
    let mut items: Vec<(Item<Upload>, String)> = Vec::new();
    let mut is_truncated = false;
    for upload in all.split_off(first) {
        if !upload.key.starts_with(&query.prefix) {
            continue;
        }
        let (item, key) = match query.common_prefix(&upload.key).map(str::to_owned) {
            Some(common) if common <= key_marker => continue,
            Some(common) if items.last().is_some_and(|(_, last)| *last == common) => continue,
            Some(common) => (Item::Prefix(common.clone()), common),
            None => (Item::Entry(upload.clone()), upload.key),
        };
        if items.len() == max {
            is_truncated = max > 0;
            break;
        }
        items.push((item, key));
    }
    let (next_key, next_id) = match items.last().filter(|_| is_truncated) {
        Some((Item::Entry(upload), key)) => (Some(key.clone()), Some(upload.id.clone())),
        Some((Item::Prefix(_), key)) => (Some(key.clone()), None),
        None => (None, None),
    };
    let mut output = ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        delimiter: encoder.option(input.delimiter.as_ref()),
        encoding_type: input.encoding_type,
        is_truncated: Some(is_truncated),
        key_marker: Some(encoder.text(&key_marker)),
        upload_id_marker: Some(id_marker),
        max_uploads: i32::try_from(max).ok(),
        next_key_marker: encoder.option(next_key.as_ref()),
        next_upload_id_marker: next_id,
        prefix: Some(encoder.text(&query.prefix)),
        ..Default::default()
    };
    fill_uploads(&mut output, items, encoder);
    Ok(output)
}

fn fill_uploads(
    output: &mut ListMultipartUploadsOutput,
    items: Vec<(Item<Upload>, String)>,
    encoder: Encoder,
) {
    let (mut uploads, mut prefixes) = (Vec::new(), Vec::new());
    for (item, _) in items {
        match item {
            Item::Prefix(prefix) => prefixes.push(encoder.prefix(&prefix)),
            Item::Entry(upload) => uploads.push(MultipartUpload {
                checksum_algorithm: upload
                    .algorithm()
                    .map(|a| ChecksumAlgorithm::from_static(a.name())),
                initiated: Some(timestamp(upload.initiated_ms)),
                key: Some(encoder.text(&upload.key)),
                owner: Some(owner()),
                storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
                upload_id: Some(upload.id),
                ..Default::default()
            }),
        }
    }
    output.uploads = Some(uploads);
    output.common_prefixes = Some(prefixes);
}
