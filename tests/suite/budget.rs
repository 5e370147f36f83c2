//! How often a file that changes all the time is stored: the first saves at
//! once, then some an hour, the last state always.

use crate::harness::{
    Rig, Running, at_rest, finish, history, in_bucket, on_disk, program, until, write_config,
};
use keepwatch::clock::{WallClock, system_clock};
use keepwatch::daemon::{Daemon, Options};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const MINUTE_MS: i64 = 60_000;

/// Versions that are stored at once: the first, and six saves.
const BURST: usize = 7;

struct Desk {
    rig: Rig,
    daemon: Daemon,
    ahead_ms: Arc<AtomicI64>,
}

impl Desk {
    async fn start() -> Self {
        let rig = Rig::new();
        let ahead_ms = Arc::new(AtomicI64::new(0));
        let (clock, ahead) = (system_clock(), Arc::clone(&ahead_ms));
        let clock: WallClock = Arc::new(move || clock() + ahead.load(Ordering::SeqCst));
        let mut config = rig.config();
        config.sources[0].versions_per_hour_max = 12;
        let options = Options {
            clock: Some(clock),
            ..Options::default()
        };
        let daemon = Daemon::start(config, options).await.unwrap();
        Self {
            rig,
            daemon,
            ahead_ms,
        }
    }

    /// Save at one stroke: a state in between would be a version too many.
    fn save(&self, name: &str, content: Vec<u8>) {
        let aside = self.rig.dir.path().join("aside");
        fs::write(&aside, content).unwrap();
        let path = self.rig.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::rename(aside, path).unwrap();
    }

    async fn versions(&self, name: &str) -> usize {
        history(&self.rig.store(), name).await.len()
    }

    /// Save until the next save waits; what was saved last is `number`.
    async fn wear_out(&self, name: &str, content: impl Fn(usize) -> Vec<u8>) {
        for number in 1..=BURST {
            self.save(name, content(number));
            self.rig.until_equal(&self.daemon).await;
        }
        assert_eq!(self.versions(name).await, BURST);
        self.save(name, content(BURST + 1));
        self.until_it_waits().await;
    }

    async fn until_it_waits(&self) {
        let pacing = &self.daemon.components().sources[0].pacing;
        until("the next version waits", async || {
            pacing.waiting().0 == 1 && at_rest(&self.daemon)
        })
        .await;
    }
}

fn text(number: usize) -> Vec<u8> {
    format!("state {number}").into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_saves_are_stored_at_once_then_one_waits_and_the_last_state_is_stored() {
    let desk = Desk::start().await;
    desk.wear_out("data.db", text).await;
    // Others do not wait for it.
    desk.rig.write("letter.doc", "dear");
    until("the letter is stored", async || {
        desk.versions("letter.doc").await == 1
    })
    .await;
    for number in 9..11 {
        desk.save("data.db", text(number));
        desk.until_it_waits().await;
    }
    assert_eq!(desk.versions("data.db").await, BURST);
    let ctx = desk.daemon.components();
    let (waiting, until_ms) = ctx.sources[0].pacing.waiting();
    let wait_ms = until_ms.unwrap() - ctx.clock.now_ms();
    assert!(
        waiting == 1 && (1..=5 * MINUTE_MS).contains(&wait_ms),
        "{wait_ms}"
    );
    let (_, unprotected) = ctx.index.unprotected(ctx.sources[0].id, 9).unwrap();
    assert_eq!(unprotected, 0);

    desk.ahead_ms.fetch_add(5 * MINUTE_MS, Ordering::SeqCst);
    desk.rig.until_equal(&desk.daemon).await;
    let stored = history(&desk.rig.store(), "data.db").await;
    assert_eq!(stored.len(), BURST + 1);
    assert_eq!(stored[0], Some(text(10)));
    assert_eq!(
        desk.daemon.components().sources[0].pacing.waiting(),
        (0, None)
    );
    desk.daemon.stop().await.unwrap();
}

/// Named after the bug: a content that size and time did not tell of, as one that was
/// saved between a look at the file and its reading, became a version at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_content_that_only_its_reading_tells_of_waits_like_any_other() {
    let desk = Desk::start().await;
    for number in 1..=BURST {
        desk.save("data.db", text(number));
        desk.rig.until_equal(&desk.daemon).await;
    }
    let file = desk.rig.path("data.db");
    let stored = fs::metadata(&file).unwrap();
    let last = text(BURST + 1);
    assert_eq!(stored.len(), last.len() as u64);
    let aside = desk.rig.dir.path().join("aside");
    fs::write(&aside, &last).unwrap();
    let to = fs::File::options().write(true).open(&aside).unwrap();
    to.set_modified(stored.modified().unwrap()).unwrap();
    fs::rename(aside, file).unwrap();
    desk.until_it_waits().await;
    assert_eq!(desk.versions("data.db").await, BURST);
    // It is not lost.
    desk.ahead_ms.fetch_add(5 * MINUTE_MS, Ordering::SeqCst);
    desk.rig.until_equal(&desk.daemon).await;
    let versions = history(&desk.rig.store(), "data.db").await;
    assert_eq!((versions.len(), &versions[0]), (BURST + 1, &Some(last)));
    assert_eq!(
        desk.daemon.components().sources[0].pacing.waiting(),
        (0, None)
    );
    desk.daemon.stop().await.unwrap();
}

