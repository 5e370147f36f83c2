//! The whole bucket fails: it is said what to do, nothing is counted as
//! protected before it is, and everything goes on by itself afterwards.

use super::{config, indexed, is_put, start, start_on, status, unprotected, until_well};
use crate::harness::{BUCKET, Fate, Faults, Rig, digest_files, history, in_bucket, until};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use futures::future::join_all;
use keepwatch::daemon::{Components, Daemon, Options};
use keepwatch::retry::Transition;
use keepwatch::s3::Store;
use keepwatch::source::announce;
use keepwatch::types::WallMs;
use keepwatch::types::{Class, ContentHash};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A way for everything to fail.
struct Trouble {
    fate: Fate,
    class: Class,
    /// In the message or its remedy.
    says: &'static [&'static str],
}

impl Trouble {
    fn new(fate: Fate, class: Class, says: &'static [&'static str]) -> Self {
        Self { fate, class, says }
    }

    fn answer(
        status: u16,
        code: &'static str,
        class: Class,
        says: &'static [&'static str],
    ) -> Self {
        Self::new(Fate::Answer(status, code), class, says)
    }
}

/// Files before, during and after the trouble.
const EDITED: usize = 4;

fn name(number: usize) -> String {
    format!("file {number}.txt")
}

fn hash(text: &str) -> String {
    ContentHash::of(text.as_bytes()).to_hex()
}

