//! Lists what can be restored from a bucket: its versions, or the current objects on a
//! server without a list of versions (`Differs::NoVersions`).
//!
//! Invariant: a server counts as one without versions only if two of its own answers say
//! so: it does not know the list, and it does not say that the bucket keeps versions. An
//! outage, a refusal or a proxy's answer says neither.

use super::at::At;
use super::marks;
use super::page::{Listed, ListedVersion, PAGE_KEYS, Page};
use super::seam::Next;
use super::store::Store;
use crate::types::{Fault, Kind, VersionId};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures::{StreamExt as _, TryStreamExt as _, stream};

/// How many empty objects of a page are asked at once whether they are folders.
const ASKED_AT_ONCE: usize = 8;

/// Why there is no page of versions.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) fault: Fault,
    /// The server itself says that it has no such list.
    pub(super) is_unknown: bool,
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            is_unknown: false,
        }
    }
}

impl Store {
    /// One page of what can be restored: as [`Store::list_versions`], or the current
    /// objects where the server has no such list, each as its version `null`.
    ///
    /// # Errors
    /// As [`Store::list_versions`].
    pub async fn list_past(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&Next>,
    ) -> Result<Page<ListedVersion>, Fault> {
        if !self.has_only_current(bucket) {
            let refused = match self.versions_page(bucket, prefix, after).await {
                Ok(page) => return Ok(page),
                Err(refused) => refused,
            };
            // A server that fails in the middle of a list has one.
            let is_begin = after.is_none_or(Next::is_begin);
            if !refused.is_unknown || !is_begin || !Box::pin(self.denies_versions(bucket)).await? {
                return Err(refused.fault);
            }
            self.only_current.lock().insert(bucket.to_owned());
        }
        let page = self.list(bucket, prefix, after, PAGE_KEYS).await?;
        Box::pin(self.all_current(bucket, page)).await
    }

    /// The objects of a page as versions.
    async fn all_current(
        &self,
        bucket: &str,
        page: Page<Listed>,
    ) -> Result<Page<ListedVersion>, Fault> {
        let items = page
            .items
            .into_iter()
            .map(|object| self.current(bucket, object));
        let items = stream::iter(items).buffered(ASKED_AT_ONCE);
        let mut items: Vec<ListedVersion> = items.try_collect().await?;
        let is_last_moved = items.last().is_some_and(|last| last.key.ends_with('/'));
        items.sort_by(|a, b| a.key.as_bytes().cmp(b.key.as_bytes()));
        Ok(Page {
            // What the next page begins with may belong before a folder's key.
            in_order: page.in_order && !(is_last_moved && page.next.is_some()),
            items,
            next: page.next,
        })
    }

    async fn current(&self, bucket: &str, object: Listed) -> Result<ListedVersion, Fault> {
        let mut key = object.key;
        // `Differs::FolderLosesSlash`
        if object.stored_bytes == 0 && !key.ends_with('/') {
            let at = At { bucket, key: &key };
            let head = self.head(at, None).await?;
            let is_folder = head
                .and_then(|head| head.meta.ok())
                .is_some_and(|meta| meta.kind == Kind::Folder);
            if is_folder {
                key.push('/');
            }
        }
        Ok(ListedVersion {
            key,
            version_id: Some(VersionId::null()),
            is_latest: true,
            is_marker: false,
            etag: object.etag,
            stored_bytes: object.stored_bytes,
            modified_ms: object.modified_ms,
            storage_class: "STANDARD".to_owned(),
        })
    }

    /// True when [`Store::list_past`] found that the server keeps no versions: the current
    /// objects are all there is.
    pub fn has_only_current(&self, bucket: &str) -> bool {
        self.only_current.lock().contains(bucket)
    }

    /// The version to ask for; none of a server without versions.
    pub(super) fn version_asked(
        &self,
        bucket: &str,
        version_id: Option<&VersionId>,
    ) -> Option<String> {
        let version_id = version_id.filter(|id| id.is_pinned() || !self.has_only_current(bucket));
        version_id.map(ToString::to_string)
    }

    /// The server does not say that the bucket keeps versions: it says that it does
    /// not, or does not know the question.
    async fn denies_versions(&self, bucket: &str) -> Result<bool, Fault> {
        match self.versioning_status(bucket).await {
            // One that is suspended has versions from before.
            Ok(status) => Ok(status.is_empty()),
            Err(refused) if refused.is_unknown => Ok(true),
            Err(refused) => Err(refused.fault),
        }
    }
}