/// Named after the waste: what was asked before a small file was read was asked again
/// when it was stored.
#[tokio::test(flavor = "multi_thread")]
async fn pacing_is_asked_once_for_each_version() {
    let rig = Rig::new();
    let config = write_config(&rig, "");
    let traced = fs::read_to_string(&config).unwrap().replace(
        "dir = \"log\"",
        "dir = \"log\"\nlevel = \"keepwatch::backup=trace\"",
    );
    fs::write(&config, traced).unwrap();
    let reconcile =
        || finish(program().args(["--config", config.to_str().unwrap(), "--reconcile"]));
    let large = vec![b'x'; 2_000_000];
    // Read by the first look, after it, and together with its journal.
    let names = ["letter.doc", "film.mov", "data.db"];
    for number in 1..=2 {
        rig.write("letter.doc", text(number));
        rig.write("film.mov", [large.clone(), text(number)].concat());
        rig.write("data.db", text(number));
        rig.write("data.db-journal", text(number));
        let output = reconcile();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    for name in names {
        assert_eq!(history(&rig.store(), name).await.len(), 2, "{name}");
        let asked = log_lines(&rig, |line| {
            line.contains("pacing is asked") && line.contains(&format!("path={name}"))
        });
        assert_eq!(asked.len(), 1, "{asked:#?}");
    }
}

/// The lines of the log for which `wanted` holds.
fn log_lines(rig: &Rig, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let files = fs::read_dir(rig.dir.path().join("log")).unwrap();
    let texts = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let lines = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
    lines.filter(|line| wanted(line)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_stores_what_waits() {
    let desk = Desk::start().await;
    desk.wear_out("data.db", text).await;
    desk.daemon.stop().await.unwrap();
    let stored = history(&desk.rig.store(), "data.db").await;
    assert_eq!(stored[0], Some(text(BURST + 1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_or_put_back_does_not_wait() {
    let desk = Desk::start().await;
    desk.wear_out("data.db", text).await;
    fs::remove_file(desk.rig.path("data.db")).unwrap();
    desk.rig.until_equal(&desk.daemon).await;
    let pacing = &desk.daemon.components().sources[0].pacing;
    assert_eq!(pacing.waiting(), (0, None));
    // A new name is a first version; a mode is no content.
    desk.rig.write("new.db", text(1));
    desk.rig.until_equal(&desk.daemon).await;
    desk.daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_digest_names_what_costs_and_what_would_save() {
    let desk = Desk::start().await;
    let random = |number: usize| {
        let mut bytes = vec![0; 2_000_000];
        fastrand::Rng::with_seed(number as u64).fill(&mut bytes);
        bytes
    };
    desk.wear_out("mail/archive.pst", random).await;
    desk.rig.write("letter.doc", "dear");
    let ctx = desk.daemon.components();
    let body = async || {
        let report = ctx.daily_job().report(ctx.clock.now_ms()).await.unwrap();
        report.message().body
    };
    let line = "mail/archive.pst: 7 versions, 14.0 MB; with min_version_interval = \"15m\" about 1 and 2.0 MB";
    let text = body().await;
    assert!(text.contains(line), "{text}");
    assert!(!text.contains("letter.doc"), "{text}");
    // Known after a restart, forgotten after a digest.
    desk.daemon.stop().await.unwrap();
    let daemon = desk.rig.start().await;
    let ctx = daemon.components();
    let report = ctx.daily_job().report(ctx.clock.now_ms()).await.unwrap();
    let text = report.message().body;
    assert!(text.contains("mail/archive.pst: 8 versions"), "{text}");
    daemon.stop().await.unwrap();
    let config = write_config(&desk.rig, "");
    let output = finish(program().args(["--config", config.to_str().unwrap(), "digest", "--send"]));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("mail/archive.pst: 8 versions"), "{text}");
    let output = finish(program().args(["--config", config.to_str().unwrap(), "digest"]));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!text.contains("mail/archive.pst"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reconciliation_stores_everything_and_the_status_tells_what_waits() {
    let rig = Rig::new();
    rig.write("data.db", text(1));
    let config = write_config(&rig, "");
    let with_interval = fs::read_to_string(&config)
        .unwrap()
        .replace("versions_per_hour_max = 0", "min_version_interval = \"1h\"");
    fs::write(&config, with_interval).unwrap();
    let reconcile =
        || finish(program().args(["--config", config.to_str().unwrap(), "--reconcile"]));
    // By itself.
    for number in 2..4 {
        rig.write("data.db", text(number));
        let output = reconcile();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let stored = history(&rig.store(), "data.db").await;
        assert_eq!(stored[0], Some(text(number)));
    }
    // While the daemon runs.
    let running = Running::start(&config, &[]).await;
    rig.write("data.db", text(9));
    let source = || running.status().unwrap()["sources"][0].clone();
    until("it waits", async || source()["paced"] == 1).await;
    let status = finish(program().args(["--config", config.to_str().unwrap(), "status"]));
    let shown = String::from_utf8_lossy(&status.stdout);
    assert!(shown.contains("1 file of many versions"), "{shown}");
    assert_eq!(status.status.code(), Some(0), "{shown}");
    let output = reconcile();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    until("nothing waits", async || source()["paced"] == 0).await;
    assert_eq!(running.stop(), Some(0));
    assert_eq!(in_bucket(&rig.store()).await, on_disk(&rig.root()));
}
