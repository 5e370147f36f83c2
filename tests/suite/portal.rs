//! Something between this computer and the server answers in its place: a Wi-Fi's
//! sign-in page, a proxy, another program. Nothing counts as stored, deleted,
//! empty or switched off by that, and it is told as the outage it is.

mod left_out;

use crate::errors::{config, indexed, start_on, status, unprotected, until_well};
use crate::harness::{BUCKET, Rig, digest_files, history, in_bucket, until};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use futures::future::{BoxFuture, join_all};
use keepwatch::s3::{At, CopyFrom, ObjectHeaders, PartDone, Proof, Store, Sums, Upload, Whole};
use keepwatch::types::{
    Class, ContentHash, Crc64, ETag, Fault, Kind, ObjectMeta, Speed, Thaw, VersionId,
};
use keepwatch_vault::VaultConnector;
use std::fs;
use std::sync::{Arc, Mutex};

const PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>\
    <Status>Enabled</Status><form action=\"/login\"><input name=\"room\"></form></body></html>";

/// What it says to everything: status, headers, body.
#[derive(Debug, Clone, Copy)]
struct Says(u16, &'static [(&'static str, &'static str)], &'static str);

const HTML: Says = Says(200, &[("content-type", "text/html; charset=utf-8")], PAGE);
const HTML_WITH_ETAG: Says = Says(
    200,
    &[("content-type", "text/html"), ("etag", "\"5f2a-63ab\"")],
    PAGE,
);
const NOTHING: Says = Says(200, &[], "");
const NO_CONTENT: Says = Says(204, &[], "");
const FOREIGN_XML: Says = Says(
    200,
    &[("content-type", "application/xml")],
    "<?xml version=\"1.0\"?><portal><Status>Enabled</Status></portal>",
);
const JSON: Says = Says(
    200,
    &[("content-type", "application/json")],
    "{\"ok\": true}",
);
const REDIRECT: Says = Says(302, &[("location", "http://login.hotel.example/")], "");
const FORBIDDEN: Says = Says(403, &[("content-type", "text/html")], PAGE);
const NOT_FOUND: Says = Says(404, &[("content-type", "text/html")], PAGE);

const ALL: [Says; 9] = [
    HTML,
    HTML_WITH_ETAG,
    NOTHING,
    NO_CONTENT,
    FOREIGN_XML,
    JSON,
    REDIRECT,
    FORBIDDEN,
    NOT_FOUND,
];

/// Stands before a vault and answers in its place, as long as it is told to.
#[derive(Debug, Clone)]
struct Portal {
    vault: VaultConnector,
    says: Arc<Mutex<Option<Says>>>,
}

impl HttpClient for Portal {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Portal {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Some(Says(status, headers, body)) = *self.says.lock().unwrap() else {
            return self.vault.call(request);
        };
        let body = match request.method() {
            "HEAD" => SdkBody::empty(),
            _ => SdkBody::from(body),
        };
        let mut response = HttpResponse::new(status.try_into().unwrap(), body);
        for (name, value) in headers {
            response.headers_mut().insert(*name, *value);
        }
        HttpConnectorFuture::ready(Ok(response))
    }
}

impl Portal {
    fn before(rig: &Rig) -> Self {
        Self {
            vault: rig.vault().connector(),
            says: Arc::default(),
        }
    }

    fn say(&self, says: Option<Says>) {
        *self.says.lock().unwrap() = says;
    }

    fn store(&self) -> Store {
        Store::vault(
            SharedHttpClient::new(self.clone()),
            "a bucket behind a portal",
        )
    }
}

fn headers() -> ObjectHeaders {
    ObjectHeaders {
        meta: ObjectMeta {
            kind: Kind::File,
            content: Some(ContentHash::of(b"content")),
            size_bytes: 7,
            mtime_ns: 1_700_000_000_000_000_000,
            mode: 0o644,
            owner: None,
            symlink_target: None,
            is_torn: false,
            full_key: None,
            seen_ms: None,
            beside: None,
            sparse_bytes: None,
            attributes: keepwatch::types::Carried::Nothing,
        },
        gzip: false,
        content_type: None,
    }
}

type Call = (
    &'static str,
    fn(Store) -> BoxFuture<'static, Result<(), Fault>>,
);

const AT: At<'static> = At {
    bucket: BUCKET,
    key: "a.txt",
};

fn upload() -> Upload {
    Upload {
        id: "u".into(),
        proof: Proof::EachPart,
    }
}

