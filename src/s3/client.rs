//! Builds the SDK's client: TLS, time-outs, retries, differences between providers.

use super::demanded::Demanded;
use super::late::NotesUnanswered;
use super::marks::{self, Marks};
use super::no_body::NoBody;
use super::payload_hash::KnownHash;
use super::response_limit::AnswersEnd;
use super::store::Store;
use super::timeouts::{CONNECT_TIMEOUT, Quick, SDK_ATTEMPTS_MAX};
use super::transport::Transport;
use super::unanswered::UnansweredNotes;
use crate::aws::{CredentialSource, Https, Keys, KeysRefused};
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

/// A transfer that moves no byte for so long is cut off and tried again. It is longer than
/// the SDK's 5 s, because a loaded laptop and a slow disk pause as well.
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
                    vault_folder: Some(vault.folder().into()),
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
        let (transport, notes) = (Transport::default(), UnansweredNotes::default());
        let config = common(aws_sdk_s3::Config::builder(), &notes)
            .behavior_version(BehaviorVersion::latest())
            .http_client(transport.over(http))
            .region(Region::new("us-east-1"))
            .endpoint_url(endpoint_url)
            .force_path_style(true)
            // Nobody checks the signature: these open nothing.
            .credentials_provider(Credentials::new("vault", "vault", None, None, "vault"))
            .build();
        Self::from_client(
            aws_sdk_s3::Client::from_conf(config),
            transport,
            notes,
            place,
        )
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
        let from = CredentialSource::Chain {
            profile: s3.profile.clone(),
        };
        let keys = Keys::new(from, Some(region.clone()), http.clone());
        let notes = UnansweredNotes::default();
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
        // Requests for credentials do not go over it: they are not the bucket's.
        let transport = Transport::default();
        builder = builder.http_client(transport.over(http));
        let client = aws_sdk_s3::Client::from_conf(builder.build());
        Self::from_client(client, transport, notes, &place)
    }

    fn from_client(
        client: aws_sdk_s3::Client,
        transport: Transport,
        notes: UnansweredNotes,
        place: &str,
    ) -> Self {
        Self {
            quick: Quick::of(&client),
            client,
            place: Arc::from(place),
            only_read_because: None,
            vault_folder: None,
            transport,
            notes,
            proof: Arc::default(),
            copying: Arc::default(),
            keeps_versions: Arc::default(),
            only_current: Arc::default(),
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
            status == 429 || marks::is_slow_down(status, body)
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

fn common(
    builder: aws_sdk_s3::config::Builder,
    notes: &UnansweredNotes,
) -> aws_sdk_s3::config::Builder {
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
