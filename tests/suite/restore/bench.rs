//! A vault with objects put into it by hand, and a store to restore from it.

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use keepwatch::files::Target;
use keepwatch::history::{Selector, Typed};
use keepwatch::restore::{Options, Request, Restored, restore};
use keepwatch::retry::Stop;
use keepwatch::s3::Store;
use keepwatch::types::{
    ContentHash, Fatal, FullKey, Kind, ObjectMeta, Origin, RelKey, RelPath, WallMs,
};
use keepwatch_vault::{IN_PROCESS_ENDPOINT, Vault, VaultConnector};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

pub const BUCKET: &str = "office";
pub const MTIME_NS: i128 = 1_700_000_000_123_456_789;

/// One object as it is put into the bucket.
#[derive(Clone)]
pub struct Object {
    pub meta: ObjectMeta,
    pub body: Vec<u8>,
    pub gzip: bool,
}

impl Object {
    fn of(kind: Kind, content: &[u8], mode: u32) -> Self {
        Self {
            meta: ObjectMeta {
                kind,
                content: Some(ContentHash::of(content)),
                size_bytes: content.len() as u64,
                mtime_ns: MTIME_NS,
                mode,
                owner: None,
                symlink_target: None,
                is_torn: false,
                full_key: None,
                seen_ms: None,
                beside: None,
                sparse_bytes: None,
                attributes: keepwatch::types::Carried::Nothing,
            },
            body: content.to_vec(),
            gzip: false,
        }
    }

    pub fn file(content: &[u8]) -> Self {
        Self::of(Kind::File, content, 0o644)
    }

    pub fn link(target: &[u8]) -> Self {
        Self::of(Kind::Symlink, target, 0o777)
    }

    pub fn folder() -> Self {
        Self::of(Kind::Folder, b"", 0o755)
    }

    pub fn mode(mut self, mode: u32) -> Self {
        self.meta.mode = mode;
        self
    }

    pub fn mtime_ns(mut self, mtime_ns: i128) -> Self {
        self.meta.mtime_ns = mtime_ns;
        self
    }

    /// Stored as two gzip members, as large files are.
    pub fn gzip(mut self) -> Self {
        let (head, tail) = self.body.split_at(self.body.len() / 2);
        self.body = [gzip(head), gzip(tail)].concat();
        self.gzip = true;
        self
    }
}

pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A path whose key is longer than S3 takes.
pub fn long_path() -> String {
    (0..6)
        .map(|_| "d".repeat(200))
        .collect::<Vec<_>>()
        .join("/")
}

/// What a connector does to a request instead of, or after, passing it on.
pub type Meddle = dyn Fn(&HttpRequest) -> Meddling + Send + Sync;

/// See [`Meddle`].
pub enum Meddling {
    Pass,
    /// Answer with this status and S3 error code, or with nothing.
    Answer(u16, &'static str),
    /// Break the connection in the middle of the body.
    Cut,
    /// Never answer.
    Hang,
}

/// Passes requests on to the vault, counts them, and meddles with them if told.
#[derive(Clone)]
pub struct Wire {
    pub vault: VaultConnector,
    pub gets: Arc<AtomicU32>,
    /// It sends whole objects, whatever part is asked for.
    pub forget_ranges: Arc<AtomicBool>,
    pub meddle: Arc<Mutex<Option<Box<Meddle>>>>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
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

/// True for the download of an object.
pub fn is_download(request: &HttpRequest) -> bool {
    request.method() == "GET" && request.uri().contains("x-id=GetObject")
}

impl HttpConnector for Wire {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        if self.forget_ranges.load(Ordering::Relaxed) {
            request.headers_mut().remove("range");
        }
        if is_download(&request) {
            self.gets.fetch_add(1, Ordering::Relaxed);
        }
        let meddling = match &*self.meddle.lock().unwrap() {
            Some(meddle) => meddle(&request),
            None => Meddling::Pass,
        };
        let answer = self.vault.call(request);
        HttpConnectorFuture::new(async move {
            match meddling {
                Meddling::Pass => answer.await,
                Meddling::Answer(status, code) => {
                    let body = match code {
                        "" => String::new(),
                        _ => format!("<Error><Code>{code}</Code><Message>no</Message></Error>"),
                    };
                    let mut answer = HttpResponse::new(status.try_into().unwrap(), body.into());
                    answer.headers_mut().insert("x-amz-request-id", "test");
                    Ok(answer)
                }
                Meddling::Hang => std::future::pending().await,
                Meddling::Cut => {
                    let mut answer = answer.await?;
                    let body = std::mem::replace(
                        answer.body_mut(),
                        aws_smithy_types::body::SdkBody::empty(),
                    );
                    let whole = ByteStream::new(body).collect().await.unwrap().into_bytes();
                    *answer.body_mut() = whole.slice(..whole.len() / 2).into();
                    Ok(answer)
                }
            }
        })
    }
}

pub struct Bench {
    dir: TempDir,
    pub store: Store,
    pub wire: Wire,
    pub client: aws_sdk_s3::Client,
}

impl Bench {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(&dir.path().join("vault")).unwrap();
        vault.ensure_bucket(BUCKET).unwrap();
        let wire = Wire {
            vault: vault.connector(),
            gets: Arc::default(),
            forget_ranges: Arc::default(),
            meddle: Arc::default(),
        };
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(vault.http_client())
            .region(Region::new("us-east-1"))
            .endpoint_url(IN_PROCESS_ENDPOINT)
            .force_path_style(true)
            .credentials_provider(Credentials::new("a", "b", None, None, "test"))
            .build();
        Self {
            dir,
            store: Store::vault(SharedHttpClient::new(wire.clone()), "the test's vault"),
            wire,
            client: aws_sdk_s3::Client::from_conf(config),
        }
    }

