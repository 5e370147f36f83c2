//! Computers whose clocks are wrong, against servers whose clocks are right and say
//! whole seconds.

use crate::deletion_guard::until_told;
use crate::harness;
use crate::harness::{BUCKET, Rig, at_rest, finish, program, until, write_config};
use crate::manifest::{compare, listed, origin, restored};
use crate::model::clock::Clock;
use crate::model::journal::Journal;
use crate::model::served::Served;
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
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
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

/// The real program, with a clock that is a day ahead of a server's.
#[tokio::test(flavor = "multi_thread")]
async fn check_says_that_the_clock_is_wrong_and_what_to_do() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let journal = Journal::new();
    let served = Served::new(&rig.vault_dir(), fastrand::Rng::with_seed(1), journal);
    let clock = Clock::new(rig.dir.path());
    let config = rig.dir.path().join("keepwatch.toml");
    let text = format!(
        "[s3]\nregion = \"us-east-1\"\nendpoint_url = \"{}\"\n\n[[source]]\nname = \"{BUCKET}\"\npath = \"{BUCKET}\"\nbucket = \"{BUCKET}\"\n\n[state]\ndir = \"state\"\n\n[log]\ndir = \"log\"\n",
        served.wire.url()
    );
    fs::write(&config, text).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    for (ahead_ms, words) in [
        (
            DAY_MS + 60 * 60_000,
            "WARNING  clock: this computer's clock is 1 day",
        ),
        (0, "ok       clock: agrees with the server's"),
    ] {
        clock.set(ahead_ms);
        let mut command = program();
        command.args(["--config", config.to_str().unwrap(), "check"]);
        command.envs(Served::credentials());
        clock.apply(&mut command);
        let output = finish(&mut command);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains(words), "{said}");
        assert!(
            ahead_ms == 0 || said.contains("Set the clock right"),
            "{said}"
        );
    }
    tokio::task::spawn_blocking(move || drop(served))
        .await
        .unwrap();
}

/// One run of the real program on a vault, with the clock so far ahead.
fn reconcile(config: &Path, clock: &Clock, ahead_ms: i64) {
    clock.set(ahead_ms);
    let mut command = program();
    command.args(["--config", config.to_str().unwrap(), "--reconcile"]);
    clock.apply(&mut command);
    let output = finish(&mut command);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
}

/// Named after the bug: on a vault a moment brought the content before the one that
/// was saved while the clock was ahead, and a renamed file under its old name, and
/// all was well.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_by_a_clock_that_was_ahead_is_named_and_not_guessed() {
    let rig = Rig::new();
    let config = write_config(&rig, "");
    let clock = Clock::new(rig.dir.path());
    let now = system_clock();
    let mut moments = Vec::new();
    let mut save = |ahead_ms: i64, change: &dyn Fn()| {
        change();
        reconcile(&config, &clock, ahead_ms);
        moments.push(now());
    };
    for name in ["saved", "renamed", "calm"] {
        rig.write(name, "first");
    }
    // Long enough ago that the manifests after it are surely younger.
    save(-60 * 60_000, &|| rig.write("more", "1"));
    save(DAY_MS, &|| {
        rig.write("saved", "second, a day ahead");
        fs::rename(rig.path("renamed"), rig.path("new name")).unwrap();
    });
    save(0, &|| rig.write("saved", "third"));
    save(0, &|| rig.write("saved", "fourth"));
    let store = rig.store();
    // The moment, what comes back as `saved`, what is named, and what else is there.
    // The manifest after the clock was put right settles what was written before it.
    let in_doubt = vec!["new name", "renamed", "saved"];
    for (at, saved, named, others) in [
        (0, None, in_doubt.clone(), vec!["calm", "more"]),
        (1, None, in_doubt, vec!["calm", "more"]),
        (2, Some("third"), vec![], vec!["calm", "more", "new name"]),
        (3, Some("fourth"), vec![], vec!["calm", "more", "new name"]),
    ] {
        let to = format!("out {at}");
        let done = restored(&rig, &store, Some(moments[at]), &to).await;
        let folder = rig.dir.path().join(&to);
        let failed = done.failed.items.iter().map(|fault| fault.subject.clone());
        let mut failed: Vec<String> = failed.collect();
        failed.sort();
        assert_eq!(failed, named, "{at}: {done:?}");
        assert_eq!(done.is_complete(), named.is_empty());
        let got = fs::read_to_string(folder.join("saved")).ok();
        assert_eq!(got.as_deref(), saved, "{at}");
        for other in ["calm", "more", "renamed", "new name"] {
            assert_eq!(
                folder.join(other).exists(),
                others.contains(&other),
                "{at}: {other}"
            );
        }
    }
    // How things are now needs no times.
    let done = restored(&rig, &store, None, "now").await;
    assert!(done.is_complete(), "{done:?}");
    assert!(rig.dir.path().join("now/new name").exists());
    assert!(!rig.dir.path().join("now/renamed").exists());
}

/// Named after the bug: what this computer wrote while its clock was ahead was told
/// as somebody else's, or with the advice to find out who writes to the bucket.
#[test]
fn verify_blames_nobody_after_a_clock_that_was_ahead() {
    const MINUTE_MS: i64 = 60_000;
    let rig = Rig::new();
    let config = write_config(&rig, "");
    let config = config.to_str().unwrap();
    let clock = Clock::new(rig.dir.path());
    let run = |ahead_ms, args: &[&str]| {
        clock.set(ahead_ms);
        let mut command = program();
        command.args(args).args(["--config", config]);
        clock.apply(&mut command);
        let output = finish(&mut command);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert_eq!(output.status.code(), Some(0), "{args:?} {ahead_ms}: {text}");
        text
    };
    rig.write("a.txt", "one");
    run(30 * MINUTE_MS, &["--reconcile"]);
    rig.write("a.txt", "two, and the clock is right");
    rig.write("b.txt", "two");
    run(0, &["--reconcile"]);
    // While its time has not come, and when it has.
    for ahead_ms in [0, 40 * MINUTE_MS] {
        let text = run(ahead_ms, &["verify"]);
        for blame in ["somebody else", "who can write", "OVERWRITTEN"] {
            assert!(!text.contains(blame), "{ahead_ms}: {text}");
        }
    }
}
