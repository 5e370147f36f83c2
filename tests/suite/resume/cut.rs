//! The real program over real HTTP, cut off at about 70 % of a large file: by a
//! kill, by a lost line, by a stop, as a daemon and as `--reconcile`.

// Starts Python, and the servers that it has.
#[cfg(unix)]
mod moto;

use super::line::{End, Line, Part};
use super::{KEY, LARGE_BYTES, Step, noise, open};
use crate::harness::os::{can_be_told, set_mode, tell_to_stop};
use crate::harness::{BUCKET, PATIENCE, Rig, history, program, until};
use keepwatch::types::ContentHash;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Where it is cut off.
const CUT_BYTES: u64 = LARGE_BYTES as u64 / 10 * 7;

/// Parts on the wire at once: none of them has arrived when it is cut off.
const IN_FLIGHT: usize = 4;

/// A folder with one large file, and the vault (or moto) behind a line.
struct Scene {
    rig: Rig,
    line: Line,
    config: PathBuf,
    /// Access key and secret key.
    keys: (String, String),
}

impl Scene {
    async fn new() -> Self {
        let rig = Rig::new();
        let line = Line::to(rig.vault()).await;
        let keys = ("test".to_owned(), "testtest".to_owned());
        Self::with(rig, line, keys)
    }

    fn with(rig: Rig, line: Line, keys: (String, String)) -> Self {
        rig.write(KEY, noise(1));
        let config = rig.dir.path().join("keepwatch.toml");
        let url = &line.url;
        let text = format!(
            "[s3]\nregion = \"us-east-1\"\nendpoint_url = \"{url}\"\n\n[[source]]\nname = \"{BUCKET}\"\npath = \"{BUCKET}\"\nbucket = \"{BUCKET}\"\n\n[state]\ndir = \"state\"\n\n[log]\ndir = \"log\"\n\n[limits]\ndebounce_ms = 200\ndebounce_max_ms = 2000\nshutdown_timeout = \"1s\"\n"
        );
        fs::write(&config, text).unwrap();
        set_mode(&config, 0o600);
        Self {
            rig,
            line,
            config,
            keys,
        }
    }

    fn start(&self, arguments: &[&str]) -> Program {
        let mut command = program();
        command
            .args(["--config", self.config.to_str().unwrap()])
            .args(arguments)
            .env("AWS_ACCESS_KEY_ID", &self.keys.0)
            .env("AWS_SECRET_ACCESS_KEY", &self.keys.1)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        can_be_told(&mut command);
        Program(command.spawn().unwrap())
    }

    async fn until_cut(&self) {
        until("the line is used up", async || self.line.is_used_up()).await;
    }

    async fn until_stored(&self) {
        until("the file is in the bucket", async || {
            !history(&self.rig.store(), KEY).await.is_empty()
        })
        .await;
    }

    /// It is there as it is on disk, once, and no parts are left.
    async fn is_well(&self) {
        let mut versions = history(&self.rig.store(), KEY).await;
        assert_eq!(versions.len(), 1);
        let stored = versions.remove(0).unwrap();
        let on_disk = fs::read(self.rig.path(KEY)).unwrap();
        assert!(ContentHash::of(&stored) == ContentHash::of(&on_disk));
        until("no parts are left", async || {
            open(&self.rig).await.is_empty()
        })
        .await;
    }

    /// What the first run brought there, and what the second sent again of it.
    fn sent_again(&self, before: &[Part]) {
        let (parts, steps) = self.line.take();
        let had: BTreeSet<usize> = before
            .iter()
            .filter(|p| p.taken)
            .map(|p| p.number)
            .collect();
        let again: Vec<_> = parts.iter().filter(|p| had.contains(&p.number)).collect();
        let bytes = |parts: &[Part]| parts.iter().map(|p| p.bytes).sum::<u64>();
        println!(
            "before: {} bytes, {} parts there; after: {} bytes in {} parts, {} of them again",
            bytes(before),
            had.len(),
            bytes(&parts),
            parts.len(),
            again.len()
        );
        assert!(again.len() <= 1, "{again:?}");
        assert!(
            !had.is_empty() && !steps.contains(&Step::Begin),
            "{steps:?}"
        );
        // All in all it costs what was on the wire when it was cut off.
        let part_bytes = parts.iter().map(|p| p.bytes).max().unwrap();
        let all = bytes(before) + bytes(&parts);
        assert!(
            all <= LARGE_BYTES as u64 + IN_FLIGHT as u64 * part_bytes,
            "{all}"
        );
    }
}

