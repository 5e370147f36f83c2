//! Copies content on the server: whole objects, and parts of an upload.
//!
//! The answer alone proves nothing: the caller compares what was copied. The source is
//! named by its version if it has one, because some servers ignore the condition on its
//! ETag (`Differs::CopyIgnoresIfMatch`).

use super::at::At;
use super::copy_source::{CopyFrom, Escaped};
use super::object_headers::ObjectHeaders;
use super::object_headers::metadata;
use super::store::Store;
use super::stored::Stored;
use super::upload::{PartDone, Upload, crc64_of, sha256_of};
use super::{error, timeouts};
use crate::types::{Class, Fault, Operation};
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::types::{MetadataDirective, TaggingDirective};
use std::ops::Range;
use std::sync::atomic::Ordering;

/// The largest object that CopyObject takes: 5 GiB (Amazon S3 API, CopyObject).
pub const COPY_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;

/// A copy that failed, and whether the server does not know something in the request.
struct Refusal(Fault, bool);

impl Store {
    /// Copy `from` to `at`, with other metadata and without tags. S3's limit is 5 GiB.
    /// Version id and ETag are empty where the server does not tell them
    /// (`Differs::CopyWithoutVersionId`).
    ///
    /// # Errors
    /// Any class; `NotFound` when that version is gone, `Refused` when it is
    /// another one by now.
    pub async fn copy(
        &self,
        at: At<'_>,
        from: &CopyFrom<'_>,
        headers: &ObjectHeaders,
    ) -> Result<Stored, Fault> {
        if self.copying.refuses_tag_rule.load(Ordering::Relaxed) {
            let copied = self.copy_with(at, from, headers, None).await;
            return copied.map_err(|Refusal(fault, _)| fault);
        }
        // Without this S3 copies the tags, for which the policy in docs/OPERATIONS.md gives
        // no rights: S3 would refuse to copy a tagged object.
        let no_tags = Some(TaggingDirective::Replace);
        match self.copy_with(at, from, headers, no_tags).await {
            Ok(stored) => Ok(stored),
            Err(Refusal(_, true)) => {
                let copied = self.copy_with(at, from, headers, None).await;
                let stored = copied.map_err(|Refusal(fault, _)| fault)?;
                self.copying.refuses_tag_rule.store(true, Ordering::Relaxed);
                Ok(stored)
            }
            Err(Refusal(fault, false)) => Err(fault),
        }
    }

    async fn copy_with(
        &self,
        at: At<'_>,
        from: &CopyFrom<'_>,
        headers: &ObjectHeaders,
        tags: Option<TaggingDirective>,
    ) -> Result<Stored, Refusal> {
        let answer = self
            .client
            .copy_object()
            .bucket(at.bucket)
            .key(at.key)
            .copy_source(from.source(at.bucket, Escaped::Once))
            .set_copy_source_if_match(from.if_match())
            .metadata_directive(MetadataDirective::Replace)
            .set_tagging_directive(tags)
            .set_metadata(Some(metadata(headers)))
            .set_content_encoding(headers.gzip.then(|| "gzip".to_owned()))
            .set_content_type(headers.content_type.map(str::to_owned))
            .customize()
            .config_override(timeouts::server_work())
            .send()
            .await
            .map_err(|error| {
                let is_unknown = matches!(error.code(), Some("NotImplemented" | "InvalidArgument"));
                Refusal(
                    error::from_sdk(Operation::Copy, &at.subject(), error),
                    is_unknown,
                )
            })?;
        let etag = answer.copy_object_result().and_then(|r| r.e_tag());
        Ok(Stored::of(answer.version_id(), etag))
    }

    /// Fill one part from a byte range of an existing version. The caller must compare what
    /// the server says of it: some answer 200 and store something else.
    ///
    /// # Errors
    /// Any class; `NotFound` when that version is gone or another one by now,
    /// `Refused` when the server knows no such copies.
    pub async fn copy_part(
        &self,
        at: At<'_>,
        upload: &Upload,
        number: i32,
        from: &CopyFrom<'_>,
        range: Range<u64>,
    ) -> Result<PartDone, Fault> {
        let ask = |escaped| self.copy_part_with(at, upload, number, from, range.clone(), escaped);
        // Without a `%` it makes no difference how often the escapes are undone.
        if !from.key.contains('%') {
            return ask(Escaped::Once).await;
        }
        if let Some(escaped) = self.copying.part_source() {
            return ask(escaped).await;
        }
        if !from.is_pinned() {
            let why = "its key has a `%`, and no version id tells it from others";
            let operation = Operation::CopyPart;
            return Err(Fault::new(Class::NotFound, operation, at.subject(), why));
        }
        // `Differs::PartCopyCrashesOnPercent`: who undoes escapes twice finds another
        // key, or crashes, when they are made once. The other way round there is
        // nothing to be found, as no other key has a version of that id.
        match ask(Escaped::Twice).await {
            Ok(done) => {
                self.copying.learn(Escaped::Twice);
                Ok(done)
            }
            Err(fault)
                if matches!(
                    fault.class,
                    Class::NotFound | Class::Refused | Class::Denied
                ) =>
            {
                let source = At {
                    key: from.key,
                    ..at
                };
                let is_there = self.head(source, from.version_id).await?.is_some();
                if !is_there {
                    return Err(fault);
                }
                self.copying.learn(Escaped::Once);
                ask(Escaped::Once).await
            }
            Err(fault) => Err(fault),
        }
    }

