//! Whether a bucket keeps old versions.

use super::past::{Refused, is_unknown};
use super::store::Store;
use super::{error, xml};
use crate::types::{Fault, Operation};
use parking_lot::MutexGuard;
use std::collections::BTreeMap;

/// How S3 says that a bucket keeps versions.
const ENABLED: &str = "Enabled";

/// Whether a bucket keeps old versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versioning {
    /// Every version is kept: what Keepwatch needs.
    Enabled,
    /// Overwriting destroys: deletes must not be marked, and the owner is warned.
    Off,
}

/// What the server said about versions in an answer that the SDK cannot read.
fn is_versioning<E>(
    error: &aws_sdk_s3::error::SdkError<
        E,
        aws_smithy_runtime_api::client::orchestrator::HttpResponse,
    >,
) -> bool {
    let response = error.raw_response();
    let response = response.filter(|response| response.status().as_u16() == 200);
    let root = response.and_then(|response| xml::root(response.body().bytes()?));
    root.is_some_and(|root| root.contains("Versioning"))
}

impl Store {
    /// Whether the bucket exists, can be read, and keeps versions.
    ///
    /// # Errors
    /// Class `NoBucket`, `Denied`, `Credentials` or `Transient`.
    pub async fn versioning(&self, bucket: &str) -> Result<Versioning, Fault> {
        let status = self.versioning_status(bucket).await;
        let is_enabled = status.map_err(|refused| refused.fault)? == ENABLED;
        self.known_versions().insert(bucket.to_owned(), is_enabled);
        Ok(match is_enabled {
            true => Versioning::Enabled,
            false => Versioning::Off,
        })
    }

    /// In the words of S3: `Enabled`, `Suspended`, or nothing where versions were
    /// never kept.
    pub(super) async fn versioning_status(&self, bucket: &str) -> Result<String, Refused> {
        let answer = self
            .quick
            .short
            .get_bucket_versioning()
            .bucket(bucket)
            .send()
            .await;
        match answer {
            Ok(answer) => Ok(answer
                .status()
                .map_or_else(String::new, |status| status.as_str().to_owned())),
            // `Differs::VersioningUnderAnotherRoot`: the SDK refuses that.
            Err(error) if is_versioning(&error) => Ok(error
                .raw_response()
                .and_then(|response| response.body().bytes())
                .and_then(|body| xml::text_of(body, "Status"))
                .unwrap_or_default()),
            Err(error) => Err(Refused {
                is_unknown: is_unknown(&error),
                fault: error::from_sdk(Operation::ReadVersioning, bucket, error),
            }),
        }
    }

    /// Whether the bucket has said that it keeps versions.
    pub(super) fn keeps_versions(&self, bucket: &str) -> bool {
        self.known_versions().get(bucket) == Some(&true)
    }

    fn known_versions(&self) -> MutexGuard<'_, BTreeMap<String, bool>> {
        self.keeps_versions.lock()
    }
}
