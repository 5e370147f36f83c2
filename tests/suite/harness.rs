//! What every test of the whole program needs: a folder to protect, a vault, a
//! daemon in this process or the real binary, faults on the wire, and a way to
//! compare what is in the bucket with what is on disk.
//!
//! No test sleeps and hopes: [`until`] waits for a condition, within a bound.

#[cfg(windows)]
mod console;
#[cfg(windows)]
mod halt;
pub mod os;
pub mod ran;
pub mod served;
pub mod tree;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use keepwatch::config::{Config, Defaults};
use keepwatch::daemon::{Daemon, Options};
use keepwatch::digest::Report;
use keepwatch::manifest::Claimant;
use keepwatch::s3::{At, Store};
use keepwatch::source::SourceRuntime;
use keepwatch::status::ScanDone;
use keepwatch::types::{Kind, RelKey, WallMs};
use keepwatch_vault::Vault;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long any condition may take to come true. Far beyond what is expected:
/// the machine may be busy; a test that needs it all has failed anyway. Where the
/// program is for Windows each start of it goes through wine's one server.
pub const PATIENCE: Duration = Duration::from_secs(if cfg!(windows) { 180 } else { 60 });

/// Debounce in tests: short, but long enough that a settle timer is needed.
pub const DEBOUNCE_MS: u64 = 300;

/// The source's name and bucket in tests.
pub const BUCKET: &str = "office";

/// Wait until `what` holds, looking again and again; panics after [`PATIENCE`].
pub async fn until(what: &str, holds: impl AsyncFnMut() -> bool) {
    until_within(PATIENCE, what, holds).await;
}

/// The same for what has its own time, and `limit` is beyond that.
pub async fn until_within(limit: Duration, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < limit, "waited too long until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A folder to protect, and places for vault, state and log beside it.
pub struct Rig {
    pub dir: tempfile::TempDir,
}

/// A folder that a daemon has used until now goes away. On Windows a name stays until the last
/// thread has closed its file, and one that a stopped daemon left behind may still do that.
pub fn lose_folder(folder: &Path) {
    let began = Instant::now();
    while let Err(e) = fs::remove_dir_all(folder) {
        assert!(cfg!(windows) && began.elapsed() < PATIENCE, "{e}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Rig {
    pub fn new() -> Self {
        let rig = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(rig.root()).unwrap();
        rig
    }

    /// The protected folder.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join(BUCKET)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// Write a file below the protected folder, making its folders.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn vault_dir(&self) -> PathBuf {
        self.dir.path().join("vault")
    }

    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The state folder is gone, as on a new computer.
    pub fn lose_state(&self) {
        lose_folder(&self.state_dir());
    }

    /// A configuration with a short debounce; change it as needed.
    pub fn config(&self) -> Config {
        let defaults = Defaults {
            state_dir: self.state_dir(),
            log_dir: self.dir.path().join("log"),
            home: keepwatch::types::Home::Nowhere,
            computer_time_zone: jiff::tz::TimeZone::UTC,
        };
        let mut config = Config::trial(&self.root(), &self.vault_dir(), &defaults).unwrap();
        config.limits.debounce_ms = DEBOUNCE_MS;
        config.limits.debounce_max_ms = 2_000;
        // As in a configuration file; a trial has none.
        config.sources[0].sentinel = true;
        // Tests save more often than people do.
        config.sources[0].versions_per_hour_max = 0;
        config.schedule.digest_at = half_a_day_off();
        config
    }

    /// The vault, its bucket made.
    pub fn vault(&self) -> Vault {
        let vault = Vault::open(&self.vault_dir()).unwrap();
        vault.ensure_bucket(BUCKET).unwrap();
        vault
    }

    /// A store on the vault, without faults.
    pub fn store(&self) -> Store {
        Store::vault(self.vault().http_client(), "the test vault")
    }

    /// A store on the vault through `faults`.
    pub fn faulty_store(&self, faults: &Faults) -> Store {
        let client = faults.wrap(self.vault().connector());
        Store::vault(client, "the test vault")
    }

    pub async fn start(&self) -> Daemon {
        self.start_with(self.config(), None).await
    }

    pub async fn start_with(&self, config: Config, store: Option<Store>) -> Daemon {
        let options = Options {
            store,
            ..Options::default()
        };
        Daemon::start(config, options).await.unwrap()
    }

    /// Wait until the bucket's current objects are exactly the folder's files.
    pub async fn until_equal(&self, daemon: &Daemon) {
        let store = self.store();
        until("the bucket equals the folder", async || {
            // At rest afterwards as well: who stored the last one may not be done with it.
            at_rest(daemon) && in_bucket(&store).await == on_disk(&self.root()) && at_rest(daemon)
        })
        .await;
    }
}

/// The messages to the owner so far, a day's in one: without a topic they go into
/// files. One that is being written holds what the day's file has as well, so it
/// is not looked at.
pub fn digest_files(rig: &Rig) -> Vec<String> {
    let folder = rig.state_dir().join("digests");
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "txt"));
    paths.sort();
    let texts = paths.iter().map(|path| fs::read_to_string(path).unwrap());
    texts.collect()
}

