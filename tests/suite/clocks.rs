//! Computers whose clocks are wrong, against servers whose clocks are right and say
//! whole seconds.

// Sets the clock of the real program, by what Linux loads before it.
#[cfg(target_os = "linux")]
mod programs;

use crate::deletion_guard::until_told;
use crate::harness;
use crate::harness::{BUCKET, Rig, at_rest, until};
use crate::manifest::{compare, listed, origin};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt as _;
use keepwatch::clock::system_clock;
use keepwatch::daemon::{Daemon, Options};
use keepwatch::history::{Selector, Timeline};
use keepwatch::manifest::format::key;
use keepwatch::retry::Stop;
use keepwatch::s3::{At, Store};
use keepwatch::types::WallMs;
use keepwatch_vault::VaultConnector;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A vault behind a server whose clock is so far ahead of this computer's. It says
/// whole seconds, and what its time is, as S3 does.
#[derive(Debug, Clone)]
struct Server {
    vault: VaultConnector,
    ahead_ms: i64,
}

impl Server {
    fn store(rig: &Rig, ahead_ms: i64) -> Store {
        let server = Self {
            vault: rig.vault().connector(),
            ahead_ms,
        };
        Store::vault(SharedHttpClient::new(server), "a server with a clock")
    }

    /// A time of the vault as this server says it.
    fn says(&self, vault_ms: i64) -> i64 {
        (vault_ms + self.ahead_ms).div_euclid(1_000) * 1_000
    }

    fn list(&self, xml: &str) -> String {
        let mut parts = xml.split("<LastModified>");
        let mut out = parts.next().unwrap().to_owned();
        for part in parts {
            let (time, rest) = part.split_once('<').unwrap();
            let time: jiff::Timestamp = time.parse().unwrap();
            let said = jiff::Timestamp::from_millisecond(self.says(time.as_millisecond()));
            write!(out, "<LastModified>{}<{rest}", said.unwrap()).unwrap();
        }
        out
    }
}

impl HttpClient for Server {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Server {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let server = self.clone();
        HttpConnectorFuture::new(async move {
            let (_, query) = request.uri().split_once('?').unwrap_or_default();
            let is_list = query.contains("list-type=") || query.contains("versions");
            let mut response = server.vault.call(request).await?;
            let now = jiff::Timestamp::from_millisecond(server.says(system_clock()().0)).unwrap();
            let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            response.headers_mut().insert("date", date);
            if !is_list {
                return Ok(response);
            }
            let (status, headers) = (response.status(), response.headers().clone());
            let body = response.into_body().collect().await;
            let body = body.map_err(|e| ConnectorError::other(e, None))?.to_bytes();
            let body = server.list(std::str::from_utf8(&body).unwrap());
            let mut rewritten = HttpResponse::new(status, SdkBody::from(body));
            for (name, value) in headers.iter().filter(|(name, _)| *name != "content-length") {
                let (name, value) = (name.to_owned(), value.to_owned());
                rewritten.headers_mut().insert(name, value);
            }
            Ok(rewritten)
        })
    }
}

/// A daemon whose clock is so far ahead of the true time.
async fn start(rig: &Rig, store: Option<Store>, ahead_ms: i64) -> Daemon {
    let clock = system_clock();
    let options = Options {
        store,
        clock: Some(Arc::new(move || clock() + ahead_ms)),
        ..Options::default()
    };
    Daemon::start(rig.config(), options).await.unwrap()
}

/// What was current at a moment: each key's version.
async fn current(store: &Store, at_ms: WallMs) -> BTreeMap<String, String> {
    let (origin, all) = (origin(), Selector::everything());
    let mut timeline = Timeline::new(store, &origin, &all, Some(at_ms));
    let mut found = BTreeMap::new();
    while let Some(chosen) = timeline.next(&mut Stop::never()).await.unwrap() {
        found.insert(
            chosen.key,
            keepwatch::types::id_text(&chosen.version_id).to_owned(),
        );
    }
    assert_eq!(timeline.take_unsure(), []);
    found
}

/// The `--at` of the newest alert's command.
fn at_of(told: &str) -> WallMs {
    let (_, after) = told.rsplit_once(" --at ").expect("a command");
    let at = after.split_whitespace().next().unwrap();
    at.parse::<jiff::Timestamp>().unwrap().into()
}

/// Named after the bug: with a clock three seconds ahead of the server's the command
/// of the alert brought back encrypted files.
#[tokio::test(flavor = "multi_thread")]
async fn the_moment_that_an_alert_names_is_by_the_servers_clock() {
    for ahead_ms in [-3_000, 3_000, -20 * 60_000, 20 * 60_000] {
        let rig = Rig::new();
        for i in 0..12 {
            rig.write(&format!("{i}.txt"), format!("letter {i}. ").repeat(60));
        }
        let store = Server::store(&rig, ahead_ms);
        let daemon = start(&rig, Some(store.clone()), 0).await;
        rig.until_equal(&daemon).await;
        let stored_ms = system_clock()();
        let good = current(&store, WallMs::MAX).await;
        until("the clock has moved on", async || {
            system_clock()() > stored_ms + 3_500
        })
        .await;
        let mut random = fastrand::Rng::with_seed(7);
        for i in 0..12 {
            let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..))
                .take(5_000)
                .collect();
            rig.write(&format!("{i}.txt"), [b"#".to_vec(), noise].concat());
        }
        let told = until_told(&rig, "looks encrypted (ransomware?)").await;
        rig.until_equal(&daemon).await;
        let then = current(&store, at_of(&told)).await;
        assert_eq!(then, good, "{ahead_ms}: {told}");
        daemon.stop().await.unwrap();
    }
}

