//! Limits how much of an answer is read into memory.
//!
//! The SDK collects every answer but an object's body in memory before it is read. A broken
//! or hostile server must not fill this computer's memory with a list that never ends.
//! Bodies of objects pass untouched: they are read piece by piece.

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_types::body::SdkBody;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

/// The largest answer that is read. A full page of 1,000 versions whose keys and ids are as
/// long as S3 allows, all escaped, has under 7 MB.
pub(super) const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The answer was larger than any that S3 gives.
#[derive(Debug, thiserror::Error)]
#[error("the answer is larger than {ANSWER_BYTES_MAX} bytes, which no S3 answer is")]
pub(super) struct AnswerTooLarge;

/// True when that is what went wrong.
pub(super) fn is_too_large(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<AnswerTooLarge>() {
            return true;
        }
        next = error.source();
    }
    false
}

/// Ends every answer at [`ANSWER_BYTES_MAX`].
#[derive(Debug)]
pub(super) struct AnswersEnd;

impl Intercept for AnswersEnd {
    fn name(&self) -> &'static str {
        "AnswersEnd"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let is_download = cfg
            .load::<Metadata>()
            .is_some_and(|operation| operation.name() == "GetObject");
        let response = context.response_mut();
        if is_download && response.status().is_success() {
            return Ok(());
        }
        let body = std::mem::replace(response.body_mut(), SdkBody::empty());
        // In memory already: somebody else has bounded it.
        if body.bytes().is_some() {
            *response.body_mut() = body;
            return Ok(());
        }
        let limited = Limited::new(body, ANSWER_BYTES_MAX).map_err(|error| -> BoxError {
            if error.is::<LengthLimitError>() {
                AnswerTooLarge.into()
            } else {
                error
            }
        });
        *response.body_mut() = SdkBody::from_body_1_x(limited);
        Ok(())
    }
}
