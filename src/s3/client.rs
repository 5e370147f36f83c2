//! Building the SDK's client: TLS, time-outs, retries, provider differences.

use super::Store;
use super::bandwidth::Line;
use super::demanded::Demanded;
use super::late::{Notes, NotesUnanswered};
use super::marks::Marks;
use super::no_body::NoBody;
use super::payload_hash::KnownHash;
use super::response_limit::AnswersEnd;
use crate::aws::{From as KeysFrom, Https, Keys, KeysRefused};
use crate::config::{S3Config, StoreConfig};
use crate::types::{Fatal, chain};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, IdentityCache, Region, RequestChecksumCalculation,
    ResponseChecksumValidation, StalledStreamProtectionConfig,
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{
    ClassifyRetry, RetryAction, RetryClassifierPriority,
};
use keepwatch_vault::{IN_PROCESS_ENDPOINT, Vault};
use std::sync::Arc;
use std::time::Duration;

/// Attempts per request within the SDK. Few, because the application requeues
/// for ever with its own backoff, and the SDK's shared retry quota runs dry
/// after about a hundred failed retries anyway.
const SDK_ATTEMPTS_MAX: u32 = 3;

/// Opening a connection: slow office lines answer within this, dead ones do not.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// One attempt of a request without a large body (HEAD, list, delete).
const SHORT_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

// Who waits for keys is told why there are none.
const _: () = assert!(Keys::LOOK_MAX.as_millis() < SHORT_ATTEMPT_TIMEOUT.as_millis());

/// What every body-carrying attempt may take before its size is counted.
const TRANSFER_BASE_TIMEOUT: Duration = Duration::from_secs(60);

/// Uploads up to so many bytes, which is what an office saves most of the time,
/// are given up sooner: their bytes take no time, and S3 answers within a second.
const TINY_PUT_BYTES: u64 = 64 * 1024;

/// Attempts of such an upload, each within [`SHORT_ATTEMPT_TIMEOUT`]: an answer that
/// never comes holds a worker for a minute, not for six. The path is tried again
/// after that, and what the server made of it is looked at (`backup::late`).
const TINY_ATTEMPTS_MAX: u32 = 2;

/// Copying 5 GiB or joining 10,000 parts takes S3 minutes; a connection that
/// died meanwhile must not hold a worker for longer than this.
pub(super) const SERVER_WORK_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// The slowest line on which an upload still counts as moving: 16 KiB/s
/// (128 kbit/s), an order of magnitude under the slowest office uplink.
const SLOWEST_BYTES_PER_S: u64 = 16 * 1024;

/// Transfers at once that a limited line may be shared by: four parts of each
/// of 16 workers (the default), and as many again for those who set more.
const TRANSFERS_MAX: u64 = 128;

/// A page of a list: 1,000 names of 100 bytes make up to two thirds of it.
const LIST_BYTES: u64 = 1024 * 1024;

/// Lists and downloads that a limited line may be shared by at once: more than
/// a restore's transfers, or a scan of each of a dozen sources.
const LISTS_MAX: u64 = 16;

/// A transfer that moves no byte for so long is cut and tried again. Longer
/// than the SDK's 5 s, because a loaded laptop and a slow disk pause as well.
const STALL_GRACE: Duration = Duration::from_secs(20);

impl Store {
    /// Connect to what the configuration names. No request is sent yet.
    ///
    /// # Errors
    /// The vault's folder cannot be used.
    pub async fn connect(config: &StoreConfig) -> Result<Self, Fatal> {
        match config {
            StoreConfig::S3(s3) => Ok(Self::aws(s3, None).await),
            StoreConfig::Vault { path } => {
                let folder = path.clone();
                let vault = tokio::task::spawn_blocking(move || Vault::open(&folder))
                    .await
                    .map_err(|e| Fatal::new("open the vault", chain(&e), ""))??;
                let why = vault.only_read_because().map(Arc::from);
                let place = format!("the vault in {}", path.display());
                Ok(Self {
                    only_read_because: why,
                    ..Self::vault(vault.http_client(), &place)
                })
            }
        }
    }

    /// A store whose requests end in an in-process HTTP client: the vault's, or
    /// a test's that wraps it to inject faults.
    pub fn vault(http: SharedHttpClient, place: &str) -> Self {
        Self::unsigned(http, IN_PROCESS_ENDPOINT, place)
    }

    /// A store on a test's own listener, over the HTTP client that AWS is spoken to
    /// with.
    #[cfg(test)]
    pub(super) async fn over_http(url: &str) -> Self {
        Self::unsigned(Https::of(None).await.client(), url, "a test's server")
    }

