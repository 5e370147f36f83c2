//! The vault as its clients see it: aws-sdk-s3 in-process and over HTTP with
//! signatures, and boto3, which shares no code with either.

// Starts Python.
#[cfg(unix)]
mod boto3;
mod sdk;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use keepwatch_vault::{IN_PROCESS_ENDPOINT, MESSAGE_HEADER, Vault, VaultConnector};
use std::fmt::Debug;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;
use tokio::sync::oneshot;

const ACCESS_KEY: &str = "office";
const SECRET_KEY: &str = "a secret of the office";
const BUCKET: &str = "documents";

/// A vault that is served until this is dropped.
struct Served {
    folder: tempfile::TempDir,
    vault: Vault,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: Option<std::thread::JoinHandle<()>>,
}

impl Served {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open(folder.path()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = vault.clone();
        let task = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime
                .block_on(served.serve(
                    listener,
                    (ACCESS_KEY.to_owned(), SECRET_KEY.to_owned()),
                    async {
                        let _ = stopped.await;
                    },
                ))
                .unwrap();
        });
        Self {
            folder,
            vault,
            address,
            stop: Some(stop),
            task: Some(task),
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn client(&self, access_key: &str, secret_key: &str) -> Client {
        let http = aws_smithy_http_client::Builder::new().build_http();
        client(&self.url(), http, access_key, secret_key)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(task) = self.task.take() {
            let ended = task.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}

fn client(url: &str, http: SharedHttpClient, access_key: &str, secret_key: &str) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(url)
        .force_path_style(true)
        .credentials_provider(Credentials::new(access_key, secret_key, None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .http_client(http)
        .build();
    Client::from_conf(config)
}

fn in_process(vault: &Vault) -> Client {
    client(IN_PROCESS_ENDPOINT, vault.http_client(), "any", "thing")
}

/// The error code that a request was refused with.
fn code<T: Debug, E: ProvideErrorMetadata + Debug, R: Debug>(
    result: Result<T, SdkError<E, R>>,
) -> String {
    let error = result.unwrap_err();
    match error.code() {
        Some(code) => code.to_owned(),
        None => format!("{error:?}"),
    }
}

async fn text(client: &Client, key: &str, version: Option<&str>) -> String {
    let got = client
        .get_object()
        .bucket(BUCKET)
        .key(key)
        .set_version_id(version.map(str::to_owned))
        .send()
        .await
        .unwrap();
    let bytes = got.body.collect().await.unwrap().into_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn put(client: &Client, key: &str, content: &str) -> String {
    client
        .put_object()
        .bucket(BUCKET)
        .key(key)
        .body(ByteStream::from(content.as_bytes().to_vec()))
        .send()
        .await
        .unwrap()
        .version_id
        .unwrap()
}

async fn versioned_bucket(client: &Client) {
    client.create_bucket().bucket(BUCKET).send().await.unwrap();
    let enabled = VersioningConfiguration::builder()
        .status(BucketVersioningStatus::Enabled)
        .build();
    client
        .put_bucket_versioning()
        .bucket(BUCKET)
        .versioning_configuration(enabled)
        .send()
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_in_process() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::open(folder.path()).unwrap();
    sdk::everything(&in_process(&vault), folder.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_over_http() {
    let served = Served::start();
    let client = served.client(ACCESS_KEY, SECRET_KEY);
    sdk::everything(&client, served.folder.path()).await;
}

#[tokio::test]
async fn a_wrong_signature_is_refused() {
    let served = Served::start();
    let wrong = served.client(ACCESS_KEY, "not the secret");
    assert_eq!(
        code(wrong.list_buckets().send().await),
        "SignatureDoesNotMatch"
    );
    let put = wrong
        .put_object()
        .bucket(BUCKET)
        .key("k")
        .body(ByteStream::from_static(b"x"));
    assert_eq!(code(put.send().await), "SignatureDoesNotMatch");
    let unknown = served.client("stranger", SECRET_KEY);
    assert_eq!(
        code(unknown.list_buckets().send().await),
        "InvalidAccessKeyId"
    );
    let mut unsigned = TcpStream::connect(served.address).unwrap();
    unsigned
        .write_all(b"GET / HTTP/1.1\r\nhost: v\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    unsigned.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

#[tokio::test]
async fn the_vault_is_not_served_where_others_reach_it() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::open(folder.path()).unwrap();
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let refused = vault
        .serve(
            listener,
            ("a".to_owned(), "b".to_owned()),
            std::future::pending(),
        )
        .await
        .unwrap_err();
    assert!(refused.is_misuse, "{refused}");
    assert!(refused.to_string().contains("127.0.0.1"), "{refused}");
}

/// A client that hangs up in the middle of a body leaves nothing behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_is_not_stored() {
    let served = Served::start();
    let client = served.client(ACCESS_KEY, SECRET_KEY);
    versioned_bucket(&client).await;
    let times = aws_sdk_s3::presigning::PresigningConfig::expires_in(Duration::from_secs(60));
    let url = client
        .put_object()
        .bucket(BUCKET)
        .key("short")
        .presigned(times.unwrap())
        .await
        .unwrap();
    let path = url.uri().strip_prefix(&served.url()).unwrap();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: 1000\r\n\r\n",
        served.address
    );
    let mut stream = TcpStream::connect(served.address).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&[7; 500]).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    let head = client
        .head_object()
        .bucket(BUCKET)
        .key("short")
        .send()
        .await;
    assert!(head.unwrap_err().into_service_error().is_not_found());
    let tmp = served.folder.path().join(".keepwatch-vault/tmp");
    assert_eq!(std::fs::read_dir(tmp).unwrap().count(), 0);
}

/// Sends bodies on changed, under the headers of the right ones.
#[derive(Debug, Clone)]
struct Corrupting {
    inner: VaultConnector,
    body: &'static [u8],
}

impl HttpClient for Corrupting {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Corrupting {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        if request.method() == "PUT" {
            *request.body_mut() = SdkBody::from(self.body);
        }
        self.inner.call(request)
    }
}

#[tokio::test]
async fn a_wrapped_connector_can_spoil_requests_and_the_vault_notices() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::open(folder.path()).unwrap();
    vault.ensure_bucket(BUCKET).unwrap();
    vault.ensure_bucket(BUCKET).unwrap();
    for (body, expected) in [
        (&b"hellO"[..], "BadDigest"),
        (b"hell", "IncompleteBody"),
        (b"hello!", "IncompleteBody"),
    ] {
        let inner = vault.connector();
        let http = SharedHttpClient::new(Corrupting { inner, body });
        let client = client(IN_PROCESS_ENDPOINT, http, "a", "b");
        let put = client
            .put_object()
            .bucket(BUCKET)
            .key("k")
            .body(ByteStream::from_static(b"hello"));
        assert_eq!(code(put.send().await), expected);
        let head = client.head_object().bucket(BUCKET).key("k").send().await;
        assert!(head.unwrap_err().into_service_error().is_not_found());
    }
}

fn answer_of<E: Debug>(error: SdkError<E, HttpResponse>) -> HttpResponse {
    match error {
        SdkError::ServiceError(refused) => refused.into_raw(),
        other => panic!("no answer: {other:?}"),
    }
}

/// The words for a person, where the answer to HEAD has no body for them.
#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_head_says_why_it_failed() {
    let served = Served::start();
    let over_http = served.client(ACCESS_KEY, SECRET_KEY);
    versioned_bucket(&over_http).await;
    put(&over_http, "k", "one").await;
    // Its disk is pulled out.
    let folder = served.folder.path();
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::rename(folder, elsewhere.path().join("vault")).unwrap();
    for client in [over_http, in_process(&served.vault)] {
        let object = client.head_object().bucket(BUCKET).key("k").send().await;
        let bucket = client.head_bucket().bucket(BUCKET).send().await;
        let answers = [
            answer_of(object.unwrap_err()),
            answer_of(bucket.unwrap_err()),
        ];
        for answer in answers {
            assert!(answer.status().is_server_error());
            let said = answer.headers().get(MESSAGE_HEADER).unwrap_or_default();
            assert!(said.contains(folder.to_str().unwrap()), "{said:?}");
        }
        let absent = client.head_object().bucket(BUCKET).key("k").send().await;
        assert!(!absent.unwrap_err().into_service_error().is_not_found());
    }
    std::fs::rename(elsewhere.path().join("vault"), folder).unwrap();
    let client = in_process(&served.vault);
    let absent = client.head_object().bucket(BUCKET).key("x").send().await;
    let absent = answer_of(absent.unwrap_err());
    assert_eq!(absent.status().as_u16(), 404);
    assert_eq!(absent.headers().get(MESSAGE_HEADER), None);
}