/// Scan the whole source, with its bucket. `is_confirmed`: what is held back may go.
pub async fn scan_whole(source: &SourceRuntime, is_confirmed: bool) -> ScanDone {
    let scan = source.work.scans.ask_and_wait(is_confirmed);
    scan.await.unwrap()
}

/// The digest as things stand, without a comparison of its own.
pub async fn report(daemon: &Daemon) -> Report {
    let job = daemon.components().daily_job();
    job.report(WallMs(0)).await.unwrap()
}

/// Nothing waits, runs or settles, and the start scan is over.
pub fn at_rest(daemon: &Daemon) -> bool {
    let ctx = daemon.components();
    ctx.sources.iter().all(|source| {
        let (work, status) = (&source.work, source.status.snapshot());
        let scanned = status.last_scan.is_some() && status.scanning.is_none();
        scanned
            && work.queue.depth() == keepwatch::work::Depth::default()
            && !work.scans.is_asked()
            && work.in_flight.count() == 0
    })
}

/// One file as it must come back: kind, content, mode; times are compared
/// separately where they matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thing {
    pub kind: Kind,
    pub mode: u32,
    /// SHA-256 of the content (or of the link's target) in hex.
    pub hash: String,
}

fn hash(bytes: &[u8]) -> String {
    keepwatch::types::ContentHash::of(bytes).to_hex()
}

/// Everything below `root` that Keepwatch stores, by key.
pub fn on_disk(root: &Path) -> BTreeMap<String, Thing> {
    let mut out = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let mut is_empty = true;
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path == root.join(keepwatch::files::MARKER_FILE_NAME) {
                continue;
            }
            // Tests compare while files come and go.
            let Ok(meta) = fs::symlink_metadata(&path) else {
                continue;
            };
            let (kind, bytes) = if meta.is_dir() {
                is_empty = false;
                folders.push(path);
                continue;
            } else if meta.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                (
                    Kind::Symlink,
                    keepwatch::os::bytes_of_name(target.as_os_str()),
                )
            } else if meta.is_file() {
                let Ok(bytes) = fs::read(&path) else { continue };
                (Kind::File, bytes)
            } else {
                continue;
            };
            is_empty = false;
            let key = RelKey::of_file(&rel(root, &path)).as_str().to_owned();
            let thing = Thing {
                kind,
                mode: os::mode_of(&meta),
                hash: hash(&bytes),
            };
            out.insert(key, thing);
        }
        if is_empty && folder != root {
            let key = RelKey::of_folder(&rel(root, &folder)).as_str().to_owned();
            let mode = fs::metadata(&folder).map_or(0, |meta| os::mode_of(&meta));
            let thing = Thing {
                kind: Kind::Folder,
                mode,
                hash: hash(b""),
            };
            out.insert(key, thing);
        }
    }
    out
}

