//! A wire that counts what goes out as content, and a server that lies about
//! its copies.

use crate::harness::{BUCKET, Rig};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use keepwatch::s3::Store;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

const SOURCE: &str = "x-amz-copy-source";

/// What the server makes of a copy.
#[derive(Debug, Clone, Default)]
pub enum Copies {
    #[default]
    AsAsked,
    /// It stores these bytes instead and answers well.
    Stores(Vec<u8>),
    /// The same, and its answer has no ETag.
    StoresUnsaid(Vec<u8>),
    /// It answers with this status and code.
    Fails(u16, &'static str),
}

#[derive(Default)]
struct Counts {
    put_bytes: AtomicU64,
    puts: AtomicU64,
    copies: AtomicU64,
}

/// Counts, and lies when told to.
#[derive(Clone)]
pub struct Wire {
    inner: SharedHttpConnector,
    counts: Arc<Counts>,
    copies: Arc<Mutex<Copies>>,
    /// Looks at single objects that fail from the next copy on.
    pub heads_fail: Arc<AtomicU64>,
    /// It takes no contents.
    pub puts_fail: Arc<AtomicBool>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

impl Wire {
    /// On the rig's vault.
    pub fn new(rig: &Rig) -> Self {
        Self {
            inner: SharedHttpConnector::new(rig.vault().connector()),
            counts: Arc::default(),
            copies: Arc::default(),
            heads_fail: Arc::default(),
            puts_fail: Arc::default(),
        }
    }

    pub fn store(&self) -> Store {
        Store::vault(SharedHttpClient::new(self.clone()), "the test vault")
    }

    pub fn set(&self, copies: Copies) {
        *self.copies.lock().unwrap() = copies;
    }

    /// Bytes of content that went out, in how many requests, and copies asked
    /// for, since the last look.
    pub fn take(&self) -> (u64, u64, u64) {
        let take = |count: &AtomicU64| count.swap(0, Ordering::SeqCst);
        let counts = &self.counts;
        (
            take(&counts.put_bytes),
            take(&counts.puts),
            take(&counts.copies),
        )
    }
}

impl HttpClient for Wire {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let is_copy = request.headers().get(SOURCE).is_some();
        if is_copy {
            self.counts.copies.fetch_add(1, Ordering::SeqCst);
            match self.copies.lock().unwrap().clone() {
                Copies::AsAsked => {}
                Copies::Stores(bytes) => return self.stores(&request, bytes, true),
                Copies::StoresUnsaid(bytes) => return self.stores(&request, bytes, false),
                Copies::Fails(status, code) => {
                    let body = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
                    let answer = HttpResponse::new(status.try_into().unwrap(), body.into());
                    return HttpConnectorFuture::ready(Ok(answer));
                }
            }
        } else if request.method() == "HEAD"
            && self.counts.copies.load(Ordering::SeqCst) > 0
            && self.heads_fail.load(Ordering::SeqCst) > 0
        {
            self.heads_fail.fetch_sub(1, Ordering::SeqCst);
            let answer = HttpResponse::new(500.try_into().unwrap(), SdkBody::empty());
            return HttpConnectorFuture::ready(Ok(answer));
        } else if request.method() == "PUT" && request.uri().contains(BUCKET) {
            if self.puts_fail.load(Ordering::SeqCst) {
                let answer = HttpResponse::new(500.try_into().unwrap(), SdkBody::empty());
                return HttpConnectorFuture::ready(Ok(answer));
            }
            let bytes = request.body().content_length().unwrap_or(0);
            self.counts.put_bytes.fetch_add(bytes, Ordering::SeqCst);
            self.counts.puts.fetch_add(1, Ordering::SeqCst);
        }
        self.inner.call(request)
    }
}

impl Wire {
    /// Store other bytes under the key and with the metadata of the copy.
    fn stores(&self, copy: &HttpRequest, bytes: Vec<u8>, says: bool) -> HttpConnectorFuture {
        let mut put = HttpRequest::new(SdkBody::empty());
        put.set_method("PUT").unwrap();
        let uri = copy.uri().replace("x-id=CopyObject", "x-id=PutObject");
        put.set_uri(uri).unwrap();
        for (name, value) in copy.headers() {
            let is_of_copy = name.starts_with("x-amz-copy") || name == "x-amz-metadata-directive";
            if !is_of_copy && name != "content-length" {
                put.headers_mut().append(name.to_owned(), value.to_owned());
            }
        }
        let length = bytes.len().to_string();
        put.headers_mut().insert("content-length", length);
        *put.body_mut() = SdkBody::from(bytes);
        let stored = self.inner.call(put);
        HttpConnectorFuture::new(async move {
            let mut answer = stored.await?;
            assert!(answer.status().is_success(), "{answer:?}");
            let etag = answer.headers().get("etag").unwrap().to_owned();
            let etag = match says {
                true => format!("<ETag>{etag}</ETag>"),
                false => String::new(),
            };
            let body = format!("<CopyObjectResult>{etag}</CopyObjectResult>").into_bytes();
            let length = body.len().to_string();
            answer.headers_mut().insert("content-length", length);
            *answer.body_mut() = SdkBody::from(body);
            Ok(answer)
        })
    }
}
