//! A folder to protect, a bucket of its own on one of the servers, and the real
//! program between them.

use super::line::Line;
use super::table::{Abilities, Kind};
use super::up::{Server, server};
use crate::harness::ran::Ran;
use crate::harness::tree::{Node, assert_same_tree, tree};
use crate::harness::{BUCKET, DEBOUNCE_MS, Rig, Running, finish_within, program, until};
use crate::moto_office::environment;
use crate::python::boto;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use keepwatch::os::os_to_rel;
use keepwatch::types::RelKey;
use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// One run of the program: an upload of 1,200 files on a busy machine.
pub const RUN_MAX: Duration = Duration::from_secs(180);

/// Keys with their version ids, and where the next page begins.
pub struct Page {
    pub items: Vec<(String, Option<String>)>,
    pub next: Option<(String, String)>,
}

pub struct Site {
    pub rig: Rig,
    pub can: Abilities,
    pub bucket: String,
    /// The program's only way to the server.
    pub line: Line,
    server: &'static Server,
    /// The bare SDK, not over the line.
    pub client: Client,
    config: PathBuf,
}

impl Site {
    /// The bucket is made, with versioning where there is such a thing.
    pub async fn on(kind: Kind, scenario: &str) -> Self {
        let up = tokio::task::spawn_blocking(move || server(kind));
        let server = up.await.unwrap();
        let bucket = scenario.replace('_', "-");
        let client = client(server);
        client.create_bucket().bucket(&bucket).send().await.unwrap();
        let rig = Rig::new();
        let line = Line::to(server.address).await;
        let config = write_config(&rig, &line.url, &bucket);
        let site = Self {
            rig,
            can: kind.abilities(),
            bucket,
            line,
            server,
            client,
            config,
        };
        if site.can.keeps_versions {
            site.set_versioning(BucketVersioningStatus::Enabled).await;
        }
        site
    }

    pub async fn set_versioning(&self, status: BucketVersioningStatus) {
        let versioning = VersioningConfiguration::builder().status(status).build();
        let request = self.client.put_bucket_versioning().bucket(&self.bucket);
        let sent = request.versioning_configuration(versioning).send();
        sent.await.unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command
            .args(arguments)
            .envs(environment(&self.server.keys))
            .env("KEEPWATCH_CONFIG", &self.config);
        command
    }

