//! The real program, asked to stop at bad moments: it ends in time, nothing
//! half done becomes a version, and no parts are left after the next start.

// A drive that hangs: FUSE.
#[cfg(target_os = "linux")]
mod hung;

use super::until_equal_outside;
use crate::harness::os::{can_be_told, press_ctrl_c, set_mode, tell_to_stop};
use crate::harness::{BUCKET, PATIENCE, Rig, in_bucket, program, until};
use crate::raw::counts;
use keepwatch_vault::Vault;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What a stop may take in these tests.
const STOP: Duration = Duration::from_secs(4);

/// Beyond it: the end of threads that hang, and a busy machine.
const SLACK: Duration = Duration::from_secs(15);

/// A line to the vault that lets through so many bytes a second; 0 is none, and
/// then nothing is answered either.
pub(crate) struct Line {
    pub(crate) address: String,
    bytes_per_s: Arc<AtomicU64>,
    _vault: tokio::task::JoinHandle<()>,
}

impl Line {
    pub(crate) async fn to(vault: Vault) -> Self {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let behind = server.local_addr().unwrap();
        let vault = tokio::spawn(async move {
            let keys = ("test".to_owned(), "testtest".to_owned());
            vault
                .serve(server, keys, std::future::pending())
                .await
                .unwrap();
        });
        let front = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", front.local_addr().unwrap());
        let bytes_per_s = Arc::new(AtomicU64::new(u64::MAX));
        let limit = Arc::clone(&bytes_per_s);
        std::thread::spawn(move || {
            for near in front.incoming().flatten() {
                let Ok(far) = TcpStream::connect(behind) else {
                    continue;
                };
                carry(near.try_clone().unwrap(), far.try_clone().unwrap(), &limit);
                carry(far, near, &limit);
            }
        });
        Self {
            address,
            bytes_per_s,
            _vault: vault,
        }
    }

    pub(crate) fn lets_through(&self, bytes_per_s: u64) {
        self.bytes_per_s.store(bytes_per_s, Ordering::SeqCst);
    }
}

