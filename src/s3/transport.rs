//! Stands between the SDK and the network: limits and counts what goes over the line, and
//! notes the server's time.
//!
//! There every byte and every request counts, the SDK's own retries included.

use super::bandwidth::RateLimiter;
use super::clock_skew::ServerClock;
use super::marks;
use crate::os::monotonic_now;
use crate::types::{Rates, Traffic};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Between a header's name and value, and after it.
const HEADER_EXTRA_BYTES: u64 = 4;

/// Handle; cheap to clone, all clones share one line.
#[derive(Debug, Clone, Default)]
pub(super) struct Transport(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    up: RateLimiter,
    down: RateLimiter,
    writes: AtomicU64,
    reads: AtomicU64,
    deletes: AtomicU64,
    sent_bytes: AtomicU64,
    received_bytes: AtomicU64,
    clock: ServerClock,
}

impl Transport {
    /// Set the limits of the line.
    pub(super) fn limit(&self, rates: Rates) {
        self.0.up.limit(rates.up);
        self.0.down.limit(rates.down);
    }

    /// The limits of the line.
    pub(super) fn rates(&self) -> Rates {
        Rates {
            up: self.0.up.rate(),
            down: self.0.down.rate(),
        }
    }

    /// What is known of the server's clock.
    pub(super) fn clock(&self) -> &ServerClock {
        &self.0.clock
    }

    /// What went over it since the start.
    pub(super) fn traffic(&self) -> Traffic {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            writes: of(&self.0.writes),
            reads: of(&self.0.reads),
            deletes: of(&self.0.deletes),
            sent_bytes: of(&self.0.sent_bytes),
            received_bytes: of(&self.0.received_bytes),
        }
    }

    /// The same client, over this line.
    pub(super) fn over(&self, inner: SharedHttpClient) -> SharedHttpClient {
        SharedHttpClient::new(TransportClient {
            inner,
            transport: self.clone(),
        })
    }

    fn count(&self, request: &HttpRequest) {
        let counter = match kind_of(request.method(), request.uri()) {
            Kind::Write => &self.0.writes,
            Kind::Read => &self.0.reads,
            Kind::Delete => &self.0.deletes,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let body = request.body().content_length().unwrap_or(0);
        self.0.sent_bytes.fetch_add(body, Ordering::Relaxed);
    }
}

/// How a request is billed: S3 charges the same for writing and listing, a tenth of that
/// for reading, and nothing for deleting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Write,
    Read,
    Delete,
}

fn kind_of(method: &str, uri: &str) -> Kind {
    // Every request that lists says so in its query.
    const LISTS: [&str; 5] = [
        "list-type=",
        "versions",
        "uploads",
        "uploadId=",
        "delimiter=",
    ];
    let query = uri.split_once('?').map_or("", |(_, query)| query);
    let lists = query
        .split('&')
        .any(|part| LISTS.iter().any(|list| part.starts_with(list)));
    match method {
        "DELETE" => Kind::Delete,
        "GET" if lists => Kind::Write,
        "GET" | "HEAD" => Kind::Read,
        _ => Kind::Write,
    }
}

#[derive(Debug)]
struct TransportClient {
    inner: SharedHttpClient,
    transport: Transport,
}

impl HttpClient for TransportClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(TransportConnector {
            inner: self.inner.http_connector(settings, components),
            transport: self.transport.clone(),
        })
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.inner.connector_metadata()
    }
}

#[derive(Debug)]
struct TransportConnector {
    inner: SharedHttpConnector,
    transport: Transport,
}

impl HttpConnector for TransportConnector {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let (inner, transport) = (self.inner.clone(), self.transport.clone());
        transport.count(&request);
        HttpConnectorFuture::new(async move {
            let Inner {
                up,
                down,
                clock,
                received_bytes,
                ..
            } = &*transport.0;
            if up.rate().is_some() {
                up.take(head_bytes(&request)).await;
                up.limit_body(request.body_mut());
            }
            let asked = monotonic_now();
            let mut response: HttpResponse = inner.call(request).await?;
            if let Some(date) = date_of(&response) {
                clock.heard(date, asked, monotonic_now());
            }
            let body = response.body().content_length().unwrap_or(0);
            received_bytes.fetch_add(body, Ordering::Relaxed);
            down.limit_body(response.body_mut());
            Ok(response)
        })
    }
}

/// When the server wrote an answer; `None` of an answer from a cache, which is dated
/// earlier, and of one that something else gave in the server's place (`s3::marks`): the
/// clocks of such boxes begin in 1970.
fn date_of(response: &HttpResponse) -> Option<&str> {
    let headers = response.headers();
    let kind = headers.get("content-type").unwrap_or_default();
    let kind = kind.to_ascii_lowercase();
    let is_servers = marks::is_marked(headers)
        || headers.get("etag").is_some()
        || kind.starts_with("application/xml")
        || kind.starts_with("text/xml");
    let is_other = headers.get("age").is_some() || kind.starts_with("text/html") || !is_servers;
    headers.get("date").filter(|_| !is_other)
}

/// About how many bytes a request has without its body.
fn head_bytes(request: &HttpRequest) -> u64 {
    let headers = request.headers().iter();
    let headers: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
    let count = request.headers().iter().count() as u64;
    (request.uri().len() + headers) as u64 + count * HEADER_EXTRA_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_types::body::SdkBody;

    #[test]
    fn only_an_answer_of_the_server_itself_tells_its_time() {
        const DATE: &str = "Mon, 23 Nov 2026 18:00:00 GMT";
        for (headers, want) in [
            (&[("content-type", "application/xml")][..], Some(DATE)),
            (&[("etag", "\"e\"")], Some(DATE)),
            (&[("x-amz-request-id", "tx1")], Some(DATE)),
            (&[("content-type", "Text/HTML; charset=utf-8")], None),
            (&[("x-amz-request-id", "tx1"), ("age", "3600")], None),
            // A box on the way: where to sign in, or nothing at all.
            (&[("location", "http://login.example/")], None),
            (&[("content-type", "application/json")], None),
            (&[], None),
        ] {
            let mut answer = HttpResponse::new(200.try_into().unwrap(), SdkBody::empty());
            answer.headers_mut().insert("date", DATE);
            for (name, value) in headers {
                answer.headers_mut().insert(*name, *value);
            }
            assert_eq!(date_of(&answer), want, "{headers:?}");
        }
    }

    #[test]
    fn requests_by_what_they_cost() {
        for (method, uri, want) in [
            ("PUT", "http://s/b/k", Kind::Write),
            ("POST", "http://s/b/k?uploads", Kind::Write),
            ("GET", "http://s/b?list-type=2&prefix=x", Kind::Write),
            ("GET", "http://s/b?versions", Kind::Write),
            ("GET", "http://s/b?uploads", Kind::Write),
            ("GET", "http://s/b/k?uploadId=x", Kind::Write),
            ("GET", "http://s/b/k?versionId=x", Kind::Read),
            ("GET", "http://s/b?versioning", Kind::Read),
            ("HEAD", "http://s/b/k", Kind::Read),
            ("DELETE", "http://s/b/k?uploadId=x", Kind::Delete),
        ] {
            assert_eq!(kind_of(method, uri), want, "{method} {uri}");
        }
    }
}
