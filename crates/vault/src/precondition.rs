//! Conditions on ETags: what must hold of the object as it is now.

use super::failure;
use super::record::Object;
use s3s::dto::{ETag, ETagCondition};
use s3s::{S3ErrorCode, S3Result};

/// What must hold of the newest version.
#[derive(Debug, Clone, Default)]
pub(super) struct Precondition {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
}

impl Precondition {
    pub(super) fn check(&self, newest: Option<&Object>) -> S3Result<()> {
        if let Some(condition) = &self.if_match {
            let Some(object) = newest else {
                return Err(failure::refuse(
                    S3ErrorCode::NoSuchKey,
                    "If-Match was given, but the object does not exist",
                ));
            };
            if !is_etag(condition, &object.etag) {
                return Err(precondition_failed("If-Match"));
            }
        }
        match (&self.if_none_match, newest) {
            (Some(condition), Some(object)) if is_etag(condition, &object.etag) => {
                Err(precondition_failed("If-None-Match"))
            }
            _ => Ok(()),
        }
    }
}

/// Does the condition name this ETag?
pub(super) fn is_etag(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(ETag::Strong(value) | ETag::Weak(value)) => value == etag,
    }
}

pub(super) fn precondition_failed(condition: &str) -> s3s::S3Error {
    failure::refuse(
        S3ErrorCode::PreconditionFailed,
        format!("the object is not as {condition} demands"),
    )
}