    /// A command, to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&finish_within(RUN_MAX, &mut self.command(arguments)))
    }

    /// The whole folder is brought into the bucket, and nothing is left out. Where
    /// there are no versions it says that this is not safe.
    #[track_caller]
    pub fn reconcile(&self) -> Ran {
        let ran = self.run(&["--reconcile"]);
        if self.can.keeps_versions {
            ran.check(0, &["All is well: everything is in the bucket"]);
        } else {
            let words = [
                "NOT SAFE",
                "keeps no old versions",
                "Everything is in the bucket",
            ];
            ran.check(3, &words);
        }
        ran
    }

    /// Everything is there already.
    #[track_caller]
    pub fn sends_nothing(&self) {
        let ran = self.reconcile();
        let words = match self.can.keeps_versions {
            true => "nothing to send",
            false => " 0 versions stored (0 bytes",
        };
        assert!(ran.text.contains(words), "{}", ran.text);
    }

    /// A comparison that somebody else will end, at this rate.
    pub fn begin(&self, rate: &str) -> Child {
        let mut command = self.command(&["--reconcile"]);
        command.env("KEEPWATCH_BANDWIDTH__UP", rate);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    /// The daemon; it watches, and its first scan is over.
    pub async fn daemon(&self) -> Running {
        Running::start(&self.config, &environment(&self.server.keys)).await
    }

    /// Everything on disk is protected, says the daemon. Where nothing is marked it
    /// goes on counting what is not on disk any more, and the bucket is asked.
    pub async fn until_protected(&self, daemon: &Running) {
        until("all of it is protected", async || {
            let nodes = tree(&self.rig.root());
            let files = nodes.values().filter(|node| !node.is_folder()).count();
            let status = daemon.status().unwrap();
            let source = &status["sources"][0];
            let is_all = match self.can.keeps_versions {
                true => source["files_protected"] == files,
                false => self.lacks().await.is_empty(),
            };
            source["waiting"] == 0 && is_all
        })
        .await;
    }

    /// A restore on a new computer: nothing but bucket, address and keys.
    pub fn restore(&self, to: &str, more: &[&str]) -> (Ran, PathBuf) {
        let to = self.rig.dir.path().join(to);
        let mut arguments = vec!["restore", "--to", to.to_str().unwrap()];
        arguments.extend(["--bucket", &self.bucket, "--endpoint-url", &self.line.url]);
        arguments.extend(more);
        let mut command = program();
        command
            .args(&arguments)
            .envs(environment(&self.server.keys))
            .env("HOME", self.rig.dir.path());
        (Ran::of(&finish_within(RUN_MAX, &mut command)), to)
    }

    /// The same, and it brings back exactly this.
    #[track_caller]
    pub fn comes_back(&self, to: &str, more: &[&str], want: &Path) {
        let (ran, to) = self.restore(to, more);
        ran.check(0, &["All is well"]);
        assert_same_tree(&to, want);
    }

    /// What is in the bucket under a key now, as anybody gets it and unpacks it where
    /// it says so; `None` for none.
    pub async fn object(&self, key: &str) -> Option<Vec<u8>> {
        match self.read(key).await {
            Ok(content) => Some(content),
            Err(status) => {
                assert_eq!(status, Some(404), "{key}");
                None
            }
        }
    }

    /// The same; the HTTP status when it cannot be had.
    async fn read(&self, key: &str) -> Result<Vec<u8>, Option<u16>> {
        let request = self.client.get_object().bucket(&self.bucket).key(key);
        match request.send().await {
            Ok(got) => {
                let is_packed = got.content_encoding() == Some("gzip");
                // One that breaks off: it is being replaced.
                let body = got.body.collect().await.map_err(|_| None)?.to_vec();
                Ok(if is_packed { unpacked(&body) } else { body })
            }
            Err(error) => Err(error.raw_response().map(|raw| raw.status().as_u16())),
        }
    }

    /// Every file and link on disk is in the bucket as it is, for anybody.
    pub async fn has_everything(&self) {
        assert_eq!(self.lacks().await, Vec::<String>::new());
    }

    /// The keys of files and links that are not in the bucket as they are on disk.
    async fn lacks(&self) -> Vec<String> {
        let root = self.rig.root();
        let mut lacks = Vec::new();
        for (path, node) in tree(&root) {
            let on_disk = match node {
                Node::File(..) => fs::read(root.join(&path)).unwrap(),
                Node::Link(_, target) => target.into_os_string().into_vec(),
                Node::EmptyFolder(_) => continue,
            };
            let key = RelKey::of_file(&os_to_rel(&path).unwrap())
                .in_bucket("")
                .key;
            // rclone answers 500, or breaks off, while an object is replaced: it lacks it then.
            if self.read(&key).await != Ok(on_disk) {
                lacks.push(key);
            }
        }
        lacks
    }

    /// A page of all versions that are no delete markers. Keys are plain here.
    pub async fn versions(&self, after: Option<(String, String)>) -> Page {
        let (key, version_id) = after.unzip();
        let request = self.client.list_object_versions().bucket(&self.bucket);
        let request = request.set_key_marker(key);
        let page = request.set_version_id_marker(version_id).send().await;
        let page = page.unwrap();
        let items = page.versions().iter().map(|version| {
            let id = version.version_id().map(str::to_owned);
            (version.key().unwrap().to_owned(), id)
        });
        let next = page.next_key_marker().map(|key| {
            let id = page.next_version_id_marker().unwrap_or_default();
            (key.to_owned(), id.to_owned())
        });
        Page {
            items: items.collect(),
            next: next.filter(|_| page.is_truncated() == Some(true)),
        }
    }

    /// A page of what is current.
    pub async fn objects(&self, after: Option<(String, String)>) -> Page {
        let request = self.client.list_objects_v2().bucket(&self.bucket);
        let request = request.set_continuation_token(after.map(|(token, _)| token));
        let page = request.send().await.unwrap();
        let items = page.contents().iter();
        let items = items.map(|object| (object.key().unwrap().to_owned(), None));
        let next = page.next_continuation_token();
        Page {
            items: items.collect(),
            next: next.map(|token| (token.to_owned(), String::new())),
        }
    }

    /// The id of the version that is current.
    pub async fn newest_version(&self, key: &str) -> String {
        let request = self.client.head_object().bucket(&self.bucket).key(key);
        let head = request.send().await.unwrap();
        head.version_id().unwrap().to_owned()
    }

    /// How many versions there are, by the server's own list.
    pub async fn count_versions(&self) -> usize {
        let mut count = 0;
        let (mut key, mut id) = (None, None);
        loop {
            let request = self.client.list_object_versions().bucket(&self.bucket);
            let request = request.set_key_marker(key).set_version_id_marker(id);
            let page = request.send().await.unwrap();
            count += page.versions().len();
            if page.is_truncated() != Some(true) {
                return count;
            }
            key = page.next_key_marker().map(str::to_owned);
            id = page.next_version_id_marker().map(str::to_owned);
        }
    }

    /// What lies there of uploads that were not completed. Asked by boto3, which
    /// reads moto's list of parts; the SDK does not.
    pub fn parts_bytes(&self) -> u64 {
        let script = "
s3 = client('s3')
open = s3.list_multipart_uploads(Bucket=args[0]).get('Uploads', [])
parts = [s3.list_parts(Bucket=args[0], Key=u['Key'], UploadId=u['UploadId']) for u in open]
answer(sum(part['Size'] for found in parts for part in found.get('Parts', [])))";
        let endpoint = format!("http://{}", self.server.address);
        let answer = boto(&endpoint, &self.server.keys, script, &[&self.bucket]);
        answer.as_u64().unwrap()
    }

    /// It ends as asked.
    #[track_caller]
    pub fn stops_well(&self, daemon: Running) {
        assert_eq!(daemon.stop(), Some(0));
    }

    /// Below the folder where this test's things lie, an exact copy of the
    /// protected folder as it is now.
    pub fn copy(&self, name: &str) -> PathBuf {
        let to = self.rig.dir.path().join(name);
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(self.rig.root()).arg(&to);
        assert!(copy.status().unwrap().success());
        to
    }
}

fn unpacked(packed: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut unpack = flate2::read::MultiGzDecoder::new(packed);
    unpack.read_to_end(&mut out).unwrap();
    out
}

fn client(server: &Server) -> Client {
    let keys = &server.keys;
    let keys = Credentials::new(&keys.access_key, &keys.secret_key, None, None, "test");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(format!("http://{}", server.address))
        .force_path_style(true)
        .credentials_provider(keys)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .retry_config(RetryConfig::disabled())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

fn write_config(rig: &Rig, url: &str, bucket: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let file = rig.dir.path().join("keepwatch.toml");
    let text = format!(
        "[s3]\nendpoint_url = \"{url}\"\nregion = \"us-east-1\"\n\n\
         [[source]]\nname = \"{BUCKET}\"\npath = \"{BUCKET}\"\nbucket = \"{bucket}\"\n\
         compress = [\"*.csv\"]\nversions_per_hour_max = 0\n\n\
         [state]\ndir = \"state\"\n\n[log]\ndir = \"log\"\n\n\
         [limits]\ndebounce_ms = {DEBOUNCE_MS}\ndebounce_max_ms = 2000\n"
    );
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file
}