/// The program, killed when the test fails.
struct Program(Child);

impl Program {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    async fn stop(&mut self) -> Option<i32> {
        tell_to_stop(&self.0);
        self.end().await
    }

    async fn end(&mut self) -> Option<i32> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            assert!(began.elapsed() < PATIENCE, "it does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Already ended: nothing to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_a_kill() {
    let scene = Scene::new().await;
    scene.line.ends_after(CUT_BYTES, End::Silent);
    let mut daemon = scene.start(&[]);
    scene.until_cut().await;
    daemon.kill();
    let (before, _) = scene.line.take();
    scene.line.mend();
    let mut daemon = scene.start(&[]);
    scene.until_stored().await;
    scene.sent_again(&before);
    scene.is_well().await;
    assert_eq!(daemon.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn by_a_lost_line() {
    let scene = Scene::new().await;
    scene.line.ends_after(CUT_BYTES, End::Cut);
    let mut daemon = scene.start(&[]);
    scene.until_cut().await;
    // Until the whole file has been given up: then nothing is asked for a while.
    until("it has been given up", async || {
        let log = log(&scene.rig);
        log.contains("cannot be reached") || log.contains("cannot upload a part of")
    })
    .await;
    let (before, _) = scene.line.take();
    scene.line.mend();
    scene.until_stored().await;
    scene.sent_again(&before);
    scene.is_well().await;
    assert_eq!(daemon.stop().await, Some(0));
}

fn log(rig: &Rig) -> String {
    let Ok(folder) = fs::read_dir(rig.dir.path().join("log")) else {
        return String::new();
    };
    folder
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn by_a_stop() {
    let scene = Scene::new().await;
    scene.line.ends_after(CUT_BYTES, End::Silent);
    let mut daemon = scene.start(&[]);
    scene.until_cut().await;
    assert_eq!(daemon.stop().await, Some(0));
    let (before, steps) = scene.line.take();
    let is_abort = |step: &Step| matches!(step, Step::Abort(_));
    assert!(!steps.iter().any(is_abort), "{steps:?}");
    scene.line.mend();
    let mut daemon = scene.start(&[]);
    scene.until_stored().await;
    scene.sent_again(&before);
    scene.is_well().await;
    assert_eq!(daemon.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reconciliation_by_a_kill() {
    let scene = Scene::new().await;
    scene.line.ends_after(CUT_BYTES, End::Silent);
    let mut reconcile = scene.start(&["--reconcile"]);
    scene.until_cut().await;
    reconcile.kill();
    let (before, _) = scene.line.take();
    scene.line.mend();
    let mut reconcile = scene.start(&["--reconcile"]);
    assert_eq!(reconcile.end().await, Some(0));
    scene.sent_again(&before);
    scene.is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_a_kill_again_and_again() {
    let scene = Scene::new().await;
    let mut all: Vec<Part> = Vec::new();
    // Each run gets somewhat further.
    for _ in 0..3 {
        scene.line.ends_after(LARGE_BYTES as u64 / 2, End::Silent);
        let mut daemon = scene.start(&[]);
        until("the line is used up or the file is there", async || {
            scene.line.is_used_up() || !history(&scene.rig.store(), KEY).await.is_empty()
        })
        .await;
        daemon.kill();
        all.extend(scene.line.take().0);
        scene.line.mend();
    }
    let mut daemon = scene.start(&[]);
    scene.until_stored().await;
    all.extend(scene.line.take().0);
    let taken: Vec<usize> = all.iter().filter(|p| p.taken).map(|p| p.number).collect();
    let different: BTreeSet<usize> = taken.iter().copied().collect();
    println!(
        "{} parts taken, {} different ones",
        taken.len(),
        different.len()
    );
    assert!(taken.len() <= different.len() + 1, "{taken:?}");
    scene.is_well().await;
    assert_eq!(daemon.stop().await, Some(0));
}