/// The trouble comes, is told, and passes.
async fn comes_and_goes(trouble: &Trouble) {
    println!("with {:?}", trouble.fate);
    let rig = Rig::new();
    for number in 0..=EDITED {
        rig.write(&name(number), format!("old {number}"));
    }
    let faults = Faults::none();
    let daemon = start(&rig, &faults).await;
    rig.until_equal(&daemon).await;
    let store = rig.store();
    let before = in_bucket(&store).await;

    let fate = trouble.fate.clone();
    faults.set(move |_| fate.clone());
    for number in 0..EDITED {
        rig.write(&name(number), format!("new {number}"));
    }
    rig.write("fresh.txt", "fresh");
    fs::remove_file(rig.path(&name(EDITED))).unwrap();
    until("the trouble is told", async || {
        status(&rig).await.board.outage.is_some()
    })
    .await;
    rig.write("later.txt", "written while nothing works");

    let status = status(&rig).await;
    let (since_ms, fault) = status.board.outage.unwrap();
    assert_eq!(fault.class, trouble.class, "{fault}");
    assert!(since_ms > WallMs(0) && status.files_protected <= before.len() as u64);
    for words in trouble.says {
        assert!(fault.to_string().contains(words), "{fault}");
    }
    for number in 0..EDITED {
        // A change that was not answered may be done: then nothing is claimed.
        let known = indexed(&daemon, &name(number));
        let old = hash(&format!("old {number}"));
        assert!(known.is_none_or(|known| known == old));
    }
    assert_eq!(indexed(&daemon, "fresh.txt"), None);
    let is_carried_out = matches!(trouble.fate, Fate::LoseAnswer);
    if !is_carried_out {
        assert!(in_bucket(&store).await == before);
    }

    faults.set(|_| Fate::Pass);
    until_well(&rig, &daemon).await;
    let status = super::status(&rig).await;
    assert_eq!(status.files_protected, EDITED as u64 + 2);
    for number in 0..EDITED {
        let (old, new) = (format!("old {number}"), format!("new {number}"));
        let mut versions = history(&store, &name(number)).await;
        if is_carried_out {
            // The same bytes may stand there twice, but nothing else may.
            versions.dedup();
        }
        assert_eq!(versions, [Some(new.into_bytes()), Some(old.into_bytes())]);
    }
    let deleted = history(&store, &name(EDITED)).await;
    assert!(deleted[0].is_none() && deleted.last().unwrap().is_some());
    daemon.stop().await.unwrap();
    println!("passed with {:?}", trouble.fate);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_must_mend_is_told_and_goes_on_afterwards() {
    let troubles = [
        Trouble::answer(
            403,
            "InvalidAccessKeyId",
            Class::Credentials,
            &["access key", "keepwatch check"],
        ),
        Trouble::answer(
            403,
            "SignatureDoesNotMatch",
            Class::Credentials,
            &["~/.aws/credentials"],
        ),
        Trouble::answer(
            400,
            "ExpiredToken",
            Class::Credentials,
            &["expired", "renew"],
        ),
        Trouble::answer(403, "RequestTimeTooSkewed", Class::Credentials, &["clock"]),
        Trouble::answer(
            403,
            "AccessDenied",
            Class::Denied,
            &["What Keepwatch may do"],
        ),
        Trouble::answer(
            404,
            "NoSuchBucket",
            Class::NoBucket,
            &[
                "create the bucket",
                "correct the bucket's name",
                "keepwatch check",
            ],
        ),
        Trouble::answer(507, "InsufficientStorage", Class::Full, &["make room"]),
        Trouble::answer(403, "QuotaExceeded", Class::Full, &["quota"]),
    ];
    join_all(troubles.iter().map(comes_and_goes)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_by_itself_is_told_and_goes_on_afterwards() {
    let says = &["by itself"];
    let troubles = [
        Trouble::answer(500, "InternalError", Class::Transient, says),
        Trouble::answer(503, "SlowDown", Class::SlowDown, says),
        Trouble::answer(503, "ServiceUnavailable", Class::Transient, says),
        Trouble::answer(400, "BadDigest", Class::Transient, says),
        Trouble::new(Fate::Break, Class::Transient, says),
        Trouble::new(Fate::LoseAnswer, Class::Transient, says),
    ];
    join_all(troubles.iter().map(comes_and_goes)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_without_a_network_catches_up() {
    let rig = Rig::new();
    rig.write("a.csv", "a;b\n".repeat(100));
    rig.write("b/c.txt", "c");
    rig.write("d.txt", "d");
    let faults = Faults::new(|_| Fate::Break);
    let daemon = start(&rig, &faults).await;
    until("the outage is told", async || {
        status(&rig).await.board.outage.is_some()
    })
    .await;
    let told = status(&rig).await;
    assert_eq!(told.files_protected, 0);
    rig.write("e.txt", "e");
    faults.set(|_| Fate::Pass);
    until_well(&rig, &daemon).await;
    assert_eq!(status(&rig).await.files_protected, 4);
    daemon.stop().await.unwrap();
}

/// Named after the bug: an outage ended half a minute before the computer was switched off,
/// and the stop sent nothing, as the next probe was due later.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_an_outage_stores_what_waits_once_the_bucket_takes_files_again() {
    for is_over in [true, false] {
        let rig = Rig::new();
        rig.write("a.txt", "a");
        let faults = Faults::none();
        // Not the fast clock: no probe comes due by itself.
        let options = Options {
            store: Some(rig.faulty_store(&faults)),
            ..Options::default()
        };
        let daemon = Daemon::start(config(&rig), options).await.unwrap();
        rig.until_equal(&daemon).await;
        faults.set(|_| Fate::Answer(403, "InvalidAccessKeyId"));
        rig.write("a.txt", "saved in the outage");
        until("the outage is told", async || {
            status(&rig).await.board.outage.is_some()
        })
        .await;
        if is_over {
            faults.set(|_| Fate::Pass);
        }
        daemon.stop().await.unwrap();
        let newest = history(&rig.store(), "a.txt").await.remove(0).unwrap();
        assert_eq!(newest == b"saved in the outage", is_over);
    }
}

/// Named after the bug: one file was saved while nothing answered, and it was that file's
/// trouble for as long as nobody saved another.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_does_not_answer_is_an_outage_even_for_one_file() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let faults = Faults::none();
    let daemon = start(&rig, &faults).await;
    rig.until_equal(&daemon).await;
    faults.set(|_| Fate::Break);
    rig.write("a.txt", "b");
    until("the outage is told", async || {
        status(&rig).await.board.outage.is_some()
    })
    .await;
    faults.set(|_| Fate::Pass);
    until_well(&rig, &daemon).await;
    // A server that fails for one file, and answers, is no outage.
    faults.set(|seen| match is_put(seen) {
        true => Fate::Answer(500, "InternalError"),
        false => Fate::Pass,
    });
    rig.write("a.txt", "c");
    until("it has failed for long", async || {
        let all = unprotected(&daemon);
        all.iter().any(|(_, entry)| entry.attempts > 6)
    })
    .await;
    assert_eq!(status(&rig).await.board.outage, None);
    daemon.stop().await.unwrap();
}

/// Damages the body of so many more PUTs on their way.
#[derive(Debug)]
struct Damaging {
    inner: SharedHttpConnector,
    left: Arc<AtomicU32>,
}

impl HttpConnector for Damaging {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let body = request.body().bytes().map(<[u8]>::to_vec);
        if let Some(mut body) = body.filter(|b| !b.is_empty() && request.method() == "PUT") {
            let one_less = |left: u32| left.checked_sub(1);
            if self
                .left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less)
                .is_ok()
            {
                *body.last_mut().unwrap() ^= 1;
                *request.body_mut() = SdkBody::from(body);
            }
        }
        self.inner.call(request)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_damaged_on_the_way_never_become_a_version() {
    let rig = Rig::new();
    let left = Arc::new(AtomicU32::new(12));
    let faults = Faults::none();
    let client = faults.wrap(Damaging {
        inner: SharedHttpConnector::new(rig.vault().connector()),
        left: Arc::clone(&left),
    });
    for number in 0..3 {
        rig.write(&name(number), format!("content {number}"));
    }
    rig.write("big.bin", vec![7; 9 * 1024 * 1024]);
    let daemon = start_on(config(&rig), Store::vault(client, "the test vault")).await;
    until_well(&rig, &daemon).await;
    assert_eq!(left.load(Ordering::SeqCst), 0, "nothing was damaged");
    let store = rig.store();
    for number in 0..3 {
        let versions = history(&store, &name(number)).await;
        assert_eq!(versions, [Some(format!("content {number}").into_bytes())]);
    }
    assert_eq!(history(&store, "big.bin").await.len(), 1);
    assert!(store.open_uploads(BUCKET, "").await.unwrap().is_empty());
    daemon.stop().await.unwrap();
}

/// Messages that went into files because there is no topic.
pub fn messages(rig: &Rig) -> String {
    digest_files(rig).concat()
}

pub fn count(text: &str, words: &str) -> usize {
    text.matches(words).count()
}

async fn until_passed(ctx: &Components, until_ms: WallMs) {
    until("the fast clock is there", async || {
        ctx.clock.now_ms() >= until_ms
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_outage_is_one_alert_and_one_all_clear() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let faults = Faults::none();
    let mut config = config(&rig);
    let alert_after_ms = 60_000;
    config.notify.alert_after_ms = alert_after_ms;
    let daemon = start_on(config, rig.faulty_store(&faults)).await;
    rig.until_equal(&daemon).await;
    faults.set(|_| Fate::Answer(403, "InvalidAccessKeyId"));
    rig.write("a.txt", "b");
    until("the alert is written", async || {
        count(&messages(&rig), "ALERT: nothing can be backed up") > 0
    })
    .await;
    let alert = messages(&rig);
    assert!(alert.contains("access key"), "{alert}");
    assert!(alert.contains(BUCKET), "{alert}");
    let (since_ms, _) = status(&rig).await.board.outage.unwrap();
    let ctx = daemon.components();
    until_passed(ctx, since_ms + 4 * i64::try_from(alert_after_ms).unwrap()).await;
    faults.set(|_| Fate::Pass);
    until_well(&rig, &daemon).await;
    until("the all-clear is written", async || {
        count(&messages(&rig), "works again.") > 0
    })
    .await;
    // Some beats later there is still one of each.
    until_passed(ctx, ctx.clock.now_ms() + 60_000).await;
    let both = messages(&rig);
    assert_eq!(count(&both, "ALERT: "), 1, "{both}");
    assert_eq!(count(&both, "works again."), 1, "{both}");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_outage_alarms_nobody() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let faults = Faults::none();
    let daemon = start(&rig, &faults).await;
    rig.until_equal(&daemon).await;
    faults.set(|seen| match is_put(seen) {
        true => Fate::Answer(403, "AccessDenied"),
        false => Fate::Pass,
    });
    rig.write("a.txt", "b");
    until("the outage is told", async || {
        status(&rig).await.board.outage.is_some()
    })
    .await;
    faults.set(|_| Fate::Pass);
    until_well(&rig, &daemon).await;
    until_passed(
        daemon.components(),
        daemon.components().clock.now_ms() + 60_000,
    )
    .await;
    assert!(messages(&rig).is_empty() && unprotected(&daemon).is_empty());
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_drops_every_third_request_is_good_enough() {
    let rig = Rig::new();
    for number in 0..60 {
        rig.write(&name(number), format!("content {number}"));
    }
    rig.write("big.bin", vec![7; 17 * 1024 * 1024]);
    let faults = Faults::new(|seen| match seen.number % 3 {
        0 => Fate::Break,
        _ => Fate::Pass,
    });
    let daemon = start(&rig, &faults).await;
    until_well(&rig, &daemon).await;
    assert!(
        rig.store()
            .open_uploads(BUCKET, "")
            .await
            .unwrap()
            .is_empty()
    );
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_files_do_not_all_knock_at_a_closed_door() {
    let rig = Rig::new();
    rig.write("first.txt", "x");
    let faults = Faults::none();
    let daemon = start(&rig, &faults).await;
    rig.until_equal(&daemon).await;
    faults.set(|_| Fate::Answer(403, "InvalidAccessKeyId"));
    for number in 0..500 {
        rig.write(&name(number), format!("content {number}"));
    }
    until("the outage is told", async || {
        status(&rig).await.board.outage.is_some()
    })
    .await;
    let ctx = daemon.components();
    let before = faults.requests();
    until_passed(ctx, ctx.clock.now_ms() + 120_000).await;
    // Two minutes: some probes, and what the workers had begun.
    let asked = faults.requests() - before;
    assert!(asked < 50, "{asked} requests");
    assert_eq!(status(&rig).await.unprotected_total, 0);
    faults.set(|_| Fate::Pass);
    until_well(&rig, &daemon).await;
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn good_news_that_comes_late_does_not_hide_the_next_outage() {
    let rig = Rig::new();
    let faults = Faults::none();
    let daemon = start(&rig, &faults).await;
    until_well(&rig, &daemon).await;
    faults.set(|_| Fate::Answer(404, "NoSuchBucket"));
    rig.write("a.txt", "a");
    let ctx = daemon.components();
    until("the bucket cannot be used", async || {
        ctx.sources[0].breaker.outage().is_some()
    })
    .await;
    // It opened for a moment, and closed again before that was said.
    announce(
        &ctx.sources,
        &ctx.sources[0],
        Some(Transition::Closed { after_ms: 1 }),
    );
    assert!(ctx.sources[0].status.snapshot().outage.is_some());
    faults.set(|_| Fate::Pass);
    until_well(&rig, &daemon).await;
    daemon.stop().await.unwrap();
}
