//! A bucket, or a server, that means harm: nothing is written outside the
//! target, nothing hangs or fills the memory, what is wrong is named, and
//! everything else comes back.
//!
//! Objects that lie are put into a vault; servers that lie stand between the
//! SDK and the vault ([`Lies`]) or are sockets of their own ([`Server`]).

mod adoption;
mod listings;
mod memory;
mod objects;

use crate::harness::program;
use crate::restore::bench::{BUCKET, Bench};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use keepwatch::s3::Store;
use keepwatch_vault::VaultConnector;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// What a server says instead of the vault; `None` lets the request pass.
type Tell = dyn Fn(&HttpRequest) -> Option<HttpResponse> + Send + Sync;

/// A vault whose server lies.
#[derive(Clone)]
pub struct Lies {
    vault: VaultConnector,
    tell: Arc<Tell>,
    told: Arc<AtomicU32>,
}

impl std::fmt::Debug for Lies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lies")
    }
}

impl HttpClient for Lies {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Lies {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        match (self.tell)(&request) {
            Some(lie) => {
                self.told.fetch_add(1, Ordering::Relaxed);
                HttpConnectorFuture::ready(Ok(lie))
            }
            None => self.vault.call(request),
        }
    }
}

impl Lies {
    pub fn new(
        vault: VaultConnector,
        tell: impl Fn(&HttpRequest) -> Option<HttpResponse> + Send + Sync + 'static,
    ) -> Self {
        Self {
            vault,
            tell: Arc::new(tell),
            told: Arc::default(),
        }
    }

    pub fn store(&self) -> Store {
        Store::vault(SharedHttpClient::new(self.clone()), "a server that lies")
    }

    /// How often it lied.
    pub fn told(&self) -> u32 {
        self.told.load(Ordering::Relaxed)
    }
}

/// A value of the request's query, percent-escapes undone; `None` when it has no such field.
pub fn asked(request: &HttpRequest, field: &str) -> Option<String> {
    let (_, query) = request.uri().split_once('?')?;
    let value = query.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name == field).then_some(value)
    })?;
    Some(
        percent_encoding::percent_decode_str(value)
            .decode_utf8()
            .unwrap()
            .into_owned(),
    )
}

pub fn answer(status: u16, body: impl Into<SdkBody>) -> HttpResponse {
    HttpResponse::new(status.try_into().unwrap(), body.into())
}

/// One version of a listing.
#[derive(Clone)]
pub struct Line {
    pub key: String,
    pub version_id: String,
    pub bytes: usize,
    /// Seconds since 1970.
    pub at_s: u64,
}

pub fn line(key: &str, version_id: &str) -> Line {
    Line {
        key: key.into(),
        version_id: version_id.into(),
        bytes: 1,
        at_s: 1_700_000_000,
    }
}

/// A page of `ListObjectVersions`; `next` is key and version of the next.
pub fn versions_page(lines: &[Line], next: Option<(&str, &str)>) -> String {
    let mut xml = String::from("<?xml version=\"1.0\"?><ListVersionsResult>");
    let mut last = "";
    for line in lines {
        let at = jiff::Timestamp::from_second(line.at_s.try_into().unwrap()).unwrap();
        write!(
            xml,
            "<Version><Key>{}</Key><VersionId>{}</VersionId><IsLatest>{}</IsLatest><LastModified>{at}</LastModified><ETag>\"e\"</ETag><Size>{}</Size><StorageClass>STANDARD</StorageClass></Version>",
            line.key,
            line.version_id,
            line.key != last,
            line.bytes,
        )
        .unwrap();
        last = &line.key;
    }
    if let Some((key, version)) = next {
        write!(
            xml,
            "<IsTruncated>true</IsTruncated><NextKeyMarker>{key}</NextKeyMarker><NextVersionIdMarker>{version}</NextVersionIdMarker>"
        )
        .unwrap();
    }
    xml + "</ListVersionsResult>"
}