    fn unsigned(http: SharedHttpClient, endpoint_url: &str, place: &str) -> Self {
        let (line, notes) = (Line::default(), Notes::default());
        let config = common(aws_sdk_s3::Config::builder(), &notes)
            .behavior_version(BehaviorVersion::latest())
            .http_client(line.over(http))
            .region(Region::new("us-east-1"))
            .endpoint_url(endpoint_url)
            .force_path_style(true)
            // Nobody checks the signature: these open nothing.
            .credentials_provider(Credentials::new("vault", "vault", None, None, "vault"))
            .build();
        Self::from_client(aws_sdk_s3::Client::from_conf(config), line, notes, place)
    }

    /// AWS or a compatible server; `http` replaces the HTTPS client in tests.
    pub async fn aws(s3: &S3Config, http: Option<SharedHttpClient>) -> Self {
        let http = match http {
            Some(http) => http,
            None => https(s3.profile.as_deref()).await,
        };
        // The keys are ours to look for: the SDK's own chain looks once and never again.
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http.clone())
            .no_credentials();
        if let Some(region) = &s3.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &s3.profile {
            loader = loader.profile_name(profile);
        }
        let shared = loader.load().await;
        let region = shared
            .region()
            .cloned()
            .unwrap_or_else(|| Region::new("us-east-1"));
        let place = match &s3.endpoint_url {
            Some(url) => url.clone(),
            None => format!("AWS S3 in {region}"),
        };
        let from = KeysFrom::Chain {
            profile: s3.profile.clone(),
        };
        let keys = Keys::new(from, Some(region.clone()), http.clone());
        let notes = Notes::default();
        let mut builder = common(aws_sdk_s3::config::Builder::from(&shared), &notes)
            .credentials_provider(keys.clone())
            .identity_cache(IdentityCache::no_cache())
            .retry_classifier(KeysRefused(keys))
            .interceptor(Demanded(s3.demands.clone()))
            .region(region)
            .force_path_style(s3.path_style);
        if let Some(url) = &s3.endpoint_url {
            builder = builder.endpoint_url(url);
        }
        // Credentials are fetched beside the line: they are not the bucket's.
        let line = Line::default();
        builder = builder.http_client(line.over(http));
        let client = aws_sdk_s3::Client::from_conf(builder.build());
        Self::from_client(client, line, notes, &place)
    }

    fn from_client(client: aws_sdk_s3::Client, line: Line, notes: Notes, place: &str) -> Self {
        Self {
            quick: Quick::of(&client),
            client,
            place: Arc::from(place),
            only_read_because: None,
            line,
            notes,
            proof: Arc::default(),
            copying: Arc::default(),
            keeps_versions: Arc::default(),
            only_current: Arc::default(),
        }
    }
}

/// Uploads up to so many bytes share one time-out, that of the largest.
const SMALL_PUT_BYTES: u64 = 1024 * 1024;

/// Clients whose time-outs are set once, on the same connections.
#[derive(Clone)]
pub(super) struct Quick {
    /// Requests that carry no large body.
    pub(super) short: aws_sdk_s3::Client,
    /// Uploads up to [`SMALL_PUT_BYTES`].
    small_put: aws_sdk_s3::Client,
    /// Uploads up to [`TINY_PUT_BYTES`].
    tiny_put: aws_sdk_s3::Client,
}

impl Quick {
    fn of(client: &aws_sdk_s3::Client) -> Self {
        let within = |limit, attempts| {
            let config = client.config().to_builder().timeout_config(attempt(limit));
            let retries = RetryConfig::standard().with_max_attempts(attempts);
            aws_sdk_s3::Client::from_conf(config.retry_config(retries).build())
        };
        let small = transfer_timeout(SMALL_PUT_BYTES, SLOWEST_BYTES_PER_S);
        Self {
            short: within(SHORT_ATTEMPT_TIMEOUT, SDK_ATTEMPTS_MAX),
            small_put: within(small, SDK_ATTEMPTS_MAX),
            tiny_put: within(SHORT_ATTEMPT_TIMEOUT, TINY_ATTEMPTS_MAX),
        }
    }
}

/// A PUT that the server asks to slow down is not for the SDK to repeat: it
/// would hide from us that fewer at a time are wanted, and knock on regardless.
#[derive(Debug)]
struct TakesFewer;