/// Named after the bug: a database and its journal said by this computer's clock when
/// they were read, all other files by the server's.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_together_says_by_the_servers_clock_when_it_was_read() {
    // Less than by what clocks count as wrong, and more than a whole second hides.
    for ahead_ms in [-3_500, 3_500] {
        let rig = Rig::new();
        let store = Server::store(&rig, ahead_ms);
        let daemon = start(&rig, Some(store.clone()), 0).await;
        until("the server has told the time", async || {
            store.clock_apart_ms(system_clock()()).is_some() && at_rest(&daemon)
        })
        .await;
        let began_ms = system_clock()();
        for name in ["x.db", "x.db-wal", "alone.txt"] {
            rig.write(name, name);
        }
        rig.until_equal(&daemon).await;
        let ended_ms = system_clock()();
        for key in ["x.db", "x.db-wal", "alone.txt"] {
            let at = At {
                bucket: BUCKET,
                key,
            };
            let head = store.head(at, None).await.unwrap().unwrap();
            let meta = head.meta.unwrap();
            assert_eq!(meta.beside.is_some(), key == "x.db-wal");
            let seen_ms = meta.seen_ms.unwrap() - ahead_ms;
            // It is known within the second that the server says.
            assert!(
                (began_ms - 1_500..=ended_ms + 1_500).contains(&seen_ms),
                "{key} {ahead_ms}: {} ms after the beginning",
                seen_ms - began_ms
            );
        }
        daemon.stop().await.unwrap();
    }
}

/// Put manifests of these days into the bucket, by the server's clock.
async fn daily_manifests(rig: &Rig, days: i64, now_ms: WallMs) {
    for day in 1..=days {
        let body = b"of an earlier day".to_vec();
        crate::manifest::clocks::put(rig, &key("", now_ms - day * DAY_MS), body).await;
    }
}

/// Named after the bug: a clock that was ahead left two of fifteen.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_ahead_thins_no_manifests() {
    for has_server in [true, false] {
        let rig = Rig::new();
        rig.write("a.txt", "a");
        let now_ms = system_clock()();
        daily_manifests(&rig, 13, now_ms).await;
        let store = has_server.then(|| Server::store(&rig, 0));
        let daemon = start(&rig, store, 400 * DAY_MS).await;
        rig.until_equal(&daemon).await;
        assert!(compare(&daemon).await.complete());
        daemon.stop().await.unwrap();
        let all = listed(&rig.store()).await;
        assert_eq!(all.len(), 14, "with a server: {has_server}");
        let newest_ms = all.last().unwrap().moment_ms;
        let is_right = (newest_ms - now_ms).abs() < DAY_MS;
        assert_eq!(is_right, has_server, "{newest_ms:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_differs_by_minutes_is_said_in_status_and_digest() {
    for (ahead_ms, words) in [
        (4 * 60_000, None),
        (10 * 60_000, Some("ahead of")),
        (-3 * DAY_MS, Some("behind")),
    ] {
        let rig = Rig::new();
        rig.write("a.txt", "a");
        let daemon = start(&rig, Some(Server::store(&rig, 0)), ahead_ms).await;
        rig.until_equal(&daemon).await;
        let report = harness::report(&daemon).await;
        let said = report.message().body;
        let warnings = daemon.components().sources[0].status.snapshot().warnings;
        assert_eq!(
            warnings.contains_key("clock"),
            words.is_some(),
            "{ahead_ms}"
        );
        for text in warnings.get("clock").into_iter().chain([&said]) {
            assert_eq!(
                words.is_some_and(|words| text.contains(words)),
                words.is_some(),
                "{ahead_ms}: {text}"
            );
        }
        // The period is the server's, and does not run backwards.
        let now_ms = system_clock()();
        assert!((report.to_ms - now_ms).abs() < 60_000, "{ahead_ms}");
        assert!(report.from_ms <= report.to_ms);
        daemon.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_period_of_a_digest_does_not_run_backwards_on_a_vault() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let ahead = start(&rig, None, 30 * DAY_MS).await;
    rig.until_equal(&ahead).await;
    let (ctx, settled) = (ahead.components(), std::future::ready(()));
    {
        let job = ctx.daily_job();
        Box::pin(job.run(ctx.clock.now_ms(), settled))
            .await
            .unwrap();
    }
    ahead.stop().await.unwrap();
    let daemon = start(&rig, None, 0).await;
    let report = harness::report(&daemon).await;
    let body = report.message().body;
    assert!(body.contains("Period:   up to "), "{body}");
    assert!(body.contains("the clock was ahead then"), "{body}");
    daemon.stop().await.unwrap();
}