fn rel(root: &Path, path: &Path) -> keepwatch::types::RelPath {
    keepwatch::os::os_to_rel(path.strip_prefix(root).unwrap()).unwrap()
}

/// The bucket's current objects, each body read and unpacked. Markers of
/// folders that are not empty any more are left out, as they may stay.
pub async fn in_bucket(store: &Store) -> BTreeMap<String, Thing> {
    let mut out: BTreeMap<String, Thing> = BTreeMap::new();
    let mut next = None;
    loop {
        let page = store.list(BUCKET, "", next.as_deref(), 1000).await.unwrap();
        for item in page.items {
            if keepwatch::types::is_own(&item.key) {
                continue;
            }
            let at = At {
                bucket: BUCKET,
                key: &item.key,
            };
            // It may have been deleted since it was listed.
            let Ok((head, body)) = store.get(at, None).await else {
                continue;
            };
            let meta = head.meta.unwrap();
            let bytes = read_all(body, head.gzip).await;
            if meta.kind == Kind::File && !meta.is_torn {
                assert_eq!(Some(hash(&bytes)), meta.content.map(|c| c.to_hex()));
                assert_eq!(bytes.len() as u64, meta.size_bytes, "{}", item.key);
            }
            let thing = Thing {
                kind: meta.kind,
                mode: meta.mode,
                hash: hash(&bytes),
            };
            let full = meta.full_key.map(|full| full.at(&item.key));
            out.insert(full.unwrap_or(item.key), thing);
        }
        match page.next {
            Some(token) => next = Some(token),
            None => break,
        }
    }
    let keys: Vec<String> = out.keys().cloned().collect();
    out.retain(|key, _| {
        !key.ends_with('/') || !keys.iter().any(|k| k != key && k.starts_with(key.as_str()))
    });
    out
}

async fn read_all(body: keepwatch::s3::GetBody, gzip: bool) -> Vec<u8> {
    use tokio::io::AsyncReadExt as _;
    let mut reader = body.into_reader();
    let mut bytes = Vec::new();
    if gzip {
        let mut unpack = async_compression::tokio::bufread::GzipDecoder::new(reader);
        unpack.multiple_members(true);
        unpack.read_to_end(&mut bytes).await.unwrap();
    } else {
        reader.read_to_end(&mut bytes).await.unwrap();
    }
    bytes
}

/// Versions (newest first) of one key: `None` for a delete marker, else its
/// unpacked content.
pub async fn history(store: &Store, key: &str) -> Vec<Option<Vec<u8>>> {
    let mut out = Vec::new();
    let page = store.list_versions(BUCKET, key, None).await.unwrap();
    assert!(page.next.is_none(), "more versions than a test should make");
    for version in page.items.into_iter().filter(|v| v.key == key) {
        if version.is_marker {
            out.push(None);
            continue;
        }
        let at = At {
            bucket: BUCKET,
            key,
        };
        let (head, body) = store.get(at, version.version_id.as_ref()).await.unwrap();
        out.push(Some(read_all(body, head.gzip).await));
    }
    out
}

/// Change a file of the vault, so that neither size nor time tells; twice is not
/// at all.
pub fn alter(path: &Path) {
    let time = fs::metadata(path).unwrap().modified().unwrap();
    let mut bytes = fs::read(path).unwrap();
    bytes[0] ^= 1;
    fs::write(path, bytes).unwrap();
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(time).unwrap();
}

/// What becomes of a request on its way.
#[derive(Debug, Clone)]
pub enum Fate {
    /// It arrives.
    Pass,
    /// The server answers this status with this S3 error code, unseen by the vault.
    Answer(u16, &'static str),
    /// The connection breaks before anything arrives.
    Break,
    /// It arrives and is carried out, but the answer is lost.
    LoseAnswer,
    /// It arrives late.
    Late(Duration),
    /// It arrives without its `If-Match` and `If-None-Match`, as at a server that
    /// does not know them.
    WithoutDemands,
    /// The connection breaks, and what was sent is carried out when this says so.
    CarryOutLater(tokio::sync::watch::Receiver<bool>),
}

/// A request as far as faults are chosen by it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    /// Path and query, percent-encoded.
    pub uri: String,
    /// How many requests came before it.
    pub number: u64,
}

