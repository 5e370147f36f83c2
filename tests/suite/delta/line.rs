//! The line to the vault: counts what goes over it, and plays servers that do
//! not do what they answer.

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use std::ops::Sub;
use std::sync::{Arc, Mutex};

/// What went over the line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes of request bodies.
    pub sent: usize,
    /// Requests.
    pub requests: usize,
    /// Those that ask for a part to be copied.
    pub copies: usize,
    /// Requests that begin an upload in parts.
    pub begun: usize,
}

impl Sub for Traffic {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            sent: self.sent - before.sent,
            requests: self.requests - before.requests,
            copies: self.copies - before.copies,
            begun: self.begun - before.begun,
        }
    }
}

/// What the server does when it is asked to copy a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lie {
    /// What it should.
    None,
    /// Stores an empty part and answers 200 with nothing, as rclone's server.
    Empty,
    /// Copies as many bytes from the beginning, and says so by its checksums.
    OtherRange,
    /// The same, and says nothing of checksums.
    OtherRangeUnsaid,
    /// Copies from that version instead, whatever was asked.
    OtherVersion(String),
    /// Answers with that status and error code.
    Answer(u16, &'static str),
}

#[derive(Debug)]
struct State {
    traffic: Traffic,
    lie: Lie,
    /// It knows no checksum of a whole object.
    is_old: bool,
    /// It answers 501 to whoever wants that checksum.
    refuses_sums: bool,
    /// Nobody may abort an upload.
    denies_aborts: bool,
    /// Parts that are sent under this number do not arrive.
    broken_part: Option<u32>,
}

/// Handle; cheap to clone.
#[derive(Debug, Clone)]
pub struct Line(Arc<Mutex<State>>);

impl Default for Line {
    fn default() -> Self {
        Self::to(Lie::None, false)
    }
}

impl Line {
    pub fn to(lie: Lie, is_old: bool) -> Self {
        Self(Arc::new(Mutex::new(State {
            traffic: Traffic::default(),
            lie,
            is_old,
            refuses_sums: false,
            denies_aborts: false,
            broken_part: None,
        })))
    }

    pub fn refuse_sums(&self) {
        self.0.lock().unwrap().refuses_sums = true;
    }

    pub fn deny_aborts(&self, denies_aborts: bool) {
        self.0.lock().unwrap().denies_aborts = denies_aborts;
    }

    pub fn lie(&self, lie: Lie) {
        self.0.lock().unwrap().lie = lie;
    }

    pub fn break_part(&self, number: Option<u32>) {
        self.0.lock().unwrap().broken_part = number;
    }

    pub fn traffic(&self) -> Traffic {
        self.0.lock().unwrap().traffic
    }

    pub fn wrap(&self, inner: impl HttpConnector + 'static) -> SharedHttpClient {
        SharedHttpClient::new(Wire {
            line: self.clone(),
            inner: SharedHttpConnector::new(inner),
        })
    }
}

#[derive(Debug, Clone)]
struct Wire {
    line: Line,
    inner: SharedHttpConnector,
}

impl HttpClient for Wire {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

const SOURCE: &str = "x-amz-copy-source";
const RANGE: &str = "x-amz-copy-source-range";

const TYPE: &str = "x-amz-checksum-type";

fn answer(status: u16, code: &str) -> HttpResponse {
    let body = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
    HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))
}

impl HttpConnector for Wire {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let is_copy = request.headers().contains_key(RANGE);
        let is_begin = request.method() == "POST" && request.uri().contains("uploads");
        let is_abort = request.method() == "DELETE" && request.uri().contains("uploadId");
        let wants_sums = is_begin && request.headers().contains_key(TYPE);
        let (lie, is_old, is_broken, is_refused, is_denied) = {
            let mut state = self.line.0.lock().unwrap();
            let is_broken = !is_copy
                && state
                    .broken_part
                    .is_some_and(|number| request.uri().contains(&format!("partNumber={number}&")));
            let bytes = request.body().content_length().unwrap_or(0);
            state.traffic.sent += usize::try_from(bytes).unwrap();
            state.traffic.requests += 1;
            state.traffic.copies += usize::from(is_copy);
            state.traffic.begun += usize::from(is_begin);
            (
                state.lie.clone(),
                state.is_old,
                is_broken,
                state.refuses_sums && wants_sums,
                state.denies_aborts && is_abort,
            )
        };
        let headers = request.headers_mut();
        if is_old && wants_sums {
            headers.remove(TYPE);
            headers.remove("x-amz-checksum-algorithm");
        }
        let inner = self.inner.clone();
        HttpConnectorFuture::new(async move {
            if is_broken {
                let cut = "connection reset by the test";
                return Err(ConnectorError::io(cut.into()));
            }
            if is_refused {
                return Ok(answer(501, "NotImplemented"));
            }
            if is_denied {
                return Ok(answer(403, "AccessDenied"));
            }
            if !is_copy || lie == Lie::None {
                return inner.call(request).await;
            }
            let headers = request.headers_mut();
            match &lie {
                Lie::None => {}
                Lie::Empty => {
                    for name in [SOURCE, RANGE, "x-amz-copy-source-if-match"] {
                        headers.remove(name);
                    }
                }
                Lie::OtherRange | Lie::OtherRangeUnsaid => {
                    let range = headers.get(RANGE).unwrap().to_owned();
                    let (from, to) = range["bytes=".len()..].split_once('-').unwrap();
                    let (from, to): (u64, u64) = (from.parse().unwrap(), to.parse().unwrap());
                    headers.insert(RANGE, format!("bytes=0-{}", to - from));
                }
                Lie::OtherVersion(version) => {
                    let source = headers.get(SOURCE).unwrap().to_owned();
                    let (path, _) = source.split_once('?').unwrap();
                    headers.insert(SOURCE, format!("{path}?versionId={version}"));
                    headers.remove("x-amz-copy-source-if-match");
                }
                Lie::Answer(status, code) => {
                    return Ok(answer(*status, code));
                }
            }
            let mut answer = inner.call(request).await?;
            match lie {
                Lie::Empty => *answer.body_mut() = SdkBody::from(""),
                Lie::OtherRangeUnsaid => {
                    let body = std::mem::replace(answer.body_mut(), SdkBody::taken());
                    let text = ByteStream::new(body).collect().await.unwrap().to_vec();
                    let text = String::from_utf8(text).unwrap();
                    let text = text.replace("ChecksumCRC64NVME", "Nothing");
                    answer
                        .headers_mut()
                        .insert("content-length", text.len().to_string());
                    *answer.body_mut() = SdkBody::from(text);
                }
                _ => {}
            }
            Ok(answer)
        })
    }
}