/// Every call that a store has.
fn calls() -> Vec<Call> {
    macro_rules! call {
        ($name:literal, |$store:ident| $what:expr) => {
            ($name, |$store: Store| {
                Box::pin(async move { ($what).map(|_| ()) })
            })
        };
    }
    vec![
        call!("put", |s| s
            .put(
                AT,
                Bytes::from_static(b"content"),
                ContentHash::of(b"content"),
                &headers()
            )
            .await),
        call!("head", |s| s.head(AT, None).await),
        call!("head of a version", |s| {
            let version_id = VersionId::new("v");
            s.head(AT, version_id.as_ref()).await
        }),
        call!("head with sums", |s| s.head_with_sums(AT, None).await),
        call!("get", |s| s.get(AT, None).await),
        call!("get a range", |s| s.get_range(AT, None, &(0..3)).await),
        call!("mark as deleted", |s| s.mark_deleted(AT).await),
        call!("list", |s| s.list(BUCKET, "", None, 1000).await),
        call!("list versions", |s| s.list_versions(BUCKET, "", None).await),
        call!("list folders", |s| s.list_folders(BUCKET, "", None).await),
        call!("reach", |s| s.reach(BUCKET).await),
        call!("buckets", |s| s.buckets().await),
        call!("versioning", |s| s.versioning(BUCKET).await),
        call!("begin", |s| s.begin_multipart(AT, &headers()).await),
        call!("upload a part", |s| {
            let sums = Sums {
                sha256: Some(ContentHash::of(b"content")),
                crc64: Crc64::of(b"content"),
            };
            s.upload_part(AT, &upload(), 1, Bytes::from_static(b"content"), &sums)
                .await
        }),
        call!("copy", |s| {
            let (version_id, etag) = (VersionId::new("v"), ETag::from("e"));
            let from = CopyFrom {
                key: "b",
                version_id: version_id.as_ref(),
                etag: &etag,
            };
            s.copy(AT, &from, &headers()).await
        }),
        call!("copy a part", |s| {
            let (version_id, etag) = (VersionId::new("v"), ETag::from("e"));
            let from = CopyFrom {
                key: "b",
                version_id: version_id.as_ref(),
                etag: &etag,
            };
            s.copy_part(AT, &upload(), 1, &from, 0..7).await
        }),
        call!("list parts", |s| s.list_parts(AT, "u").await),
        call!("complete", |s| {
            let part = PartDone {
                number: 1,
                etag: "e".into(),
                sha256: Some(ContentHash::of(b"content")),
                crc64: None,
            };
            s.complete_multipart(
                AT,
                &upload(),
                vec![part],
                &Whole {
                    bytes: 7,
                    crc64: None,
                },
            )
            .await
        }),
        call!("abort", |s| s.abort_multipart(AT, "u").await),
        call!("open uploads", |s| s.open_uploads(BUCKET, "").await),
        call!("open uploads of a key", |s| s.open_uploads_of(AT).await),
        call!("thaw", |s| s
            .thaw(
                AT,
                VersionId::new("v").as_ref(),
                Thaw {
                    days: 7,
                    speed: Speed::Standard
                },
                true
            )
            .await),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_believes_what_somebody_else_answers() {
    let rig = Rig::new();
    let portal = Portal::before(&rig);
    for says in ALL {
        portal.say(Some(says));
        for (name, call) in calls() {
            let Err(fault) = call(portal.store()).await else {
                panic!("{name} believes {says:?}");
            };
            assert_eq!(fault.class, Class::Transient, "{name}, {says:?}: {fault}");
            let told = fault.to_string();
            assert!(
                told.contains("answered in its place"),
                "{name}, {says:?}: {told}"
            );
            assert!(told.contains("sign in") && told.contains("proxy"), "{told}");
        }
    }
}

/// The portal comes while the daemon runs, files are saved and deleted, the daemon
/// is started anew before it, and then it goes.
async fn comes_and_goes(says: Says) {
    let rig = Rig::new();
    for number in 0..3 {
        rig.write(&format!("file {number}.txt"), format!("old {number}"));
    }
    rig.write("gone.txt", "gone");
    let portal = Portal::before(&rig);
    let mut settings = config(&rig);
    settings.notify.alert_after_ms = 60_000;
    let daemon = start_on(settings.clone(), portal.store()).await;
    rig.until_equal(&daemon).await;
    let before = in_bucket(&rig.store()).await;

    portal.say(Some(says));
    rig.write("file 0.txt", "new 0");
    rig.write("fresh.txt", "fresh");
    rig.write("large.bin", vec![7; 9 * 1024 * 1024]);
    fs::remove_file(rig.path("gone.txt")).unwrap();
    let is_told = async || {
        let alert = "ALERT: nothing can be backed up";
        let outage = status(&rig).await.board.outage;
        outage.is_some() && digest_files(&rig).concat().contains(alert)
    };
    until("the outage is told", is_told).await;
    let (_, fault) = status(&rig).await.board.outage.unwrap();
    assert!(
        fault.cause.contains("answered in its place"),
        "{says:?}: {fault}"
    );
    let alert = digest_files(&rig).concat();
    assert!(alert.contains("sign in"), "{alert}");
    for name in ["fresh.txt", "large.bin"] {
        assert_eq!(indexed(&daemon, name), None, "{says:?}: {name}");
    }
    let old = ContentHash::of(b"old 0").to_hex();
    assert!(indexed(&daemon, "file 0.txt").is_none_or(|known| known == old));
    daemon.stop().await.unwrap();

    // Also after a start: what was not stored is still known as that.
    let daemon = start_on(settings, portal.store()).await;
    until("the outage is found again", async || {
        status(&rig).await.board.outage.is_some()
    })
    .await;
    rig.write("later.txt", "later");
    until("what waits is known", async || {
        status(&rig).await.waiting > 0 || !unprotected(&daemon).is_empty()
    })
    .await;
    for name in ["fresh.txt", "later.txt", "large.bin"] {
        assert_eq!(indexed(&daemon, name), None, "{says:?}: {name}");
    }
    assert!(in_bucket(&rig.store()).await == before, "{says:?}");

    portal.say(None);
    until_well(&rig, &daemon).await;
    let store = rig.store();
    let fresh = history(&store, "fresh.txt").await;
    assert_eq!(fresh, [Some(b"fresh".to_vec())], "{says:?}");
    assert_eq!(history(&store, "gone.txt").await[0], None, "{says:?}");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn files_saved_behind_a_sign_in_page_are_not_protected_until_it_is_gone() {
    join_all([HTML, HTML_WITH_ETAG].map(comes_and_goes)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_saved_behind_empty_answers_are_not_protected_until_they_end() {
    join_all([NOTHING, NO_CONTENT, REDIRECT].map(comes_and_goes)).await;
}
