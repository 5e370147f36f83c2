//! The long run: the real program under steady office work, watched from
//! outside, must cost in its last minutes what it cost in the middle ones.
//!
//! `KEEPWATCH_SOAK_MINUTES=30 cargo test --release --test suite soak -- --ignored --nocapture`
//!
//! `KEEPWATCH_SOAK_STORE=http` puts a server and a loopback socket between the
//! program and the vault. `KEEPWATCH_TEST_SEED` repeats a run's work.

mod churn;
mod samples;

use crate::harness::{BUCKET, PATIENCE, Rig, Running, finish, in_bucket, on_disk, program};
use churn::{Churn, Probe};
use keepwatch_vault::Vault;
use samples::{Sample, Samples};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Minutes without the variable.
const MINUTES: u64 = 30;

/// Between two looks at the process.
const SAMPLE_EVERY: Duration = Duration::from_secs(10);

/// Rest at the end: the last saves and a file of 50 MB may be under way.
const REST: Duration = Duration::from_secs(180);

const ACCESS_KEY: &str = "soak";
const SECRET_KEY: &str = "a secret of the soak";

/// A vault behind a loopback socket, served until dropped.
struct Served {
    url: String,
    stop: Option<oneshot::Sender<()>>,
    task: Option<std::thread::JoinHandle<()>>,
}

impl Served {
    fn start(vault: &Vault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let vault = vault.clone();
        let task = std::thread::spawn(move || {
            let keys = (ACCESS_KEY.to_owned(), SECRET_KEY.to_owned());
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime
                .block_on(vault.serve(listener, keys, async {
                    let _ = stopped.await;
                }))
                .unwrap();
        });
        Self {
            url,
            stop: Some(stop),
            task: Some(task),
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.task.take().map(std::thread::JoinHandle::join);
    }
}

/// The settings people have: nothing is made quicker for this test.
fn config(rig: &Rig, store: &str) -> PathBuf {
    let file = rig.dir.path().join("keepwatch.toml");
    fs::create_dir_all(rig.vault_dir()).unwrap();
    let text = format!(
        "{store}\n\n[[source]]\nname = \"{BUCKET}\"\npath = \"{BUCKET}\"\nbucket = \"{BUCKET}\"\ncompress = [\"*.csv\"]\nversions_per_hour_max = 0\n\n[state]\ndir = \"state\"\n\n[log]\ndir = \"log\"\n"
    );
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file
}

fn minutes() -> f64 {
    std::env::var("KEEPWATCH_SOAK_MINUTES").map_or(MINUTES as f64, |text| {
        text.parse().expect("KEEPWATCH_SOAK_MINUTES is a number")
    })
}

/// The daily job, asked for while work goes on.
fn digest(rig: &Rig, config: &Path) {
    let output = finish(program().args(["--config", config.to_str().unwrap(), "digest", "--send"]));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the digest failed: {text}{errors}");
    let written = fs::read_dir(rig.state_dir().join("digests")).unwrap();
    assert!(written.count() > 0, "the digest is nowhere: {text}");
    println!("the digest in the middle of the run:\n{text}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half an hour: KEEPWATCH_SOAK_MINUTES=30 cargo test --release --test suite soak -- --ignored --nocapture"]
async fn a_long_run_costs_at_its_end_what_it_cost_in_the_middle() {
    let seed = churn::seed();
    let length = Duration::from_secs_f64(minutes() * 60.0);
    let over_http = std::env::var("KEEPWATCH_SOAK_STORE").is_ok_and(|store| store == "http");
    println!(
        "soak: {} s on {}, KEEPWATCH_TEST_SEED={seed}",
        length.as_secs(),
        if over_http {
            "a server over HTTP"
        } else {
            "the vault"
        }
    );
    let rig = Rig::new();
    let mut churn = Churn::new(&rig.root(), seed);
    churn.fill();
    let server = over_http.then(|| {
        let vault = rig.vault();
        (Served::start(&vault), vault)
    });
    let config = config(
        &rig,
        &match &server {
            Some((served, _)) => format!(
                "[s3]\nregion = \"us-east-1\"\nendpoint_url = \"{}\"",
                served.url
            ),
            None => "[vault]\npath = \"vault\"".to_owned(),
        },
    );
    let keys = [
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
    ];
    let daemon = Running::start(&config, &keys).await;
    equal_within(&rig, REST).await;

    let ended = Arc::new(AtomicBool::new(false));
    let work = {
        let ended = Arc::clone(&ended);
        std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                churn.step();
            }
            churn.done()
        })
    };
    let probe = tokio::spawn(Probe::new(&rig).run(Arc::clone(&ended)));
    let began = Instant::now();
    let mut samples = Samples::new(length);
    let mut digests = 0;
    while began.elapsed() < length {
        tokio::time::sleep(SAMPLE_EVERY.min(length - began.elapsed())).await;
        if digests == 0 && began.elapsed() > length / 2 {
            digests += 1;
            digest(&rig, &config);
        }
        samples.add(Sample::take(&daemon, &rig, began));
    }
    ended.store(true, Ordering::Relaxed);
    let done = work.join().unwrap();
    let latencies = probe.await.unwrap();
    println!("work done: {done}");
    println!("{}", samples.table(&latencies));
    equal_within(&rig, REST).await;
    let status = daemon.status().unwrap();
    assert_eq!(status["sources"][0]["unprotected_total"], 0, "{status}");
    assert!(
        status["sources"][0]["board"]["outage"].is_null(),
        "{status}"
    );
    assert_eq!(digests, 1, "no digest in the middle");
    assert_eq!(daemon.stop(), Some(0));
    samples.assert_flat(&latencies);
}

/// The bucket equals the folder within `limit`, looked at rarely: each look
/// reads every byte of both.
async fn equal_within(rig: &Rig, limit: Duration) {
    let (store, began) = (rig.store(), Instant::now());
    loop {
        let (bucket, disk) = (in_bucket(&store).await, on_disk(&rig.root()));
        if bucket == disk {
            return;
        }
        let differ: Vec<&String> = disk
            .keys()
            .chain(bucket.keys())
            .filter(|key| disk.get(*key) != bucket.get(*key))
            .take(5)
            .collect();
        assert!(
            began.elapsed() < limit.max(PATIENCE),
            "bucket and folder differ: {differ:?}"
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
