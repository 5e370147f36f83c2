//! A server as Ceph RGW 16.2.15 answers, on the vault: what it leaves out, ignores
//! and refuses where copies and uploads in parts are concerned.
//!
//! Each difference is in the table of `s3::differences`; this imitates them where
//! no RGW can be started, and says of each request what it was asked.

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use keepwatch::s3::Store;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SOURCE: &str = "x-amz-copy-source";
const RANGE: &str = "x-amz-copy-source-range";

/// How long a copy is held back for what is to come before it.
const HELD_MAX: Duration = Duration::from_secs(20);

/// What was asked of it.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Bytes of request bodies.
    pub sent: u64,
    /// Objects that were made of contents that were sent.
    pub stored: u64,
    /// Sources of whole copies, as they were named.
    pub copies: Vec<String>,
    /// The same of parts.
    pub part_copies: Vec<String>,
    /// Copies that would have taken tags along.
    pub with_tags: u64,
}

#[derive(Debug, Default)]
struct State {
    asked: Asked,
    /// It undoes the escapes of a part's source once, as others do.
    undoes_once: bool,
    /// It has crashed.
    is_down: bool,
    /// Copies wait until so many contents are stored.
    copies_after: u64,
    /// It copies whatever is newest, whatever version is named.
    ignores_versions: bool,
}

/// Handle; cheap to clone.
#[derive(Debug, Clone)]
pub struct Gateway {
    state: Arc<Mutex<State>>,
    inner: SharedHttpConnector,
}

impl Gateway {
    pub fn before(inner: impl HttpConnector + 'static) -> Self {
        Self {
            state: Arc::default(),
            inner: SharedHttpConnector::new(inner),
        }
    }

    pub fn store(&self) -> Store {
        Store::vault(SharedHttpClient::new(self.clone()), "the test gateway")
    }

    /// What was asked since the last look.
    pub fn take(&self) -> Asked {
        std::mem::take(&mut self.state.lock().unwrap().asked)
    }

    pub fn undo_once(&self) {
        self.state.lock().unwrap().undoes_once = true;
    }

    pub fn ignore_versions(&self) {
        self.state.lock().unwrap().ignores_versions = true;
    }

    pub fn is_down(&self) -> bool {
        self.state.lock().unwrap().is_down
    }

    /// From now on copies wait until so many contents are stored.
    pub fn copy_after(&self, contents: u64) {
        let mut state = self.state.lock().unwrap();
        state.asked.stored = 0;
        state.copies_after = contents;
    }

    async fn held(&self) {
        let began = tokio::time::Instant::now();
        loop {
            {
                let state = self.state.lock().unwrap();
                if state.asked.stored >= state.copies_after {
                    return;
                }
            }
            assert!(began.elapsed() < HELD_MAX, "the contents did not come");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn note(&self, request: &HttpRequest) {
        let mut state = self.state.lock().unwrap();
        let asked = &mut state.asked;
        let bytes = request.body().content_length().unwrap_or(0);
        asked.sent += bytes;
        match (request.headers().get(SOURCE), request.headers().get(RANGE)) {
            (Some(source), Some(_)) => asked.part_copies.push(source.to_owned()),
            (Some(source), None) => {
                asked.copies.push(source.to_owned());
                let rule = request.headers().get("x-amz-tagging-directive");
                asked.with_tags += u64::from(rule != Some("REPLACE"));
            }
            (None, _) => {}
        }
    }

    /// Undo the escapes of a source as RGW does: `None` when it crashes at it.
    fn undone(&self, source: &str) -> Option<String> {
        let (path, version) = source.split_once('?').unwrap_or((source, ""));
        let once = decode(path)?;
        let key = match self.state.lock().unwrap().undoes_once {
            true => once,
            false => decode(&once)?,
        };
        let escaped: String = key.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let escaped = escaped.replace("%2F", "/");
        Some(match version {
            "" => escaped,
            version => format!("{escaped}?{version}"),
        })
    }
}

/// `None` where a `%` has no two hex digits after it.
fn decode(text: &str) -> Option<String> {
    let (mut out, bytes) = (Vec::new(), text.as_bytes());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                let digits = text.get(at + 1..at + 3)?;
                out.push(u8::from_str_radix(digits, 16).ok()?);
                at += 3;
            }
            byte => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).ok()
}

fn refusal(status: u16, code: &str) -> HttpResponse {
    // As RGW words it: never a message.
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message></Message></Error>"
    );
    HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))
}

impl HttpClient for Gateway {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Gateway {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let gateway = self.clone();
        HttpConnectorFuture::new(async move { gateway.answer(request).await })
    }
}

impl Gateway {
    async fn answer(
        &self,
        mut request: HttpRequest,
    ) -> Result<HttpResponse, aws_smithy_runtime_api::client::result::ConnectorError> {
        if self.is_down() {
            return Ok(refusal(503, "ServiceUnavailable"));
        }
        self.note(&request);
        let is_part_copy = request.headers().contains_key(RANGE);
        let is_copy = request.headers().contains_key(SOURCE) && !is_part_copy;
        let is_completion = request.method() == "POST" && request.uri().contains("uploadId=");
        let is_part = request.uri().contains("uploadId=");
        let is_whole = request.method() == "PUT" && !is_copy && !is_part;
        if is_part_copy {
            if request.headers().get("content-length") != Some("0") {
                return Ok(refusal(411, "MissingContentLength"));
            }
            let source = request.headers().get(SOURCE).unwrap().to_owned();
            let Some(source) = self.undone(&source) else {
                self.state.lock().unwrap().is_down = true;
                return Ok(refusal(503, "ServiceUnavailable"));
            };
            request.headers_mut().insert(SOURCE, source);
        }
        if is_copy {
            self.held().await;
            if self.state.lock().unwrap().ignores_versions {
                let source = request.headers().get(SOURCE).unwrap().to_owned();
                let path = source.split('?').next().unwrap().to_owned();
                request.headers_mut().insert(SOURCE, path);
            }
        }
        // It knows none of these.
        for name in [
            "x-amz-copy-source-if-match",
            "x-amz-checksum-type",
            "x-amz-checksum-algorithm",
            "x-amz-checksum-mode",
        ] {
            request.headers_mut().remove(name);
        }
        let mut answer = self.inner.call(request).await?;
        // What has come is there by now.
        self.state.lock().unwrap().asked.stored += u64::from(is_whole || is_completion);
        if is_copy {
            answer.headers_mut().remove("x-amz-version-id");
        }
        if is_completion && answer.status().is_success() {
            let body = std::mem::replace(answer.body_mut(), SdkBody::taken());
            let text = ByteStream::new(body).collect().await.unwrap().to_vec();
            let text = String::from_utf8(text).unwrap();
            let (before, rest) = text.split_once("<ETag>").unwrap();
            let (_, after) = rest.split_once("</ETag>").unwrap();
            let text = format!("{before}<ETag></ETag>{after}");
            let length = text.len().to_string();
            answer.headers_mut().insert("content-length", length);
            *answer.body_mut() = SdkBody::from(text);
        }
        Ok(answer)
    }
}
