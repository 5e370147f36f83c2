//! Asks for a version in cold storage to be thawed.
//!
//! S3 lists and describes a version in an archive class like any other, and refuses its
//! bytes (403 InvalidObjectState) until somebody has asked for them and waited for hours.

use super::at::At;
use super::error;
use super::store::Store;
use crate::types::{Fault, Operation, Speed, Thaw, VersionId};
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::types::{GlacierJobParameters, RestoreRequest, Tier};

/// The result of a request to thaw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// It is being thawed now, since this request or an earlier one.
    UnderWay,
    /// It is thawed already; how long that lasts counts from now.
    Ready,
}

impl Store {
    /// Ask for a thawed copy of a version in cold storage. Asking again is no harm.
    ///
    /// # Errors
    /// Any class; `Refused` when the version is not in cold storage, or its
    /// class does not thaw at that speed.
    pub async fn thaw(
        &self,
        at: At<'_>,
        version_id: Option<&VersionId>,
        thaw: Thaw,
        keeps_copy: bool,
    ) -> Result<Asked, Fault> {
        let answer = self
            .quick
            .short
            .restore_object()
            .bucket(at.bucket)
            .key(at.key)
            .set_version_id(version_id.map(ToString::to_string))
            .restore_request(request(thaw, keeps_copy, at)?)
            .send()
            .await;
        match answer {
            // 202 the first time, 200 when there is a copy already; the SDK
            // hides which: the next download shows it.
            Ok(_) => Ok(Asked::UnderWay),
            Err(error) if error.code() == Some("RestoreAlreadyInProgress") => Ok(Asked::UnderWay),
            // There is nothing to thaw: it came back by itself, or was never cold.
            Err(error) if is_warm(error.code()) => Ok(Asked::Ready),
            Err(error) => Err(error::from_sdk(Operation::Thaw, &at.subject(), error)),
        }
    }
}

/// S3 refuses with these codes to thaw what can be read as it is; the second is
/// Intelligent-Tiering's.
fn is_warm(code: Option<&str>) -> bool {
    matches!(
        code,
        Some(error::IN_ARCHIVE | "ObjectAlreadyInActiveTierError")
    )
}

/// Intelligent-Tiering moves the object back for good and takes no number of
/// days (S3 API, RestoreObject).
fn request(thaw: Thaw, keeps_copy: bool, at: At<'_>) -> Result<RestoreRequest, Fault> {
    let tier = match thaw.speed {
        Speed::Standard => Tier::Standard,
        Speed::Bulk => Tier::Bulk,
        Speed::Expedited => Tier::Expedited,
    };
    let job = GlacierJobParameters::builder().tier(tier).build();
    let job = job.map_err(|error| {
        let cause = crate::types::chain(&error);
        Fault::new(
            crate::types::Class::Refused,
            Operation::Thaw,
            at.subject(),
            cause,
        )
    })?;
    let days = keeps_copy.then(|| i32::try_from(thaw.days).unwrap_or(i32::MAX));
    Ok(RestoreRequest::builder()
        .set_days(days)
        .glacier_job_parameters(job)
        .build())
}
