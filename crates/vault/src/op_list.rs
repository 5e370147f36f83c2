//! Listings of objects and versions.

use super::checksum::Algorithm;
use super::convert::{Encoder, storage_class, sum_type, timestamp};
use super::failure;
use super::headers::{self, ORDER_HEADER};
use super::list::{Item, Listed, PAGE_ITEMS_MAX, Query};
use super::op_bucket::owner;
use super::record::{Object, Sums};
use super::stage::blocking;
use super::vault::Vault;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use http::HeaderValue;
use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Response, S3Result};

/// How many items a page may have; what was asked for and what is given.
fn page_size(asked: Option<i32>, name: &str) -> S3Result<(usize, Option<i32>)> {
    let max = i32::try_from(PAGE_ITEMS_MAX).unwrap_or(i32::MAX);
    let given = asked.unwrap_or(max).min(max);
    let size = usize::try_from(given).map_err(|_| {
        failure::refuse(
            S3ErrorCode::InvalidArgument,
            format!("{name} must not be negative"),
        )
    })?;
    Ok((size, Some(given)))
}

fn query(
    prefix: Option<&String>,
    delimiter: Option<&String>,
    after: Option<String>,
    max: usize,
) -> Query {
    Query {
        prefix: prefix.cloned().unwrap_or_default(),
        delimiter: delimiter.filter(|d| !d.is_empty()).cloned(),
        after: after.filter(|after| !after.is_empty()),
        after_version: None,
        max,
    }
}

fn algorithms(sums: &Sums) -> Option<Vec<ChecksumAlgorithm>> {
    let names: Vec<ChecksumAlgorithm> = Algorithm::ALL
        .into_iter()
        .filter(|algorithm| algorithm.of(sums).is_some())
        .map(|algorithm| ChecksumAlgorithm::from_static(algorithm.name()))
        .collect();
    (!names.is_empty()).then_some(names)
}

fn shown(key: String, modified_ms: i64, object: &Object, shows_owner: bool) -> s3s::dto::Object {
    s3s::dto::Object {
        checksum_algorithm: algorithms(&object.sums),
        checksum_type: sum_type(&object.sums),
        e_tag: Some(ETag::Strong(object.etag.clone())),
        key: Some(key),
        last_modified: Some(timestamp(modified_ms)),
        owner: shows_owner.then(owner),
        size: i64::try_from(object.size).ok(),
        storage_class: Some(ObjectStorageClass::from(storage_class(object))),
        ..Default::default()
    }
}

/// A page as both listings of objects show it.
struct Shown {
    contents: Vec<s3s::dto::Object>,
    prefixes: Vec<CommonPrefix>,
    is_truncated: bool,
    /// The last key or common prefix, not encoded.
    last: Option<String>,
}

impl Vault {
    async fn objects(
        &self,
        bucket: String,
        query: Query,
        encoder: Encoder,
        shows_owner: bool,
    ) -> S3Result<Shown> {
        let inner = self.inner.clone();
        blocking(move || {
            inner.bucket(&bucket)?;
            let page = inner.list_objects(&bucket, &query)?;
            let mut shown_page = Shown {
                contents: Vec::new(),
                prefixes: Vec::new(),
                is_truncated: page.is_truncated,
                last: None,
            };
            for item in page.items {
                match item {
                    Item::Prefix(prefix) => {
                        shown_page.prefixes.push(encoder.prefix(&prefix));
                        shown_page.last = Some(prefix);
                    }
                    Item::Entry((key, modified_ms, object)) => {
                        shown_page.contents.push(shown(
                            encoder.text(&key),
                            modified_ms,
                            &object,
                            shows_owner,
                        ));
                        shown_page.last = Some(key);
                    }
                }
            }
            Ok(shown_page)
        })
        .await
    }

