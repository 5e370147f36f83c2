//! The vault's requests: whatever comes in, it answers, and touches nothing
//! outside its folder.

use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt as _;
use keepwatch_vault::{IN_PROCESS_ENDPOINT, Vault, VaultConnector};
use std::path::Path;

const BUCKET: &str = "office";

/// What stands between one request and the next.
const NEXT: &[u8] = b"\n===\n";

/// More requests than this say nothing new.
const REQUESTS_MAX: usize = 12;

/// Any bytes: requests as text, `METHOD /path?query`, lines `name: value`, an
/// empty line, the body; [`NEXT`] between them.
pub fn check(data: &[u8]) {
    let place = Place::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let vault = Vault::open(&place.vault()).unwrap();
        vault.ensure_bucket(BUCKET).unwrap();
        let connector = vault.connector();
        for request in split(data).take(REQUESTS_MAX).filter_map(parse) {
            ask(&connector, request).await;
        }
        still_works(&connector).await;
    });
    // What waits for nobody any more may still be writing.
    drop(runtime);
    place.is_untouched();
    let again = Vault::open(&place.vault());
    assert!(again.is_ok(), "it does not open again: {:?}", again.err());
}

/// A vault deep enough in a folder that a few `..` are noticed.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = Self { dir };
        std::fs::create_dir_all(place.dir.path().join("a/b")).unwrap();
        for level in ["", "a", "a/b"] {
            let file = place.dir.path().join(level).join("outside");
            std::fs::write(file, "outside").unwrap();
        }
        place
    }

    fn vault(&self) -> std::path::PathBuf {
        self.dir.path().join("a/b/vault")
    }

    fn is_untouched(&self) {
        for (level, want) in [
            ("", ["a", "outside"]),
            ("a", ["b", "outside"]),
            ("a/b", ["outside", "vault"]),
        ] {
            let folder = self.dir.path().join(level);
            assert_eq!(names(&folder), want, "in {level}");
            let outside = std::fs::read(folder.join("outside")).unwrap();
            assert_eq!(outside, b"outside", "in {level}");
        }
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn split(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(data);
    std::iter::from_fn(move || {
        let now = rest?;
        let at = now.windows(NEXT.len()).position(|window| window == NEXT);
        rest = at.map(|at| &now[at + NEXT.len()..]);
        Some(at.map_or(now, |at| &now[..at]))
    })
}

/// `None` for what no HTTP client could send.
fn parse(text: &[u8]) -> Option<HttpRequest> {
    let at = text.windows(2).position(|two| two == b"\n\n");
    let (head, body) = at.map_or((text, &b""[..]), |at| (&text[..at], &text[at + 2..]));
    let mut lines = head.split(|byte| *byte == b'\n');
    let first = std::str::from_utf8(lines.next()?).ok()?;
    let (method, target) = first.split_once(' ')?;
    let mut request = http::Request::builder()
        .method(method)
        .uri(format!("{IN_PROCESS_ENDPOINT}{target}"));
    for line in lines {
        let at = line.iter().position(|byte| *byte == b':')?;
        let value = line[at + 1..].trim_ascii();
        request = request.header(&line[..at], value);
    }
    // As every client does that does not lie.
    let has_length = request
        .headers_ref()?
        .contains_key(http::header::CONTENT_LENGTH);
    if !has_length && matches!(method, "PUT" | "POST") {
        request = request.header(http::header::CONTENT_LENGTH, body.len());
    }
    let request = request.body(SdkBody::from(body.to_vec())).ok()?;
    HttpRequest::try_from(request).ok()
}

/// Answered in full, or refused before it got there.
async fn ask(connector: &VaultConnector, request: HttpRequest) -> Option<(u16, Vec<u8>)> {
    let answer: HttpResponse = connector.call(request).await.ok()?;
    let status = answer.status().as_u16();
    // A body that breaks off is an answer, too.
    let body = answer.into_body().collect().await.ok()?;
    Some((status, body.to_bytes().to_vec()))
}

/// Nothing that was asked keeps the next from being served.
async fn still_works(connector: &VaultConnector) {
    for (request, want) in [
        (&b"PUT /office-two"[..], 200),
        (b"PUT /office-two/canary%20key\n\ncanary", 200),
        (b"GET /office-two/canary%20key", 200),
        (b"GET /office-two?versions", 200),
        (b"GET /office-two?list-type=2", 200),
        (b"DELETE /office-two/canary%20key", 204),
    ] {
        let answer = ask(connector, parse(request).unwrap()).await;
        let (status, body) = answer.expect("an answer");
        // It may have been made before.
        let is_there = status == 409 && request.starts_with(b"PUT /office-two");
        assert!(
            status == want || is_there,
            "{}: {status} {}",
            String::from_utf8_lossy(request),
            String::from_utf8_lossy(&body)
        );
    }
}
