//! Adds what a bucket demands of every request: encryption, a storage class, who pays, who
//! owns the bucket.
//!
//! The headers are added in one place, by the name of the operation, so that no request
//! lacks one that it takes. They are signed like all others.

use crate::config::S3Demands;
use crate::types::OWN_FOLDER;
use aws_sdk_s3::config::interceptors::{
    BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::operation::create_multipart_upload::CreateMultipartUploadInput;
use aws_sdk_s3::operation::put_object::PutObjectInput;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::Input;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_types::config_bag::{Storable, StoreReplace};

/// Requests that make an object.
const MAKES_OBJECT: [&str; 3] = ["PutObject", "CopyObject", "CreateMultipartUpload"];

/// Requests that read from another object.
const COPIES: [&str; 2] = ["CopyObject", "UploadPartCopy"];

/// Requests that nobody else can be asked to pay for (Amazon S3 API).
const WITHOUT_PAYER: [&str; 2] = ["GetBucketVersioning", "ListBuckets"];

/// Requests to no bucket.
const WITHOUT_BUCKET: [&str; 1] = ["ListBuckets"];

/// Puts the headers on.
#[derive(Debug)]
pub(super) struct Demanded(pub(super) S3Demands);

/// The request is about one of Keepwatch's own small objects.
#[derive(Debug)]
struct IsOwn(bool);

impl Storable for IsOwn {
    type Storer = StoreReplace<Self>;
}

impl Intercept for Demanded {
    fn name(&self) -> &'static str {
        "Demanded"
    }

    fn read_before_serialization(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let is_own = is_own(context.input());
        cfg.interceptor_state().store_put(IsOwn(is_own));
        Ok(())
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = cfg.load::<Metadata>().map_or("", |of| of.name());
        let is_own = cfg.load::<IsOwn>().is_some_and(|own| own.0);
        let headers = context.request_mut().headers_mut();
        for (name, value) in headers_of(&self.0, operation, is_own) {
            headers.try_insert(name, value)?;
        }
        Ok(())
    }
}

/// True for owner records and manifests: they are small, rewritten, and read at any time. A
/// class that bills 128 KB and 30 days for each would cost more than it saves.
fn is_own(input: &Input) -> bool {
    let put = input.downcast_ref::<PutObjectInput>();
    let begun = input.downcast_ref::<CreateMultipartUploadInput>();
    let key = put.map_or_else(|| begun.and_then(|begun| begun.key()), |put| put.key());
    key.is_some_and(|key| key.split('/').any(|part| part == OWN_FOLDER))
}

/// The headers of a request.
fn headers_of(demands: &S3Demands, operation: &str, is_own: bool) -> Vec<(&'static str, String)> {
    let mut headers = Vec::new();
    let mut put = |name, value: &Option<String>| {
        headers.extend(value.clone().map(|value| (name, value)));
    };
    if MAKES_OBJECT.contains(&operation) {
        put("x-amz-server-side-encryption", &demands.encryption);
        let key = &demands.kms_key_id;
        put("x-amz-server-side-encryption-aws-kms-key-id", key);
        if !is_own {
            put("x-amz-storage-class", &demands.storage_class);
        }
    }
    if demands.requester_pays && !WITHOUT_PAYER.contains(&operation) {
        put("x-amz-request-payer", &Some("requester".to_owned()));
    }
    if !WITHOUT_BUCKET.contains(&operation) {
        let owner = &demands.expected_bucket_owner;
        put("x-amz-expected-bucket-owner", owner);
        if COPIES.contains(&operation) {
            put("x-amz-source-expected-bucket-owner", owner);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> S3Demands {
        S3Demands {
            encryption: Some("aws:kms".into()),
            kms_key_id: Some("alias/office".into()),
            storage_class: Some("STANDARD_IA".into()),
            requester_pays: true,
            expected_bucket_owner: Some("111122223333".into()),
        }
    }

    fn names(operation: &str, is_own: bool) -> Vec<&'static str> {
        let headers = headers_of(&all(), operation, is_own);
        let short = |name: &'static str| name.trim_start_matches("x-amz-");
        headers.into_iter().map(|(name, _)| short(name)).collect()
    }

    #[test]
    fn each_request_gets_what_it_takes() {
        const MAKING: [&str; 5] = [
            "server-side-encryption",
            "server-side-encryption-aws-kms-key-id",
            "storage-class",
            "request-payer",
            "expected-bucket-owner",
        ];
        assert_eq!(names("PutObject", false), MAKING);
        assert_eq!(names("CreateMultipartUpload", false), MAKING);
        let copy = [&MAKING[..], &["source-expected-bucket-owner"]].concat();
        assert_eq!(names("CopyObject", false), copy);
        let own: Vec<_> = MAKING
            .into_iter()
            .filter(|n| *n != "storage-class")
            .collect();
        assert_eq!(names("PutObject", true), own);
        for other in [
            "UploadPart",
            "GetObject",
            "HeadObject",
            "DeleteObject",
            "ListObjectsV2",
        ] {
            assert_eq!(names(other, false), &MAKING[3..], "{other}");
        }
        assert_eq!(names("GetBucketVersioning", false), &MAKING[4..]);
        assert!(names("ListBuckets", false).is_empty());
        assert!(headers_of(&S3Demands::default(), "PutObject", false).is_empty());
    }
}
