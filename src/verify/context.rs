//! What all checks of one source share.

use super::outcome::VersionCheck;
use crate::history::Known;
use crate::retry::Stop;
use crate::s3::{At, Head, ListedVersion, Store};
use crate::types::{Class, Fault, ObjectMeta, Origin, RelKey, VersionId, shown, unshortened};
use tokio::sync::Semaphore;

/// What all checks of one source share.
pub(crate) struct VerifyContext {
    pub(crate) store: Store,
    pub(crate) name: String,
    pub(crate) origin: Origin,
    pub(crate) known: Option<Known>,
    /// Contents are downloaded, at least some.
    pub(crate) deep: bool,
    pub(crate) stop: Stop,
    /// Downloads at once.
    pub(crate) downloads: Semaphore,
}

impl VerifyContext {
    pub(super) fn at<'a>(&'a self, key: &'a str) -> At<'a> {
        At {
            bucket: &self.origin.bucket,
            key,
        }
    }

    /// The metadata of a version.
    pub(super) async fn head(&self, listed: &ListedVersion) -> Result<Option<Head>, Fault> {
        self.head_at(&listed.key, listed.version_id.as_ref()).await
    }

    /// HEAD, with the server's checksums where the rights allow it: on a bucket that
    /// encrypts with KMS they need the right to decrypt.
    pub(super) async fn head_at(
        &self,
        key: &str,
        version: Option<&VersionId>,
    ) -> Result<Option<Head>, Fault> {
        match self.store.head_with_sums(self.at(key), version).await {
            Err(fault) if matches!(fault.class, Class::Denied | Class::Refused) => {
                self.store.head(self.at(key), version).await
            }
            head => head,
        }
    }

    /// The path of a shortened key, if its metadata can be believed.
    pub(super) fn full_key(&self, bucket_key: &str, meta: &ObjectMeta) -> Option<RelKey> {
        let full = meta.full_key.as_ref()?;
        unshortened(&self.origin.prefix, bucket_key, full)
    }

    /// The file, for messages.
    pub(super) fn subject(&self, check: &VersionCheck) -> String {
        match &check.rel {
            Some(key) => key.path().to_string(),
            None => shown(&check.listed.key),
        }
    }
}