    pub fn vault(&self) -> PathBuf {
        self.folder("vault")
    }

    pub fn folder(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn gets(&self) -> u32 {
        self.wire.gets.load(Ordering::Relaxed)
    }

    pub fn meddle(&self, meddle: impl Fn(&HttpRequest) -> Meddling + Send + Sync + 'static) {
        *self.wire.meddle.lock().unwrap() = Some(Box::new(meddle));
    }

    pub fn origin(&self) -> Origin {
        Origin {
            bucket: BUCKET.into(),
            prefix: String::new(),
        }
    }

    /// Put the object of that path, as Keepwatch would.
    pub async fn put(&self, path: &str, object: &Object) {
        self.put_at("", path, object).await;
    }

    pub async fn put_at(&self, prefix: &str, path: impl AsRef<[u8]>, object: &Object) {
        let path = RelPath::from_bytes(path.as_ref()).unwrap();
        let rel_key = match object.meta.kind {
            Kind::Folder => RelKey::of_folder(&path),
            _ => RelKey::of_file(&path),
        };
        let key = rel_key.in_bucket(prefix);
        let mut object = object.clone();
        object.meta.full_key = FullKey::of(&rel_key, prefix, &key).unwrap();
        self.put_raw(&key.key, &object, &[]).await;
    }

    /// Put an object under any key, with fields of its metadata replaced.
    pub async fn put_raw(&self, key: &str, object: &Object, fields: &[(&str, &str)]) {
        let mut headers = object.meta.to_headers();
        for (name, value) in fields {
            headers.insert((*name).to_owned(), (*value).to_owned());
        }
        self.client
            .put_object()
            .bucket(BUCKET)
            .key(key)
            .set_metadata(Some(headers.into_iter().collect()))
            .set_content_encoding(object.gzip.then(|| "gzip".to_owned()))
            .body(ByteStream::from(object.body.clone()))
            .send()
            .await
            .unwrap();
    }

    /// Put an object that Keepwatch did not write.
    pub async fn put_foreign(&self, key: &str) {
        self.client
            .put_object()
            .bucket(BUCKET)
            .key(key)
            .body(ByteStream::from_static(b"foreign"))
            .send()
            .await
            .unwrap();
    }

    pub async fn delete(&self, key: &str) {
        self.client
            .delete_object()
            .bucket(BUCKET)
            .key(key)
            .send()
            .await
            .unwrap();
    }

    /// When each version and marker of a key was stored, newest first.
    pub async fn times(&self, key: &str) -> Vec<WallMs> {
        let page = self.store.list_versions(BUCKET, key, None).await.unwrap();
        page.items
            .iter()
            .filter(|version| version.key == key)
            .map(|version| version.modified_ms)
            .collect()
    }

    pub async fn restore(&self, to: &str) -> Result<Restored, Fatal> {
        self.restore_with(to, |_| ()).await
    }

    pub async fn restore_with(
        &self,
        to: &str,
        change: impl FnOnce(&mut Request),
    ) -> Result<Restored, Fatal> {
        let mut request = self.request(to);
        change(&mut request);
        restore(&self.store, request, |_| (), &Stop::never()).await
    }

    pub fn request(&self, to: &str) -> Request {
        Request {
            origin: self.origin(),
            selector: Selector::everything(),
            at_ms: None,
            target: Arc::new(Target::open(&self.folder(to)).unwrap()),
            options: Options::default(),
            preflight: None,
        }
    }
}

/// What is selected where nothing is called like a pattern.
pub fn selector(what: &[&str]) -> Selector {
    let typed = Typed::all(what).unwrap().into_iter();
    let what: Vec<_> = typed.map(|one| (one.clone(), one.otherwise())).collect();
    Selector::of(&what)
}

/// Files and links below a folder, sorted.
pub fn read_tree(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                let path = entry.path();
                let inner = path.strip_prefix(root).unwrap().to_str().unwrap();
                found.push(inner.replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}