    async fn copy_part_with(
        &self,
        at: At<'_>,
        upload: &Upload,
        number: i32,
        from: &CopyFrom<'_>,
        range: Range<u64>,
        escaped: Escaped,
    ) -> Result<PartDone, Fault> {
        let answer = self
            .client
            .upload_part_copy()
            .bucket(at.bucket)
            .key(at.key)
            .upload_id(&upload.id)
            .part_number(number)
            .copy_source(from.source(at.bucket, escaped))
            .set_copy_source_if_match(from.if_match())
            .copy_source_range(format!("bytes={}-{}", range.start, range.end - 1))
            .customize()
            .config_override(timeouts::server_work())
            .send()
            .await
            .map_err(|error| {
                let status = error.raw_response().map(|r| r.status().as_u16());
                // A source in cold storage is as good as gone; the server works.
                let is_cold = error::is_archive_code(error.code());
                let fault =
                    error::from_sdk_unless_unknown(Operation::CopyPart, &at.subject(), error);
                if status != Some(412) && !is_cold {
                    return fault;
                }
                Fault {
                    class: Class::NotFound,
                    detail: None,
                    ..fault
                }
            })?;
        let result = answer.copy_part_result();
        Ok(PartDone {
            number,
            etag: result
                .and_then(|r| r.e_tag())
                .unwrap_or_default()
                .to_owned(),
            sha256: sha256_of(result.and_then(|r| r.checksum_sha256())),
            crc64: crc64_of(result.and_then(|r| r.checksum_crc64_nvme())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::test_server::{self, response};
    use crate::types::{ETag, Fingerprint, ObjectMeta, VersionId};
    use parking_lot::Mutex;
    use std::sync::Arc;

    const RULE: &str = "x-amz-tagging-directive";

    /// A server that copies, unless it is told what becomes of tags and answers this to
    /// that; and what it was told each time.
    fn server(refusal: Option<(u16, &'static str)>) -> (Store, Arc<Mutex<Vec<Option<String>>>>) {
        let rules: Arc<Mutex<Vec<Option<String>>>> = Arc::default();
        let seen = Arc::clone(&rules);
        let store = test_server::store(move |request| {
            let rule = request.headers().get(RULE).map(str::to_owned);
            let answer = match refusal.filter(|_| rule.is_some()) {
                Some((status, code)) => {
                    response(status, &format!("<Error><Code>{code}</Code></Error>"))
                }
                None => response(200, "<CopyObjectResult><ETag>e</ETag></CopyObjectResult>"),
            };
            seen.lock().push(rule);
            answer
        });
        (store, rules)
    }

    #[tokio::test]
    async fn tags_are_left_behind_and_a_server_that_knows_no_tags_copies_all_the_same() {
        let told = || Some("REPLACE".to_owned());
        for (refusal, is_stored, want) in [
            (None, true, vec![told(), told()]),
            (
                Some((501, "NotImplemented")),
                true,
                vec![told(), None, None],
            ),
            (
                Some((400, "InvalidArgument")),
                true,
                vec![told(), None, None],
            ),
            (Some((403, "AccessDenied")), false, vec![told(), told()]),
            (
                Some((412, "PreconditionFailed")),
                false,
                vec![told(), told()],
            ),
        ] {
            let (store, rules) = server(refusal);
            let at = At {
                bucket: "b",
                key: "k",
            };
            let (version_id, etag) = (VersionId::new("v"), ETag::from("e"));
            let from = CopyFrom {
                key: "from",
                version_id: version_id.as_ref(),
                etag: &etag,
            };
            let headers = ObjectHeaders {
                meta: ObjectMeta::of(&Fingerprint::UNSEEN, None),
                gzip: false,
                content_type: None,
            };
            for _ in 0..2 {
                let copied = store.copy(at, &from, &headers).await;
                assert_eq!(copied.is_ok(), is_stored, "{refusal:?}: {copied:?}");
            }
            assert_eq!(*rules.lock(), want, "{refusal:?}");
        }
    }
}
