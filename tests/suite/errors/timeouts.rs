//! A server that takes a connection and then nothing, or next to nothing, is
//! given up in bounded time. The clock is paused: minutes pass in no time.

use crate::harness::{BUCKET, Faults};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::StreamBody;
use keepwatch::s3::{At, ObjectHeaders, Proof, Store, Sums, Upload, Whole};
use keepwatch::types::{Class, ContentHash, Crc64, Fault, Fingerprint, Kind, ObjectMeta};
use std::time::Duration;
use tokio::time::Instant;

const MIB: usize = 1024 * 1024;

/// How the server behaves.
#[derive(Debug, Clone, Copy)]
enum Server {
    /// Takes everything and says nothing.
    Silent,
    /// Answers one byte every ten seconds.
    Trickling,
    /// Takes a kilobyte a second.
    Slow,
}

impl HttpConnector for Server {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let server = *self;
        HttpConnectorFuture::new(async move {
            match server {
                Self::Silent => std::future::pending().await,
                Self::Trickling => {
                    let page = b"<?xml version=\"1.0\"?><ListBucketResult>".iter().cycle();
                    let bytes = futures::stream::unfold(page, |mut page| async {
                        tokio::time::sleep(Duration::from_secs(10)).await;
                        let byte = *page.next()?;
                        let frame = http_body::Frame::data(Bytes::copy_from_slice(&[byte]));
                        Some((Ok::<_, std::convert::Infallible>(frame), page))
                    });
                    let body = SdkBody::from_body_1_x(SyncBody(StreamBody::new(Box::pin(bytes))));
                    Ok(HttpResponse::new(200.try_into().unwrap(), body))
                }
                Self::Slow => {
                    let bytes = request.body().content_length().unwrap_or(0);
                    tokio::time::sleep(Duration::from_secs(bytes / 1024)).await;
                    std::future::pending().await
                }
            }
        })
    }
}

/// A body that nobody shares.
struct SyncBody<B>(B);

impl<B: http_body::Body + Unpin> http_body::Body for SyncBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<B::Data>, B::Error>>> {
        std::pin::Pin::new(&mut self.0).poll_frame(cx)
    }
}

fn store(server: Server) -> Store {
    Store::vault(Faults::none().wrap(server), "a server of the test")
}

const AT: At<'static> = At {
    bucket: BUCKET,
    key: "a.bin",
};

fn headers() -> ObjectHeaders {
    let fingerprint = Fingerprint {
        kind: Kind::File,
        size_bytes: 1,
        mtime_ns: 0,
        ctime_ns: 0,
        inode: 0,
        mode: 0o600,
        owner: None,
    };
    ObjectHeaders {
        meta: ObjectMeta::of(&fingerprint, None),
        gzip: false,
        content_type: None,
    }
}

async fn given_up<T>(what: &str, within: Duration, work: impl Future<Output = Result<T, Fault>>) {
    let began = Instant::now();
    let Err(fault) = work.await else {
        panic!("{what} succeeded");
    };
    assert_eq!(fault.class, Class::Transient, "{what}: {fault}");
    let took = began.elapsed();
    assert!(took <= within, "{what} took {took:?}");
    println!("{what}: given up after {took:?}");
}

/// The SDK tries three times, with pauses of seconds between.
fn three_times(attempt: Duration) -> Duration {
    3 * attempt + Duration::from_secs(60)
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_given_up() {
    let store = store(Server::Silent);
    let short = three_times(Duration::from_secs(30));
    given_up("a look up", short, store.head(AT, None)).await;
    given_up("a listing", short, store.list(BUCKET, "", None, 10)).await;
    given_up("a deletion", short, store.mark_deleted(AT)).await;
    given_up("an abort", short, store.abort_multipart(AT, "x")).await;
    // Asked once: the SDK must not repeat it.
    let once = Duration::from_secs(31);
    given_up("a begin", once, store.begin_multipart(AT, &headers())).await;
    let body = Bytes::from(vec![0; MIB]);
    let hash = ContentHash::of(&body);
    let moving = three_times(Duration::from_secs(60 + 64));
    let headers = headers();
    let put = store.put(AT, body.clone(), hash, &headers);
    given_up("an upload", moving, put).await;
    // What an office saves holds no worker for minutes.
    let tiny = Bytes::from(vec![0; 64 * 1024]);
    let put = store.put(AT, tiny.clone(), ContentHash::of(&tiny), &headers);
    given_up("a small upload", Duration::from_secs(65), put).await;
    let sums = Sums {
        sha256: Some(hash),
        crc64: Crc64::of(&body),
    };
    let upload = Upload {
        id: "x".into(),
        proof: Proof::Whole,
    };
    let part = store.upload_part(AT, &upload, 1, body, &sums);
    given_up("a part", moving, part).await;
    let work = three_times(Duration::from_secs(15 * 60));
    let whole = Whole {
        bytes: 0,
        crc64: None,
    };
    let complete = store.complete_multipart(AT, &upload, Vec::new(), &whole);
    given_up("a completion", work, complete).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_trickles_is_given_up() {
    let store = store(Server::Trickling);
    let short = three_times(Duration::from_secs(30));
    given_up("a listing", short, store.list(BUCKET, "", None, 10)).await;
    let once = Duration::from_secs(31);
    given_up("a begin", once, store.begin_multipart(AT, &headers())).await;
}

#[tokio::test(start_paused = true)]
async fn an_upload_slower_than_any_line_is_given_up() {
    let store = store(Server::Slow);
    let body = Bytes::from(vec![0; 8 * MIB]);
    let hash = ContentHash::of(&body);
    // 8 MiB at 16 KiB/s, and a minute.
    let moving = three_times(Duration::from_secs(60 + 512));
    given_up("an upload", moving, store.put(AT, body, hash, &headers())).await;
}
