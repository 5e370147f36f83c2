//! Copies within the vault: their sources, and whole objects.
//!
//! Bytes are hashed on the way: a damaged source is refused, never copied.

use super::checksum::Algorithm;
use super::convert::{kept_headers, own_metadata, set_sums, sum_type, timestamp};
use super::failure;
use super::inner::{Inner, Versioning};
use super::op_read::Conditions;
use super::precondition::Precondition;
use super::record::{Object, Sums, Version};
use super::stage::{Staged, Stager, Wanted};
use s3s::dto::*;
use s3s::{S3ErrorCode, S3Result};
use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::ops::Range as Span;
use std::sync::Arc;

/// What a copy takes its bytes from.
pub(super) struct Source {
    pub(super) version: Version,
    pub(super) object: Object,
    pub(super) file: File,
    /// The version header of the answer.
    pub(super) shown_id: Option<String>,
}

/// Open what `x-amz-copy-source` names.
pub(super) fn open_source(
    inner: &Inner,
    source: &CopySource,
    conditions: &Conditions,
) -> S3Result<Source> {
    let CopySource::Bucket {
        bucket,
        key,
        version_id,
    } = source
    else {
        return Err(failure::refuse(
            S3ErrorCode::NotImplemented,
            "the vault has no access points",
        ));
    };
    let opened = inner.open_version(bucket, key, version_id.as_deref());
    let (version, object, file) = opened.map_err(|mut e| {
        if *e.code() == S3ErrorCode::MethodNotAllowed {
            e = failure::refuse(
                S3ErrorCode::InvalidRequest,
                "the source of a copy may not be a delete marker",
            );
        }
        e
    })?;
    // For a copy "not modified" is a failed precondition too.
    conditions.check(&version, &object).map_err(|mut e| {
        if *e.code() == S3ErrorCode::NotModified {
            e = super::precondition::precondition_failed("the copy");
        }
        e
    })?;
    Ok(Source {
        shown_id: super::op_read::shown_id(inner, bucket, &version)?,
        version,
        object,
        file,
    })
}

/// The conditions of a copy.
macro_rules! source_conditions {
    ($input:expr) => {
        $crate::op_read::Conditions {
            if_match: $input.copy_source_if_match.clone(),
            if_none_match: $input.copy_source_if_none_match.clone(),
            if_modified_since: $input.copy_source_if_modified_since.clone(),
            if_unmodified_since: $input.copy_source_if_unmodified_since.clone(),
        }
    };
}
pub(super) use source_conditions;

pub(super) fn copy(inner: &Arc<Inner>, input: &CopyObjectInput) -> S3Result<CopyObjectOutput> {
    let state = inner.bucket(&input.bucket)?;
    let directive = input.metadata_directive.as_ref();
    let is_replaced = directive.is_some_and(|d| d.as_str() == MetadataDirective::REPLACE);
    refuse_onto_itself(input, is_replaced)?;
    let mut source = open_source(inner, &input.copy_source, &source_conditions!(input))?;
    let algorithm = input
        .checksum_algorithm
        .as_ref()
        .and_then(|name| Algorithm::parse(name.as_str()));
    let source_id = source.shown_id.clone();
    let size = source.object.size;
    let Some((staged, computed)) = source.take(inner, 0..size, algorithm)? else {
        return Err(failure::damaged(
            "the source's file is not what was stored: copy another version".to_owned(),
        ));
    };
    let (headers, metadata) = if is_replaced {
        (kept_headers!(input), own_metadata(input.metadata.as_ref())?)
    } else {
        (source.object.headers, source.object.metadata)
    };
    let carried = source.object.sums;
    let object = Object {
        etag: staged.md5.clone(),
        sums: match algorithm {
            Some(_) => computed,
            None if carried.is_composite => Default::default(),
            None => carried,
        },
        headers,
        metadata,
        ..Object::default()
    };
    let (etag, sums) = (object.etag.clone(), object.sums.clone());
    let version = inner.put(
        &input.bucket,
        &input.key,
        staged,
        object,
        &Precondition::default(),
    )?;
    let mut result = CopyObjectResult {
        e_tag: Some(ETag::Strong(etag)),
        last_modified: Some(timestamp(version.modified_ms)),
        checksum_type: sum_type(&sums),
        ..Default::default()
    };
    set_sums!(result, sums);
    Ok(CopyObjectOutput {
        copy_object_result: Some(result),
        copy_source_version_id: source_id,
        version_id: (state.versioning != Versioning::Never).then_some(version.id),
        ..Default::default()
    })
}

/// S3 refuses to copy an object onto itself unchanged.
fn refuse_onto_itself(input: &CopyObjectInput, is_replaced: bool) -> S3Result<()> {
    if let CopySource::Bucket {
        bucket,
        key,
        version_id: None,
    } = &input.copy_source
        && !is_replaced
        && input.storage_class.is_none()
        && **bucket == *input.bucket
        && **key == *input.key
    {
        return Err(failure::refuse(
            S3ErrorCode::InvalidRequest,
            "an object can be copied onto itself only to replace its metadata",
        ));
    }
    Ok(())
}

impl Source {
    /// Copy these of its bytes into `tmp`. `None` when they are not what was stored; only
    /// of the whole file can the content be checked.
    pub(super) fn take(
        &mut self,
        inner: &Arc<Inner>,
        span: Span<u64>,
        algorithm: Option<Algorithm>,
    ) -> S3Result<Option<(Staged, Sums)>> {
        let wanted = Wanted {
            algorithms: algorithm.into_iter().collect(),
            ..Wanted::default()
        };
        let mut stager = Stager::new(inner, &wanted)?;
        let root = &inner.layout.root;
        self.file
            .seek(SeekFrom::Start(span.start))
            .map_err(|e| failure::disk("read", root, &e))?;
        let bytes = span.end - span.start;
        let md5 = stager.append(&mut self.file, root, bytes)?;
        let is_whole = bytes == self.object.size;
        if stager.len() != bytes || (is_whole && md5 != self.object.md5) {
            return Ok(None);
        }
        stager.finish().map(Some)
    }
}
