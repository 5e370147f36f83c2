//! What a server leaves out of its answers is asked for, and what it only says it
//! has done is not believed.

use super::headers;
use crate::harness::{BUCKET, Rig};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use bytes::Bytes;
use keepwatch::s3::{At, Store, Versioning};
use keepwatch::types::{Class, ContentHash};
use keepwatch_vault::VaultConnector;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

const ETAG: &str = "etag";
const VERSION: &str = "x-amz-version-id";
const SUM: &str = "x-amz-checksum-sha256";
const MARKER: &str = "x-amz-delete-marker";

/// A vault whose answers to writes lack some headers, or that writes nothing.
#[derive(Debug, Clone)]
struct Sparse {
    vault: VaultConnector,
    lacks: &'static [&'static str],
    /// HEAD names no version either.
    heads_lack: bool,
    /// It answers as if it had, with an ETag of its own.
    writes_nothing: bool,
    asked: Arc<AtomicU32>,
}

impl HttpClient for Sparse {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Sparse {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let this = self.clone();
        let is_write = matches!(request.method(), "PUT" | "DELETE");
        if !is_write {
            self.asked.fetch_add(1, Ordering::Relaxed);
        }
        HttpConnectorFuture::new(async move {
            if is_write && this.writes_nothing {
                // Somewhere else, where nobody looks.
                let uri = request.uri().replace("/a.txt", "/elsewhere");
                request.set_uri(uri).unwrap();
            }
            let is_head = request.method() == "HEAD";
            let mut answer = this.vault.call(request).await?;
            if is_write {
                for name in this.lacks {
                    answer.headers_mut().remove(*name);
                }
            }
            if is_head && this.heads_lack {
                answer.headers_mut().remove(VERSION);
            }
            Ok(answer)
        })
    }
}

fn sparse(rig: &Rig, lacks: &'static [&'static str]) -> Sparse {
    Sparse {
        vault: rig.vault().connector(),
        lacks,
        heads_lack: false,
        writes_nothing: false,
        asked: Arc::default(),
    }
}

const AT: At<'static> = At {
    bucket: BUCKET,
    key: "a.txt",
};

async fn put(store: &Store) -> Result<keepwatch::s3::Stored, keepwatch::types::Fault> {
    let (body, hash) = (Bytes::from_static(b"content"), ContentHash::of(b"content"));
    store.put(AT, body, hash, &headers()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_answer_leaves_out_of_a_new_version_is_asked_for() {
    let every = &[ETAG, VERSION, SUM, MARKER];
    let cases: [(&'static [&'static str], bool, u32); 7] = [
        (&[], false, 0),
        (&[SUM], false, 0),
        (&[ETAG], false, 1),
        (&[VERSION], false, 1),
        (&[ETAG, SUM], false, 1),
        (every, false, 1),
        // Only the list of versions tells.
        (every, true, 2),
    ];
    for (lacks, heads_lack, questions) in cases {
        let rig = Rig::new();
        let server = Sparse {
            heads_lack,
            ..sparse(&rig, lacks)
        };
        let store = Store::vault(SharedHttpClient::new(server.clone()), "a sparse server");
        assert_eq!(store.versioning(BUCKET).await, Ok(Versioning::Enabled));
        server.asked.store(0, Ordering::Relaxed);
        let stored = put(&store).await.unwrap();
        let asked = server.asked.load(Ordering::Relaxed);
        assert_eq!(asked, questions, "{lacks:?}");
        let page = rig.store().list_versions(BUCKET, "", None).await.unwrap();
        let (etag, id) = (&page.items[0].etag, &page.items[0].version_id);
        assert_eq!((&stored.etag, &stored.version_id), (etag, id), "{lacks:?}");

        let marker = store.mark_deleted(AT).await.unwrap();
        let page = rig.store().list_versions(BUCKET, "", None).await.unwrap();
        assert!(page.items[0].is_marker && page.items[0].version_id == marker);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_only_says_it_has_done_it_is_not_believed() {
    for lacks in [&[ETAG, SUM][..], &[VERSION], &[ETAG, VERSION, SUM, MARKER]] {
        let rig = Rig::new();
        put(&rig.store()).await.unwrap();
        let before = rig
            .store()
            .list_versions(BUCKET, "a.txt", None)
            .await
            .unwrap();
        let server = Sparse {
            writes_nothing: true,
            ..sparse(&rig, lacks)
        };
        let store = Store::vault(SharedHttpClient::new(server), "a server that forgets");
        assert_eq!(store.versioning(BUCKET).await, Ok(Versioning::Enabled));
        let other = (Bytes::from_static(b"other"), ContentHash::of(b"other"));
        let mut other_headers = headers();
        other_headers.meta.content = Some(other.1);
        other_headers.meta.size_bytes = 5;
        let fault = store
            .put(AT, other.0, other.1, &other_headers)
            .await
            .unwrap_err();
        assert_eq!(fault.class, Class::Transient, "{lacks:?}: {fault}");
        if lacks.contains(&VERSION) {
            let fault = store.mark_deleted(AT).await.unwrap_err();
            assert_eq!(fault.class, Class::Transient, "{lacks:?}: {fault}");
        }
        let after = rig
            .store()
            .list_versions(BUCKET, "a.txt", None)
            .await
            .unwrap();
        assert_eq!(after.items, before.items);
    }
}
