//! The line to the server: how much of it may be taken, and what went over it.
//!
//! It sits between the SDK and the network, so that every byte and every
//! request counts, the SDK's own retries among them. Without a limit bodies
//! pass untouched. It must never hold back an answer's bytes in memory: what
//! may not be read yet stays with the server.

use super::clock_skew::ServerClock;
use super::marks;
use crate::os::boot_now;
use crate::types::{Rates, Traffic};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// A grain is what the line carries in a twentieth of a second: fine enough
/// that transfers share it evenly, coarse enough to cost nothing.
const GRAINS_PER_S: u64 = 20;

/// The smallest and the largest grain, bytes.
const GRAIN_BYTES: std::ops::RangeInclusive<u64> = 1024..=64 * 1024;

/// What was not used of the line for so long may be made up for: threads wake
/// late on a busy computer, and the limit would not be reached. On a transfer of
/// five seconds it is 4 %.
const CREDIT: Duration = Duration::from_millis(200);

/// Between a header's name and value, and after it.
const HEADER_EXTRA_BYTES: u64 = 4;

/// Handle; cheap to clone, all clones are one line.
#[derive(Debug, Clone, Default)]
pub(super) struct Line(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    up: Pace,
    down: Pace,
    writes: AtomicU64,
    reads: AtomicU64,
    deletes: AtomicU64,
    sent_bytes: AtomicU64,
    received_bytes: AtomicU64,
    clock: ServerClock,
}

#[derive(Debug, Clone, Copy)]
enum Direction {
    Up,
    Down,
}

impl Line {
    /// From now on the line carries so much, also for what is on its way under
    /// another limit. A body that was begun without one goes on as it began.
    pub(super) fn limit(&self, rates: Rates) {
        self.0.up.limit(rates.up);
        self.0.down.limit(rates.down);
    }

    /// What holds now.
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
        SharedHttpClient::new(OverLine {
            inner,
            line: self.clone(),
        })
    }

    fn pace(&self, direction: Direction) -> &Pace {
        match direction {
            Direction::Up => &self.0.up,
            Direction::Down => &self.0.down,
        }
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

    fn paced(&self, body: &mut SdkBody, direction: Direction) {
        let is_empty = body.content_length() == Some(0);
        if is_empty || self.pace(direction).rate().is_none() {
            return;
        }
        let inner = std::mem::replace(body, SdkBody::empty());
        *body = SdkBody::from_body_1_x(Paced {
            inner,
            line: self.clone(),
            direction,
            held: Bytes::new(),
            granted: None,
        });
    }
}

/// What a request costs: S3 bills writing and listing alike, reading a tenth of
/// that, and deleting nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Write,
    Read,
    Delete,
}

fn kind_of(method: &str, uri: &str) -> Kind {
    // Everything that lists says so in its query.
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

/// One direction of the line: who comes next may begin when what was granted
/// before has gone.
#[derive(Debug)]
struct Pace {
    rate: watch::Sender<Option<u64>>,
    free_at: Mutex<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            rate: watch::Sender::new(None),
            free_at: Mutex::new(Instant::now()),
        }
    }
}

impl Pace {
    fn rate(&self) -> Option<u64> {
        *self.rate.borrow()
    }

    fn limit(&self, rate: Option<u64>) {
        self.rate.send_if_modified(|old| {
            let is_new = *old != rate;
            if is_new {
                // What was granted at the old rate is asked for again.
                *self.free_at.lock() = Instant::now();
                *old = rate;
            }
            is_new
        });
    }

    fn grain_bytes(&self) -> usize {
        let (min, max) = GRAIN_BYTES.into_inner();
        let rate = self.rate().unwrap_or(u64::MAX);
        usize::try_from((rate / GRAINS_PER_S).clamp(min, max)).unwrap_or(usize::MAX)
    }

    /// Wait until so many bytes may go.
    async fn take(&self, bytes: u64) {
        let mut rate = self.rate.subscribe();
        loop {
            let Some(bytes_per_s) = *rate.borrow_and_update() else {
                return;
            };
            let begin = self.reserve(bytes, bytes_per_s);
            tokio::select! {
                () = tokio::time::sleep_until(begin) => return,
                // The sender lives as long as this.
                _ = rate.changed() => {}
            }
        }
    }

    fn reserve(&self, bytes: u64, bytes_per_s: u64) -> Instant {
        let takes = Duration::from_secs_f64(bytes as f64 / bytes_per_s.max(1) as f64);
        let mut free_at = self.free_at.lock();
        let now = Instant::now();
        let earliest = now.checked_sub(CREDIT).unwrap_or(now);
        let begin = (*free_at).max(earliest);
        *free_at = begin + takes;
        begin
    }
}

#[derive(Debug)]
struct OverLine {
    inner: SharedHttpClient,
    line: Line,
}

