//! A server that sends a manifest byte by byte, or not at all, holds nobody.

use super::origin;
use crate::harness::Faults;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::StreamBody;
use keepwatch::manifest::read;
use keepwatch::retry::Stop;
use keepwatch::s3::Store;
use keepwatch::types::{Class, WallMs};
use std::io::Write as _;
use std::time::Duration;
use tokio::time::Instant;

/// Bytes of the manifest, as stored.
const STORED_BYTES: u64 = 1_000_000;

/// Answers lists at once, and objects with a byte at a time.
#[derive(Debug, Clone, Copy)]
struct Server {
    pause: Duration,
}

impl HttpConnector for Server {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let pause = self.pause;
        let body = if request.uri().contains("list-type=2") {
            let key = keepwatch::manifest::format::key("", WallMs(1_795_399_214_123));
            SdkBody::from(format!(
                "<ListBucketResult><Name>office</Name><Contents><Key>{key}</Key><Size>{STORED_BYTES}</Size>\
                 <LastModified>2026-11-23T20:00:00.000Z</LastModified></Contents></ListBucketResult>"
            ))
        } else {
            let mut text = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
            text.write_all(&vec![b' '; 900_000]).unwrap();
            let text = Bytes::from(text.finish().unwrap());
            let bytes = futures::stream::unfold(0, move |at| {
                let piece = text.slice(at..at + 1);
                async move {
                    tokio::time::sleep(pause).await;
                    Some((
                        Ok::<_, std::io::Error>(http_body::Frame::data(piece)),
                        at + 1,
                    ))
                }
            });
            SdkBody::from_body_1_x(StreamBody::new(bytes))
        };
        let mut answer = HttpResponse::new(200.try_into().unwrap(), body);
        answer.headers_mut().insert("x-amz-request-id", "test");
        HttpConnectorFuture::ready(Ok(answer))
    }
}

fn store(pause: Duration) -> Store {
    let server = Server { pause };
    Store::vault(Faults::none().wrap(server), "a server of the test")
}

#[tokio::test(start_paused = true)]
async fn one_that_trickles_is_given_up_in_minutes() {
    let store = store(Duration::from_secs(1));
    let mut stop = Stop::never();
    let all = read::list(&store, &origin(), &mut stop).await.unwrap();
    let began = Instant::now();
    let done = read::header(&store, "office", &all[0], &stop).await;
    assert_eq!(done.unwrap_err().class, Class::Transient);
    assert!(
        began.elapsed() <= Duration::from_secs(130),
        "{:?}",
        began.elapsed()
    );
    let began = Instant::now();
    let done = read::nearest(&store, &origin(), None, u64::MAX, &mut stop).await;
    assert_eq!(done.unwrap_err().class, Class::Transient);
    // A restore's six tries, each for a minute, and the pauses between them.
    assert!(
        began.elapsed() <= Duration::from_secs(900),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn whoever_is_told_to_stop_waits_for_no_manifest() {
    let store = store(Duration::from_secs(50));
    let (ask, asked) = tokio::sync::watch::channel(false);
    let mut stop = Stop::new(asked);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(5)).await;
        ask.send_replace(true);
        std::future::pending::<()>().await;
    });
    let began = Instant::now();
    let done = read::nearest(&store, &origin(), None, u64::MAX, &mut stop).await;
    assert!(done.unwrap_err().cause.contains("told to stop"));
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
}