type Rule = Box<dyn FnMut(&Seen) -> Fate + Send>;

/// Faults on the wire between the real SDK and the vault.
#[derive(Clone)]
pub struct Faults {
    rule: Arc<Mutex<(u64, Rule)>>,
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Faults")
    }
}

impl Faults {
    pub fn none() -> Self {
        Self::new(|_| Fate::Pass)
    }

    pub fn new(rule: impl FnMut(&Seen) -> Fate + Send + 'static) -> Self {
        Self {
            rule: Arc::new(Mutex::new((0, Box::new(rule)))),
        }
    }

    /// From now on.
    pub fn set(&self, rule: impl FnMut(&Seen) -> Fate + Send + 'static) {
        self.rule.lock().unwrap().1 = Box::new(rule);
    }

    /// Requests so far.
    pub fn requests(&self) -> u64 {
        self.rule.lock().unwrap().0
    }

    pub fn wrap(&self, inner: impl HttpConnector + 'static) -> SharedHttpClient {
        SharedHttpClient::new(FaultyClient {
            faults: self.clone(),
            inner: SharedHttpConnector::new(inner),
        })
    }
}

#[derive(Debug, Clone)]
struct FaultyClient {
    faults: Faults,
    inner: SharedHttpConnector,
}

impl HttpClient for FaultyClient {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for FaultyClient {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let fate = {
            let mut rule = self.faults.rule.lock().unwrap();
            let seen = Seen {
                method: request.method().to_owned(),
                uri: request.uri().to_owned(),
                number: rule.0,
            };
            rule.0 += 1;
            (rule.1)(&seen)
        };
        let inner = self.inner.clone();
        HttpConnectorFuture::new(async move {
            let broken = || ConnectorError::io("connection reset by the test".into());
            match fate {
                Fate::Pass => inner.call(request).await,
                Fate::Break => Err(broken()),
                Fate::LoseAnswer => {
                    inner.call(request).await?;
                    Err(broken())
                }
                Fate::WithoutDemands => {
                    let mut request = request;
                    for name in ["if-match", "if-none-match"] {
                        request.headers_mut().remove(name);
                    }
                    inner.call(request).await
                }
                Fate::CarryOutLater(mut told) => {
                    tokio::spawn(async move {
                        // Who drops the sender leaves it undone.
                        if told.wait_for(|told| *told).await.is_ok() {
                            let _ = inner.call(request).await;
                        }
                    });
                    Err(broken())
                }
                Fate::Late(wait) => {
                    tokio::time::sleep(wait).await;
                    inner.call(request).await
                }
                Fate::Answer(status, code) => {
                    let body = format!(
                        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>by the test</Message></Error>"
                    );
                    Ok(HttpResponse::new(
                        status.try_into().unwrap(),
                        SdkBody::from(body),
                    ))
                }
            }
        })
    }
}

/// The real program, with nothing of this process's environment that matters.
/// `KEEPWATCH_TEST_PROGRAM` is another build of it: a release build, for the
/// long runs.
pub fn program() -> Command {
    let other = std::env::var_os("KEEPWATCH_TEST_PROGRAM");
    let mut command = Command::new(other.unwrap_or_else(|| env!("CARGO_BIN_EXE_keepwatch").into()));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("AWS_") || text.starts_with("KEEPWATCH_") {
            command.env_remove(&name);
        }
    }
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    command.stdin(Stdio::null());
    command
}

/// Run the program to its end; panics when it takes longer than [`PATIENCE`].
pub fn finish(command: &mut Command) -> Output {
    finish_within(PATIENCE, command)
}