/// A page of `ListObjectsV2`.
pub fn objects_page(keys: &[String], next: Option<&str>) -> String {
    let mut xml = String::from("<?xml version=\"1.0\"?><ListBucketResult>");
    for key in keys {
        write!(
            xml,
            "<Contents><Key>{key}</Key><ETag>\"e\"</ETag><Size>1</Size></Contents>"
        )
        .unwrap();
    }
    if let Some(next) = next {
        write!(
            xml,
            "<IsTruncated>true</IsTruncated><NextContinuationToken>{next}</NextContinuationToken>"
        )
        .unwrap();
    }
    xml + "</ListBucketResult>"
}

/// What the vault's own listing says of a key, as a line for a lying one.
pub async fn true_line(bench: &Bench, key: &str) -> Line {
    let page = bench.store.list_versions(BUCKET, key, None).await.unwrap();
    let version = page.items.into_iter().find(|v| v.key == key).unwrap();
    Line {
        bytes: version.stored_bytes.try_into().unwrap(),
        ..line(key, keepwatch::types::id_text(&version.version_id))
    }
}

/// How a lying server answers: the request's first line, and where to write to.
type Serve = dyn Fn(&str, &mut TcpStream) -> std::io::Result<()> + Send + Sync;

/// A socket of this computer that answers as it likes, each connection once.
pub struct Server {
    pub address: SocketAddr,
}

impl Server {
    /// Runs until the test process ends; each connection has a thread.
    pub fn start(
        serve: impl Fn(&str, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serve: Arc<Serve> = Arc::new(serve);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(mut stream), serve) = (stream, Arc::clone(&serve)) else {
                    continue;
                };
                std::thread::spawn(move || {
                    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                    let Some(Ok(first)) = lines.next() else {
                        return;
                    };
                    while lines.next().is_some_and(|l| l.is_ok_and(|l| !l.is_empty())) {}
                    // A client that has had enough hangs up.
                    let _ = serve(&first, &mut stream);
                });
            }
        });
        Self { address }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// A whole answer of a known length.
pub fn say(stream: &mut TcpStream, headers: &str, body: &[u8]) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)
}

/// The head of an answer whose end is the connection's end.
pub fn say_without_end(stream: &mut TcpStream, status: &str, headers: &str) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status}\r\nconnection: close\r\n{headers}\r\n"
    )
}

/// How the real program ended.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    /// The most memory it ever held, as the kernel counted (`VmHWM`).
    pub peak_bytes: u64,
    pub took: Duration,
}

/// The address space that a run may have: far more than it needs, far less
/// than what it is offered. Threads' stacks and malloc's arenas count too.
const ADDRESS_SPACE_KIB: u64 = 6 * 1024 * 1024;

/// How long a run may take; the machine may be busy.
const RUN_PATIENCE: Duration = Duration::from_secs(180);

/// Run the real program, with its memory watched and bounded.
pub fn watched(arguments: &[&str]) -> Ended {
    let real = program();
    let mut shell = Command::new("sh");
    for (name, value) in real.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
        .arg("-c")
        .arg(format!("ulimit -v {ADDRESS_SPACE_KIB}; exec \"$0\" \"$@\""))
        .arg(real.get_program())
        .args(arguments)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let began = Instant::now();
    let mut child = shell.spawn().unwrap();
    let read = |mut from: Box<dyn std::io::Read + Send>| {
        std::thread::spawn(move || {
            let mut text = String::new();
            from.read_to_string(&mut text).unwrap();
            text
        })
    };
    let stdout = read(Box::new(child.stdout.take().unwrap()));
    let stderr = read(Box::new(child.stderr.take().unwrap()));
    let status = Path::new("/proc")
        .join(child.id().to_string())
        .join("status");
    let mut peak_bytes = 0;
    let ended = loop {
        if let Ok(text) = std::fs::read_to_string(&status) {
            let kib = text
                .lines()
                .find_map(|line| line.strip_prefix("VmHWM:"))
                .and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok());
            peak_bytes = kib.map_or(peak_bytes, |kib| peak_bytes.max(kib * 1024));
        }
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        if began.elapsed() > RUN_PATIENCE {
            child.kill().unwrap();
            panic!("the program did not end: {}", stderr.join().unwrap());
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    Ended {
        code: ended.code(),
        stdout: stdout.join().unwrap(),
        stderr: stderr.join().unwrap(),
        peak_bytes,
        took: began.elapsed(),
    }
}