    pub(super) async fn op_list_objects(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let input = request.input;
        let (max, max_keys) = page_size(input.max_keys, "max-keys")?;
        let encoder = Encoder::new(input.encoding_type.as_ref());
        let query = query(
            input.prefix.as_ref(),
            input.delimiter.as_ref(),
            input.marker.clone(),
            max,
        );
        let page = self
            .objects(input.bucket.clone(), query, encoder, true)
            .await?;
        // S3 gives the marker with a delimiter only; always giving it hurts nobody.
        let next = page.last.filter(|_| page.is_truncated);
        Ok(S3Response::new(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: Some(encoder.text(&input.prefix.unwrap_or_default())),
            marker: Some(encoder.text(&input.marker.unwrap_or_default())),
            max_keys,
            is_truncated: Some(page.is_truncated),
            contents: Some(page.contents),
            common_prefixes: Some(page.prefixes),
            delimiter: encoder.option(input.delimiter.as_ref()),
            next_marker: encoder.option(next.as_ref()),
            encoding_type: input.encoding_type,
            ..Default::default()
        }))
    }

    pub(super) async fn op_list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let (max, max_keys) = page_size(input.max_keys, "max-keys")?;
        let encoder = Encoder::new(input.encoding_type.as_ref());
        let after = match &input.continuation_token {
            Some(token) => Some(from_token(token)?),
            None => input.start_after.clone(),
        };
        let query = query(input.prefix.as_ref(), input.delimiter.as_ref(), after, max);
        let shows_owner = input.fetch_owner.unwrap_or(false);
        let page = self
            .objects(input.bucket.clone(), query, encoder, shows_owner)
            .await?;
        let next = page.last.filter(|_| page.is_truncated);
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(encoder.text(&input.prefix.unwrap_or_default())),
            max_keys,
            key_count: i32::try_from(page.contents.len() + page.prefixes.len()).ok(),
            continuation_token: input.continuation_token,
            is_truncated: Some(page.is_truncated),
            next_continuation_token: next.map(|last| BASE64.encode(last)),
            contents: Some(page.contents),
            common_prefixes: Some(page.prefixes),
            delimiter: encoder.option(input.delimiter.as_ref()),
            encoding_type: input.encoding_type,
            start_after: encoder.option(input.start_after.as_ref()),
            ..Default::default()
        }))
    }

    pub(super) async fn op_list_object_versions(
        &self,
        request: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        let input = request.input;
        let (max, max_keys) = page_size(input.max_keys, "max-keys")?;
        let encoder = Encoder::new(input.encoding_type.as_ref());
        let version_marker = input.version_id_marker.clone().filter(|id| !id.is_empty());
        if version_marker.is_some() && input.key_marker.as_deref().unwrap_or_default().is_empty() {
            return Err(failure::refuse(
                S3ErrorCode::InvalidArgument,
                "a version-id marker cannot be given without a key marker",
            ));
        }
        let mut query = query(
            input.prefix.as_ref(),
            input.delimiter.as_ref(),
            input.key_marker.clone(),
            max,
        );
        query.after_version = version_marker;
        let inner = self.inner.clone();
        let bucket = input.bucket.clone();
        let page = blocking(move || {
            inner.bucket(&bucket)?;
            inner.list_versions(&bucket, &query)
        })
        .await?;
        let next = match page.items.last().filter(|_| page.is_truncated) {
            Some(Item::Prefix(prefix)) => (Some(prefix.clone()), None),
            Some(Item::Entry(last)) => (Some(last.key.clone()), Some(last.version.id.clone())),
            None => (None, None),
        };
        let mut output = ListObjectVersionsOutput {
            name: Some(input.bucket),
            prefix: Some(encoder.text(&input.prefix.unwrap_or_default())),
            key_marker: Some(encoder.text(&input.key_marker.unwrap_or_default())),
            version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
            next_key_marker: encoder.option(next.0.as_ref()),
            next_version_id_marker: next.1,
            max_keys,
            is_truncated: Some(page.is_truncated),
            delimiter: encoder.option(input.delimiter.as_ref()),
            encoding_type: input.encoding_type,
            ..Default::default()
        };
        let order = order_of(&page.items);
        fill_versions(&mut output, page.items, encoder);
        let mut response = S3Response::new(output);
        if let Ok(order) = HeaderValue::try_from(order) {
            response.headers.insert(ORDER_HEADER, order);
        }
        Ok(response)
    }
}

/// Which entries are delete markers, in order: the XML has them apart.
fn order_of(items: &[Item<Listed>]) -> String {
    let entries = items.iter().filter_map(|item| match item {
        Item::Prefix(_) => None,
        Item::Entry(listed) => Some(listed.version.object.is_none()),
    });
    headers::order_of(entries)
}

/// S3's answer has versions, markers and prefixes apart.
fn fill_versions(
    output: &mut ListObjectVersionsOutput,
    items: Vec<Item<Listed>>,
    encoder: Encoder,
) {
    let (mut versions, mut markers, mut prefixes) = (Vec::new(), Vec::new(), Vec::new());
    for item in items {
        let listed = match item {
            Item::Prefix(prefix) => {
                prefixes.push(encoder.prefix(&prefix));
                continue;
            }
            Item::Entry(listed) => listed,
        };
        let key = Some(encoder.text(&listed.key));
        let last_modified = Some(timestamp(listed.version.modified_ms));
        let version_id = Some(listed.version.id);
        let is_latest = Some(listed.is_latest);
        match listed.version.object {
            None => markers.push(DeleteMarkerEntry {
                is_latest,
                key,
                last_modified,
                owner: Some(owner()),
                version_id,
            }),
            Some(object) => versions.push(ObjectVersion {
                checksum_algorithm: algorithms(&object.sums),
                checksum_type: sum_type(&object.sums),
                e_tag: Some(ETag::Strong(object.etag.clone())),
                is_latest,
                key,
                last_modified,
                owner: Some(owner()),
                size: i64::try_from(object.size).ok(),
                storage_class: Some(ObjectVersionStorageClass::from(storage_class(&object))),
                version_id,
                ..Default::default()
            }),
        }
    }
    output.versions = Some(versions);
    output.delete_markers = Some(markers);
    output.common_prefixes = Some(prefixes);
}

fn from_token(token: &str) -> S3Result<String> {
    BASE64
        .decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| {
            failure::refuse(
                S3ErrorCode::InvalidArgument,
                "the continuation token is not one of this vault's",
            )
        })
}