/// The same for what has its own time, and `limit` is beyond that.
pub fn finish_within(limit: Duration, command: &mut Command) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let read = |mut from: Box<dyn std::io::Read + Send>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            from.read_to_end(&mut bytes).unwrap();
            bytes
        })
    };
    let out = read(Box::new(child.stdout.take().unwrap()));
    let err = read(Box::new(child.stderr.take().unwrap()));
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if began.elapsed() > limit {
            child.kill().unwrap();
            panic!("the program did not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    Output {
        status,
        stdout: out.join().unwrap(),
        stderr: err.join().unwrap(),
    }
}

/// The real daemon as its own process; killed when dropped.
pub struct Running {
    child: Child,
    config: PathBuf,
}

impl Running {
    /// Start `keepwatch --config FILE` and wait until it watches everything and
    /// its first scans are over.
    pub async fn start(config: &Path, environment: &[(&str, &str)]) -> Self {
        let mut command = program();
        command
            .args(["--config", config.to_str().unwrap()])
            .envs(environment.iter().copied());
        Self::start_as(command, config).await
    }

    /// The same with a command of one's own.
    pub async fn start_as(mut command: Command, config: &Path) -> Self {
        command.stdout(Stdio::null()).stderr(Stdio::null());
        os::can_be_told(&mut command);
        let mut running = Self {
            child: command.spawn().unwrap(),
            config: config.to_owned(),
        };
        until("the daemon is ready", async || {
            let ended = running.child.try_wait().unwrap();
            assert!(ended.is_none(), "the daemon ended: {ended:?}");
            running.status().is_some_and(|status| {
                let sources = status["sources"].as_array().cloned().unwrap_or_default();
                !sources.is_empty() && sources.iter().all(|s| !s["board"]["last_scan"].is_null())
            })
        })
        .await;
        running
    }

    /// `keepwatch status --json`; `None` while it does not answer.
    pub fn status(&self) -> Option<serde_json::Value> {
        let output = finish(program().args([
            "--config",
            self.config.to_str().unwrap(),
            "status",
            "--json",
        ]));
        let value: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        value["sources"].is_array().then_some(value)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ask it to end, as its system does, and its exit code.
    pub fn stop(mut self) -> Option<i32> {
        os::tell_to_stop(&self.child);
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(began.elapsed() < PATIENCE, "the daemon does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already ended: nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Write down that the bucket is this computer's, as its first start does.
pub async fn claim(rig: &Rig) {
    let claimant = Claimant {
        computer: keepwatch::daemon::this_computer(),
        source: BUCKET.to_owned(),
        root: rig.root().display().to_string(),
        ids: Vec::new(),
        knows: false,
        take_over: None,
    };
    let record = claimant.record("written-by-the-test".to_owned(), WallMs(1_795_000_000_000));
    let put = crate::raw::client(&rig.vault()).put_object();
    let put = put.bucket(BUCKET).key(keepwatch::manifest::owner::key(""));
    let put = put.body(record.to_json().unwrap().into());
    put.send().await.unwrap();
}

/// The hour of the daily job, as far away as it can be: no test runs into it, whenever
/// it is started.
fn half_a_day_off() -> jiff::civil::Time {
    let then = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(12);
    let then = jiff::tz::TimeZone::UTC.to_datetime(then);
    jiff::civil::time(then.hour(), then.minute(), 0, 0)
}

/// A configuration file for the real program on a vault; `more` is appended.
pub fn write_config(rig: &Rig, more: &str) -> PathBuf {
    let file = rig.dir.path().join("keepwatch.toml");
    fs::create_dir_all(rig.vault_dir()).unwrap();
    let text = format!(
        "[vault]\npath = \"vault\"\n\n[[source]]\nname = \"{BUCKET}\"\npath = \"{BUCKET}\"\nbucket = \"{BUCKET}\"\ncompress = [\"*.csv\"]\nversions_per_hour_max = 0\n\n[state]\ndir = \"state\"\n\n[log]\ndir = \"log\"\n\n[limits]\ndebounce_ms = {DEBOUNCE_MS}\ndebounce_max_ms = 2000\n\n{more}"
    );
    fs::write(&file, text).unwrap();
    os::set_mode(&file, 0o600);
    file
}