/// Carry bytes one way until either end is gone.
fn carry(mut from: TcpStream, mut to: TcpStream, limit: &Arc<AtomicU64>) {
    let limit = Arc::clone(limit);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(got @ 1..) = from.read(&mut buffer) {
            let mut waited = Duration::ZERO;
            loop {
                let per_s = limit.load(Ordering::SeqCst);
                let needs = match per_s {
                    0 => Duration::MAX,
                    _ => Duration::from_secs_f64(got as f64 / per_s as f64),
                };
                if waited >= needs {
                    break;
                }
                std::thread::sleep(Duration::from_millis(5));
                waited += Duration::from_millis(5);
            }
            if to.write_all(&buffer[..got]).is_err() {
                return;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
}

pub(crate) fn config(rig: &Rig, endpoint_url: &str, more: &str) -> PathBuf {
    let file = rig.dir.path().join("keepwatch.toml");
    let text = format!(
        "[s3]\nregion = \"us-east-1\"\nendpoint_url = \"{endpoint_url}\"\n\n[[source]]\nname = \"{BUCKET}\"\npath = \"{BUCKET}\"\nbucket = \"{BUCKET}\"\nversions_per_hour_max = 0\n\n[state]\ndir = \"state\"\n\n[log]\ndir = \"log\"\n\n[limits]\ndebounce_ms = 200\ndebounce_max_ms = 2000\nshutdown_timeout = \"{}s\"\n{more}",
        STOP.as_secs()
    );
    fs::write(&file, text).unwrap();
    set_mode(&file, 0o600);
    file
}

/// The program, with the keys that the line's vault knows.
pub(crate) fn with_keys(config: &Path, arguments: &[&str]) -> Command {
    let mut command = program();
    command
        .args(["--config", config.to_str().unwrap()])
        .args(arguments)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "testtest");
    command
}

/// The program, killed when the test fails.
pub(crate) struct Program(pub(crate) Child);

impl Program {
    fn start(config: &Path) -> Self {
        let mut command = program();
        command
            .args(["--config", config.to_str().unwrap()])
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "testtest")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        can_be_told(&mut command);
        Self(command.spawn().unwrap())
    }

    /// Its exit code, and how long that took.
    pub(crate) fn end(&mut self) -> (Option<i32>, Duration) {
        let began = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return (status.code(), began.elapsed());
            }
            assert!(began.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn stops_in_time(&mut self, ask: fn(&Child)) {
        ask(&self.0);
        let (code, took) = self.end();
        println!("ended after {took:?} with {code:?}");
        assert_eq!(code, Some(0));
        assert!(took < STOP + SLACK, "{took:?}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Already ended: nothing to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn large() -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(11);
    let mut bytes = vec![0; 40 * 1024 * 1024];
    random.fill(&mut bytes);
    bytes
}

/// A folder, and the vault behind a line; the vault is also ours to look at.
pub(crate) struct Scene {
    pub(crate) rig: Rig,
    pub(crate) line: Line,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let rig = Rig::new();
        let line = Line::to(rig.vault()).await;
        Self { rig, line }
    }

    fn start(&self) -> Program {
        Program::start(&config(&self.rig, &self.line.address, ""))
    }

    async fn open_uploads(&self) -> usize {
        let store = self.rig.store();
        store.open_uploads(BUCKET, "").await.unwrap().len()
    }

    /// Over a good line the next run makes everything well.
    async fn next_run_is_well(&self) {
        self.line.lets_through(u64::MAX);
        let mut program = self.start();
        // Before that it has no ears for signals.
        until("it runs", async || status(&self.rig).await.is_some()).await;
        until_equal_outside(&self.rig).await;
        until("no parts are left", async || self.open_uploads().await == 0).await;
        program.stops_in_time(tell_to_stop);
        assert_eq!(self.open_uploads().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn during_a_large_upload_over_a_slow_line() {
    let scene = Scene::new().await;
    scene.rig.write("large.bin", large());
    scene.line.lets_through(400_000);
    let mut program = scene.start();
    until("parts are under way", async || {
        scene.open_uploads().await > 0
    })
    .await;
    program.stops_in_time(tell_to_stop);
    assert!(in_bucket(&scene.rig.store()).await.is_empty(), "half done");
    scene.next_run_is_well().await;
    assert_eq!(counts(&scene.rig.store(), BUCKET).await["large.bin"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_server_hangs() {
    let scene = Scene::new().await;
    scene.rig.write("large.bin", large());
    scene.rig.write("small.txt", "small");
    scene.line.lets_through(400_000);
    let mut program = scene.start();
    until("parts are under way", async || {
        scene.open_uploads().await > 0
    })
    .await;
    scene.line.lets_through(0);
    program.stops_in_time(press_ctrl_c);
    assert!(
        !in_bucket(&scene.rig.store())
            .await
            .contains_key("large.bin")
    );
    scene.next_run_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_now() {
    for ask in [press_ctrl_c as fn(&Child), tell_to_stop] {
        let scene = Scene::new().await;
        scene.rig.write("large.bin", large());
        scene.line.lets_through(400_000);
        let mut program = scene.start();
        until("parts are under way", async || {
            scene.open_uploads().await > 0
        })
        .await;
        scene.line.lets_through(0);
        ask(&program.0);
        // The first one is being obeyed once the log says so.
        until("it is stopping", async || {
            log(&scene.rig).contains("stopping")
        })
        .await;
        ask(&program.0);
        let (code, took) = program.end();
        assert_eq!(code, Some(130));
        // Two seconds are given to threads that hang.
        assert!(
            took < STOP.max(Duration::from_secs(3)) + Duration::from_secs(2),
            "{took:?}"
        );
        scene.next_run_is_well().await;
    }
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
async fn during_the_first_scan_of_many_files() {
    let scene = Scene::new().await;
    for number in 0..3_000 {
        scene
            .rig
            .write(&format!("d{}/{number}.txt", number % 50), "x");
    }
    let mut program = scene.start();
    let store = scene.rig.store();
    until("it has begun", async || {
        !store
            .list(BUCKET, "", None, 1)
            .await
            .unwrap()
            .items
            .is_empty()
    })
    .await;
    program.stops_in_time(tell_to_stop);
    let arrived = counts(&store, BUCKET).await;
    assert!(arrived.len() < 3_000, "not stopped in the middle");
    let mut program = scene.start();
    until("it runs", async || status(&scene.rig).await.is_some()).await;
    until("the rest is in", async || {
        counts(&store, BUCKET).await.len() == 3_000
    })
    .await;
    program.stops_in_time(tell_to_stop);
    let counts = counts(&store, BUCKET).await;
    assert!(counts.values().all(|count| *count == 1), "sent twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn during_a_digest_whose_bucket_hangs() {
    let scene = Scene::new().await;
    scene.rig.write("a.txt", "a");
    let mut program = scene.start();
    until_equal_outside(&scene.rig).await;
    scene.line.lets_through(0);
    let file = scene.rig.dir.path().join("keepwatch.toml");
    let mut digest = crate::harness::program();
    digest
        .args(["--config", file.to_str().unwrap(), "digest", "--send"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut digest = Program(digest.spawn().unwrap());
    until("the comparison has begun", async || {
        let status = status(&scene.rig).await;
        status.is_some_and(|s| s.sources[0].board.scanning.is_some()) || !log(&scene.rig).is_empty()
    })
    .await;
    program.stops_in_time(tell_to_stop);
    digest.end();
    scene.next_run_is_well().await;
}

async fn status(rig: &Rig) -> Option<Box<keepwatch::control::Status>> {
    use keepwatch::control::{Line, Request, ask};
    match ask(&rig.state_dir(), &Request::Status, |_| ()).await {
        Ok(Some(Line::Status(status))) => Some(status),
        _ => None,
    }
}
