//! A server that can take only so much: it gets less at a time, and more again
//! when it can; and after an outage the newest files come first.

use super::{config, is_put, start, start_on, until_well};
use crate::harness::{BUCKET, Fate, Faults, Rig, until};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use keepwatch::s3::Store;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Takes so many PUTs at a time, each a moment long; more are refused.
#[derive(Debug, Clone)]
struct Narrow {
    inner: SharedHttpConnector,
    capacity: Arc<AtomicUsize>,
    now: Arc<AtomicUsize>,
    /// PUTs in flight at each PUT that was taken.
    taken: Arc<Mutex<Vec<usize>>>,
    refused: Arc<AtomicUsize>,
}

impl HttpConnector for Narrow {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if request.method() != "PUT" {
            return self.inner.call(request);
        }
        let narrow = self.clone();
        HttpConnectorFuture::new(async move {
            let running = narrow.now.fetch_add(1, Ordering::SeqCst) + 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
            let answer = if running > narrow.capacity.load(Ordering::SeqCst) {
                narrow.refused.fetch_add(1, Ordering::SeqCst);
                let body = "<Error><Code>SlowDown</Code><Message>by the test</Message></Error>";
                Ok(HttpResponse::new(
                    503.try_into().unwrap(),
                    SdkBody::from(body),
                ))
            } else {
                narrow.taken.lock().unwrap().push(running);
                narrow.inner.call(request).await
            };
            narrow.now.fetch_sub(1, Ordering::SeqCst);
            answer
        })
    }
}

fn widest(taken: &[usize]) -> usize {
    taken.iter().copied().max().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_patience_gets_fewer_at_a_time_and_more_when_it_can() {
    const FILES: usize = 400;
    let rig = Rig::new();
    for number in 0..FILES {
        rig.write(&format!("{number}.txt"), format!("content {number}"));
    }
    let narrow = Narrow {
        inner: SharedHttpConnector::new(rig.vault().connector()),
        capacity: Arc::new(AtomicUsize::new(3)),
        now: Arc::default(),
        taken: Arc::default(),
        refused: Arc::default(),
    };
    let client = Faults::none().wrap(narrow.clone());
    let mut config = config(&rig);
    config.limits.workers = 16;
    let daemon = start_on(config, Store::vault(client, "the test vault")).await;
    let at_once = || daemon.components().sources[0].breaker.at_once();
    let so_far = || narrow.taken.lock().unwrap().len();
    until("all is in", async || so_far() >= FILES).await;
    // Without a pace sixteen at a time knock again and again until they pass.
    let refused = narrow.refused.load(Ordering::SeqCst);
    assert!((1..FILES / 2).contains(&refused), "{refused} refused");
    assert!(widest(&narrow.taken.lock().unwrap()) <= 3);
    // The server has grown.
    narrow.capacity.store(1_000, Ordering::SeqCst);
    let before = so_far();
    for number in 0..FILES {
        rig.write(&format!("{number}.txt"), format!("content {number} again"));
    }
    until_well(&rig, &daemon).await;
    let taken = narrow.taken.lock().unwrap()[before..].to_vec();
    assert!(widest(&taken) > 6, "{taken:?}");
    assert!(at_once() > 6, "{} at a time", at_once());
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_even_one_at_a_time_is_an_outage() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let faults = Faults::none();
    let daemon = start(&rig, &faults).await;
    rig.until_equal(&daemon).await;
    faults.set(|seen| match is_put(seen) {
        true => Fate::Answer(503, "SlowDown"),
        false => Fate::Pass,
    });
    for number in 0..20 {
        rig.write(&format!("{number}.txt"), "x");
    }
    until("the outage is told", async || {
        daemon.components().sources[0].breaker.outage().is_some()
    })
    .await;
    assert_eq!(daemon.components().sources[0].breaker.at_once(), 1);
    faults.set(|_| Fate::Pass);
    until_well(&rig, &daemon).await;
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_outage_the_newest_edits_come_first_and_the_oldest_do_not_starve() {
    const FILES: usize = 300;
    let rig = Rig::new();
    rig.write("first.txt", "x");
    let faults = Faults::none();
    let mut config = config(&rig);
    // One after the other, so that the order can be seen.
    config.limits.workers = 2;
    config.limits.debounce_ms = 50;
    let daemon = start_on(config, rig.faulty_store(&faults)).await;
    rig.until_equal(&daemon).await;
    faults.set(|_| Fate::Answer(403, "InvalidAccessKeyId"));
    let ctx = daemon.components();
    for group in 0..10 {
        for number in group * 30..(group + 1) * 30 {
            rig.write(&format!("{number:03}.txt"), format!("{number}"));
        }
        let waiting = (group + 1) * 30;
        until("they wait in the order of their edits", async || {
            ctx.sources[0].work.queue.depth().total() as usize >= waiting
        })
        .await;
    }
    let order: Arc<Mutex<Vec<usize>>> = Arc::default();
    let seen_order = Arc::clone(&order);
    faults.set(move |seen| {
        let path = seen.uri.split('?').next().unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default();
        let number = name.strip_suffix(".txt").and_then(|n| n.parse().ok());
        if let Some(number) = number.filter(|_| is_put(seen)) {
            seen_order.lock().unwrap().push(number);
        }
        Fate::Pass
    });
    // Cheaper than to read the bucket again and again.
    until("all are in", async || {
        ctx.index.counts(ctx.sources[0].id).protected() == FILES as u64 + 1
    })
    .await;
    until_well(&rig, &daemon).await;
    let order = order.lock().unwrap().clone();
    assert_eq!(order.len(), FILES, "each once");
    let first = &order[..100];
    let newest = first.iter().filter(|n| **n >= FILES - 90).count();
    let oldest = first.iter().filter(|n| **n < 60).count();
    assert!(newest >= 60, "{newest} of the newest in {first:?}");
    assert!(oldest >= 15, "{oldest} of the oldest in {first:?}");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bucket_that_refuses_does_not_slow_another() {
    let rig = Rig::new();
    let second = rig.dir.path().join("second");
    std::fs::create_dir(&second).unwrap();
    rig.vault().ensure_bucket("second").unwrap();
    let mut config = config(&rig);
    let mut other = config.sources[0].clone();
    other.name = "second".into();
    other.bucket = "second".into();
    other.path.clone_from(&second);
    config.sources.push(other);
    let faults = Faults::new(|seen| match seen.uri.contains(&format!("/{BUCKET}/")) {
        true => Fate::Answer(503, "SlowDown"),
        false => Fate::Pass,
    });
    for number in 0..60 {
        rig.write(&format!("{number}.txt"), "x");
        std::fs::write(second.join(format!("{number}.txt")), "y").unwrap();
    }
    let daemon = start_on(config, rig.faulty_store(&faults)).await;
    let ctx = daemon.components();
    until("the second is in", async || {
        ctx.index.counts(ctx.sources[1].id).protected() == 60
    })
    .await;
    assert_eq!(ctx.index.counts(ctx.sources[0].id).protected(), 0);
    assert_eq!(ctx.sources[1].breaker.outage(), None);
    faults.set(|_| Fate::Pass);
    until("the first is in, too", async || {
        ctx.index.counts(ctx.sources[0].id).protected() == 60
    })
    .await;
    daemon.stop().await.unwrap();
}