impl ClassifyRetry for TakesFewer {
    fn classify_retry(&self, ctx: &InterceptorContext) -> RetryAction {
        let is_put = ctx.request().is_some_and(|r| r.method() == "PUT");
        let asks = ctx.response().is_some_and(|response| {
            let body = response.body().bytes().unwrap_or_default();
            let status = response.status().as_u16();
            status == 429 || (status == 503 && super::contains(body, b"<Code>SlowDown</Code>"))
        });
        match is_put && asks {
            true => RetryAction::RetryForbidden,
            false => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "fewer uploads when the server asks for that"
    }

    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}

/// The HTTP client of everything that is not in this process.
async fn https(profile: Option<&str>) -> SharedHttpClient {
    let https = Https::of(profile).await;
    for problem in https.problems() {
        tracing::warn!("{problem}: it is not used");
    }
    https.client()
}

fn common(builder: aws_sdk_s3::config::Builder, notes: &Notes) -> aws_sdk_s3::config::Builder {
    builder
        .retry_config(RetryConfig::standard().with_max_attempts(SDK_ATTEMPTS_MAX))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .build(),
        )
        .stalled_stream_protection(
            StalledStreamProtectionConfig::enabled()
                .grace_period(STALL_GRACE)
                .build(),
        )
        .interceptor(AnswersEnd)
        .interceptor(KnownHash)
        .interceptor(NoBody)
        .interceptor(NotesUnanswered(notes.clone()))
        .interceptor(Marks)
        .retry_classifier(TakesFewer)
        // We send a SHA-256 header computed beforehand; the SDK's own default
        // would be a trailer, which several compatible servers refuse.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
}

/// Time-outs of a request that carries no large body.
pub(super) fn short_operation() -> aws_sdk_s3::config::Builder {
    with_attempt_timeout(SHORT_ATTEMPT_TIMEOUT)
}

/// The same for a request that the SDK must not send twice.
pub(super) fn once() -> aws_sdk_s3::config::Builder {
    short_operation().retry_config(RetryConfig::standard().with_max_attempts(1))
}

/// Time-outs of a request that makes the server work but moves no body of
/// ours: copies, and joining thousands of parts.
pub(super) fn server_work() -> aws_sdk_s3::config::Builder {
    with_attempt_timeout(SERVER_WORK_TIMEOUT)
}

impl Store {
    /// Time-outs of a request that carries this many bytes to the server. Where
    /// the line is limited each transfer has only its share of that.
    pub(super) fn moving(&self, bytes: u64) -> aws_sdk_s3::config::Builder {
        let share = self
            .rates()
            .up
            .map_or(u64::MAX, |rate| rate / TRANSFERS_MAX);
        with_attempt_timeout(transfer_timeout(bytes, SLOWEST_BYTES_PER_S.min(share)))
    }

    /// Time-outs of a request that a list answers. Where the line is limited
    /// even that takes its time.
    pub(super) fn listing(&self) -> aws_sdk_s3::config::Builder {
        match self.rates().down {
            Some(rate) => {
                let slowest_bytes_per_s = SLOWEST_BYTES_PER_S.min(rate / LISTS_MAX);
                with_attempt_timeout(transfer_timeout(LIST_BYTES, slowest_bytes_per_s))
            }
            None => short_operation(),
        }
    }

    /// The client for an upload of so many bytes whose time-outs are set
    /// already; `None` when it is large or the line is limited.
    pub(super) fn quick_put(&self, bytes: u64) -> Option<&aws_sdk_s3::Client> {
        if self.rates().up.is_some() {
            return None;
        }
        if bytes <= TINY_PUT_BYTES {
            return Some(&self.quick.tiny_put);
        }
        (bytes <= SMALL_PUT_BYTES).then_some(&self.quick.small_put)
    }
}

fn transfer_timeout(bytes: u64, slowest_bytes_per_s: u64) -> Duration {
    TRANSFER_BASE_TIMEOUT + Duration::from_secs(bytes / slowest_bytes_per_s.max(1))
}

fn with_attempt_timeout(limit: Duration) -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::Config::builder().timeout_config(attempt(limit))
}

fn attempt(limit: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(limit)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::IDLE_CONNECTION_MAX;
    use crate::s3::At;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    /// S3 closes what is idle for some 20 s; the HTTP client's own default is 90.
    #[tokio::test]
    async fn a_connection_that_is_idle_is_closed_before_the_server_does() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let closed = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut some = [0; 4096];
            assert!(stream.read(&mut some).await.unwrap() > 0);
            let answer =
                b"HTTP/1.1 404 Not Found\r\nx-amz-request-id: 1\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            while stream.read(&mut some).await.unwrap() > 0 {}
            Instant::now()
        });
        let at = At {
            bucket: "b",
            key: "k",
        };
        let store = Store::over_http(&url).await;
        assert!(matches!(store.head(at, None).await, Ok(None)));
        // From here on time passes by itself.
        tokio::time::pause();
        let idle_from = Instant::now();
        let idle = closed.await.unwrap() - idle_from;
        // It is looked for once in such a time.
        let range = IDLE_CONNECTION_MAX..=IDLE_CONNECTION_MAX * 2;
        assert!(range.contains(&idle), "{idle:?}");
        drop(store);
    }
}