impl HttpClient for OverLine {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(ConnectorOverLine {
            inner: self.inner.http_connector(settings, components),
            line: self.line.clone(),
        })
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.inner.connector_metadata()
    }
}

#[derive(Debug)]
struct ConnectorOverLine {
    inner: SharedHttpConnector,
    line: Line,
}

impl HttpConnector for ConnectorOverLine {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let (inner, line) = (self.inner.clone(), self.line.clone());
        line.count(&request);
        HttpConnectorFuture::new(async move {
            if line.0.up.rate().is_some() {
                line.0.up.take(head_bytes(&request)).await;
                line.paced(request.body_mut(), Direction::Up);
            }
            let asked = boot_now();
            let mut response: HttpResponse = inner.call(request).await?;
            if let Some(date) = date_of(&response) {
                line.0.clock.heard(date, asked, boot_now());
            }
            let body = response.body().content_length().unwrap_or(0);
            line.0.received_bytes.fetch_add(body, Ordering::Relaxed);
            line.paced(response.body_mut(), Direction::Down);
            Ok(response)
        })
    }
}

/// When the server wrote an answer. One from a cache is dated when it was put
/// there. What something else says in the server's place (`s3::marks`) has nothing
/// that only S3 sends; the clocks of such boxes begin in 1970.
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

/// A request without its body, about.
fn head_bytes(request: &HttpRequest) -> u64 {
    let headers = request.headers().iter();
    let headers: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
    let count = request.headers().iter().count() as u64;
    (request.uri().len() + headers) as u64 + count * HEADER_EXTRA_BYTES
}

type Granted = Pin<Box<dyn Future<Output = usize> + Send + Sync>>;

/// A body that goes no faster than its direction of the line.
struct Paced {
    inner: SdkBody,
    line: Line,
    direction: Direction,
    /// Taken from the inner body and not passed on yet.
    held: Bytes,
    /// Gives how many bytes of it may go.
    granted: Option<Granted>,
}

impl Paced {
    fn ask(&self) -> Granted {
        let (line, direction) = (self.line.clone(), self.direction);
        let bytes = self.held.len().min(line.pace(direction).grain_bytes());
        Box::pin(async move {
            line.pace(direction).take(bytes as u64).await;
            bytes
        })
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = aws_smithy_types::body::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        loop {
            if let Some(granted) = &mut self.granted {
                let bytes = ready!(granted.as_mut().poll(cx));
                self.granted = None;
                return Poll::Ready(Some(Ok(Frame::data(self.held.split_to(bytes)))));
            }
            if !self.held.is_empty() {
                self.granted = Some(self.ask());
                continue;
            }
            match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.held = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, held) = (Body::size_hint(&self.inner), self.held.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + held);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + held);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    fn rates(up: u64) -> Rates {
        Rates {
            up: Some(up),
            down: None,
        }
    }

    async fn send(line: &Line, bytes: usize) -> usize {
        let mut body = SdkBody::from(vec![7; bytes]);
        line.paced(&mut body, Direction::Up);
        body.collect().await.unwrap().to_bytes().len()
    }

    #[tokio::test(start_paused = true)]
    async fn many_at_once_together_take_what_the_limit_says() {
        for (rate, streams, each) in [
            (16_000, 64, 10_000),
            (500_000, 16, 1_000_000),
            (12_500_000, 4, 16 << 20),
        ] {
            let line = Line::default();
            line.limit(rates(rate));
            let began = Instant::now();
            let all = futures::future::join_all((0..streams).map(|_| send(&line, each)));
            let bytes: usize = all.await.iter().sum();
            assert_eq!(bytes, streams * each);
            let measured = bytes as f64 / began.elapsed().as_secs_f64();
            let ratio = measured / rate as f64;
            assert!((0.95..1.05).contains(&ratio), "{rate}: {ratio}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_limit_holds_at_once_also_for_what_waits() {
        let line = Line::default();
        line.limit(rates(16_000));
        let began = Instant::now();
        let sent = tokio::spawn({
            let line = line.clone();
            async move { send(&line, 16_000_000).await }
        });
        tokio::time::sleep(Duration::from_secs(10)).await;
        line.limit(rates(1_000_000));
        tokio::time::sleep(Duration::from_secs(5)).await;
        line.limit(Rates::default());
        assert_eq!(sent.await.unwrap(), 16_000_000);
        assert!(began.elapsed() < Duration::from_secs(16));
    }

    #[tokio::test]
    async fn without_a_limit_bodies_pass_untouched() {
        let line = Line::default();
        let mut body = SdkBody::from("as it was");
        line.paced(&mut body, Direction::Up);
        assert_eq!(body.bytes(), Some(&b"as it was"[..]));
    }

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