/// The server itself says that it does not know this request.
pub(super) fn is_unknown<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let SdkError::ServiceError(service) = error else {
        return false;
    };
    let response = service.raw();
    let code = service.err().code().unwrap_or_default();
    marks::is_own_refusal(response) && says_unknown(response.status().as_u16(), code)
}

fn says_unknown(status: u16, code: &str) -> bool {
    match (status, code) {
        (401 | 403, _) => false,
        (_, "NotImplemented" | "MethodNotAllowed") => true,
        (501 | 405, _) => true,
        // No such page; a bucket or a key that is missing has a code of its own.
        (404, "" | "NotFound") => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::test_server;
    use crate::types::id_text;

    const LIST: &str = "<ListBucketResult><Contents><Key>a</Key><ETag>&quot;e&quot;</ETag>\
        <Size>3</Size><LastModified>2026-11-23T20:00:00.000Z</LastModified></Contents>\
        </ListBucketResult>";
    const NOT_THERE: &str = "<Error><Code>NotImplemented</Code></Error>";
    const OFF: &str = "<VersioningConfiguration/>";

    /// A server that answers lists of versions and the question for versioning so.
    #[derive(Debug, Clone, Copy)]
    struct Server {
        versions: (u16, &'static str),
        versioning: (u16, &'static str),
    }

    fn store(server: Server) -> Store {
        test_server::store(move |request| {
            let query = request.uri().split_once('?').map_or("", |(_, query)| query);
            let asks = |what: &str| {
                let mut names = query.split('&');
                names.any(|name| name.split('=').next() == Some(what))
            };
            let (status, body) = match (asks("versions"), asks("versioning")) {
                (true, _) => server.versions,
                (_, true) => server.versioning,
                _ => (200, LIST),
            };
            test_server::response(status, body)
        })
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_server_that_says_so_twice_has_no_versions() {
        let not_there = (501, NOT_THERE);
        let page = "<html><body>sign in</body></html>";
        let enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
        let suspended =
            "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";
        let denied = "<Error><Code>AccessDenied</Code></Error>";
        let no_bucket = "<Error><Code>NoSuchBucket</Code></Error>";
        let nameless = "<Error><Message>what?</Message></Error>";
        let slow_down = "<Error><Code>SlowDown</Code></Error>";
        for (versions, versioning, want) in [
            (not_there, (200, OFF), true),
            (not_there, not_there, true),
            (
                (405, "<Error><Code>MethodNotAllowed</Code></Error>"),
                (200, OFF),
                true,
            ),
            ((404, nameless), (200, OFF), true),
            // It keeps them, and cannot be read now.
            (not_there, (200, enabled), false),
            // Some are there from before.
            (not_there, (200, suspended), false),
            // Rights, outages, and what stands in between.
            ((403, denied), (200, OFF), false),
            ((403, NOT_THERE), (200, OFF), false),
            (not_there, (403, denied), false),
            (not_there, (503, slow_down), false),
            (not_there, (500, ""), false),
            ((404, no_bucket), (200, OFF), false),
            ((501, page), (200, OFF), false),
            ((405, ""), (200, OFF), false),
            ((404, page), (200, OFF), false),
            ((500, ""), (200, OFF), false),
            ((503, slow_down), (200, OFF), false),
        ] {
            let what = format!("{versions:?} {versioning:?}");
            let server = Server {
                versions,
                versioning,
            };
            let store = store(server);
            let page = store.list_past("b", "", None).await;
            assert_eq!(page.is_ok(), want, "{what}: {page:?}");
            assert_eq!(store.has_only_current("b"), want, "{what}");
            let asked = store.version_asked("b", Some(&VersionId::null()));
            assert_eq!(asked.is_none(), want, "{what}");
            let one = VersionId::new("1");
            assert_eq!(store.version_asked("b", one.as_ref()).as_deref(), Some("1"));
            if let Ok(page) = page {
                let [object] = &page.items[..] else {
                    panic!("{what}: {:?}", page.items);
                };
                assert_eq!((&*object.key, id_text(&object.version_id)), ("a", "null"));
                assert!(object.is_latest && !object.is_marker && page.next.is_none());
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn in_the_midst_of_a_list_it_is_an_error() {
        let store = store(Server {
            versions: (501, NOT_THERE),
            versioning: (200, OFF),
        });
        assert!(
            store
                .list_past("b", "", Some(&Next::midst()))
                .await
                .is_err()
        );
        let key = Next::after_key("0");
        assert!(store.list_past("b", "", Some(&key)).await.is_ok());
    }
}
