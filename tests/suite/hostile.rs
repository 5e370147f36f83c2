//! A bucket, or a server, that means harm: nothing is written outside the
//! target, nothing hangs or fills the memory, what is wrong is named, and
//! everything else comes back.
//!
//! Objects that lie are put into a vault; servers that lie stand between the
//! SDK and the vault ([`Lies`]) or are sockets of their own (`memory/server.rs`).

mod adoption;
mod listings;
// Limits a process's memory, and reads what it has used from /proc.
#[cfg(target_os = "linux")]
mod memory;
mod objects;

use crate::restore::bench::{BUCKET, Bench};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use keepwatch::s3::Store;
use keepwatch_vault::VaultConnector;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What a server says instead of the vault; `None` lets the request pass.
type Tell = dyn Fn(&HttpRequest) -> Option<HttpResponse> + Send + Sync;

/// A vault whose server lies.
#[derive(Clone)]
pub struct Lies {
    vault: VaultConnector,
    tell: Arc<Tell>,
    told: Arc<AtomicU32>,
}

impl std::fmt::Debug for Lies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lies")
    }
}

impl HttpClient for Lies {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Lies {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        match (self.tell)(&request) {
            Some(lie) => {
                self.told.fetch_add(1, Ordering::Relaxed);
                HttpConnectorFuture::ready(Ok(lie))
            }
            None => self.vault.call(request),
        }
    }
}

impl Lies {
    pub fn new(
        vault: VaultConnector,
        tell: impl Fn(&HttpRequest) -> Option<HttpResponse> + Send + Sync + 'static,
    ) -> Self {
        Self {
            vault,
            tell: Arc::new(tell),
            told: Arc::default(),
        }
    }

    pub fn store(&self) -> Store {
        Store::vault(SharedHttpClient::new(self.clone()), "a server that lies")
    }

    /// How often it lied.
    pub fn told(&self) -> u32 {
        self.told.load(Ordering::Relaxed)
    }
}

/// A value of the request's query, percent-escapes undone; `None` when it has no such field.
pub fn asked(request: &HttpRequest, field: &str) -> Option<String> {
    let (_, query) = request.uri().split_once('?')?;
    let value = query.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name == field).then_some(value)
    })?;
    Some(
        percent_encoding::percent_decode_str(value)
            .decode_utf8()
            .unwrap()
            .into_owned(),
    )
}

pub fn answer(status: u16, body: impl Into<SdkBody>) -> HttpResponse {
    HttpResponse::new(status.try_into().unwrap(), body.into())
}

/// One version of a listing.
#[derive(Clone)]
pub struct Line {
    pub key: String,
    pub version_id: String,
    pub bytes: usize,
    /// Seconds since 1970.
    pub at_s: u64,
}

pub fn line(key: &str, version_id: &str) -> Line {
    Line {
        key: key.into(),
        version_id: version_id.into(),
        bytes: 1,
        at_s: 1_700_000_000,
    }
}

/// A page of `ListObjectVersions`; `next` is key and version of the next.
pub fn versions_page(lines: &[Line], next: Option<(&str, &str)>) -> String {
    let mut xml = String::from("<?xml version=\"1.0\"?><ListVersionsResult>");
    let mut last = "";
    for line in lines {
        let at = jiff::Timestamp::from_second(line.at_s.try_into().unwrap()).unwrap();
        write!(
            xml,
            "<Version><Key>{}</Key><VersionId>{}</VersionId><IsLatest>{}</IsLatest><LastModified>{at}</LastModified><ETag>\"e\"</ETag><Size>{}</Size><StorageClass>STANDARD</StorageClass></Version>",
            line.key,
            line.version_id,
            line.key != last,
            line.bytes,
        )
        .unwrap();
        last = &line.key;
    }
    if let Some((key, version)) = next {
        write!(
            xml,
            "<IsTruncated>true</IsTruncated><NextKeyMarker>{key}</NextKeyMarker><NextVersionIdMarker>{version}</NextVersionIdMarker>"
        )
        .unwrap();
    }
    xml + "</ListVersionsResult>"
}

/// A page of `ListObjectsV2`.
pub fn objects_page(keys: &[String], next: Option<&str>) -> String {
    let mut xml = String::from("<?xml version=\"1.0\"?><ListBucketResult>");
    for key in keys {
        write!(
            xml,
            "<Contents><Key>{key}</Key><ETag>\"e\"</ETag><Size>1</Size></Contents>"
        )
        .unwrap();
    }
    if let Some(next) = next {
        write!(
            xml,
            "<IsTruncated>true</IsTruncated><NextContinuationToken>{next}</NextContinuationToken>"
        )
        .unwrap();
    }
    xml + "</ListBucketResult>"
}

/// What the vault's own listing says of a key, as a line for a lying one.
pub async fn true_line(bench: &Bench, key: &str) -> Line {
    let page = bench.store.list_versions(BUCKET, key, None).await.unwrap();
    let version = page.items.into_iter().find(|v| v.key == key).unwrap();
    Line {
        bytes: version.stored_bytes.try_into().unwrap(),
        ..line(key, keepwatch::types::id_text(&version.version_id))
    }
}
