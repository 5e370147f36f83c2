//! Listings of uploads under way and of their parts.

use super::convert::{Encoder, set_sums, timestamp};
use super::inner::Inner;
use super::list::{Item, PAGE_ITEMS_MAX, Query};
use super::multipart::{Part, Upload};
use super::op_bucket::owner;
use s3s::S3Result;
use s3s::dto::*;

pub(super) fn list_parts(inner: &Inner, input: ListPartsInput) -> S3Result<ListPartsOutput> {
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

pub(super) fn list_uploads(
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
        max,
        ..Query::default()
    };
    let key_marker = input.key_marker.clone().unwrap_or_default();
    let id_marker = input.upload_id_marker.clone().unwrap_or_default();
    let all = inner.uploads(&input.bucket)?;
    let (items, is_truncated) = uploads_page(all, &query, &key_marker, &id_marker);
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

/// One page of the uploads, each with the key or common prefix it goes by.
fn uploads_page(
    mut all: Vec<Upload>,
    query: &Query,
    key_marker: &str,
    id_marker: &str,
) -> (Vec<(Item<Upload>, String)>, bool) {
    // Uploads of one key come in the order they began; the marker names one of them.
    let seen = all
        .iter()
        .rposition(|upload| upload.key == key_marker && upload.id == id_marker);
    let first = seen.map_or_else(
        || all.partition_point(|upload| upload.key.as_str() <= key_marker),
        |at| at + 1,
    );
    let mut items: Vec<(Item<Upload>, String)> = Vec::new();
    let mut is_truncated = false;
    for upload in all.split_off(first) {
        if !upload.key.starts_with(&query.prefix) {
            continue;
        }
        let (item, key) = match query.common_prefix(&upload.key).map(str::to_owned) {
            Some(common) if common.as_str() <= key_marker => continue,
            Some(common) if items.last().is_some_and(|(_, last)| *last == common) => continue,
            Some(common) => (Item::Prefix(common.clone()), common),
            None => (Item::Entry(upload.clone()), upload.key),
        };
        if items.len() == query.max {
            is_truncated = query.max > 0;
            break;
        }
        items.push((item, key));
    }
    (items, is_truncated)
}
