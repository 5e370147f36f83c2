//! What is asked of the vault until the power goes, and what must be found.

use super::Power;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use keepwatch_vault::{IN_PROCESS_ENDPOINT, Vault};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

pub const BUCKET: &str = "office";

/// Hands that work at the same time in the second workload.
const HANDS: usize = 4;

/// S3's smallest part, the last one excepted.
const PART_BYTES: usize = 5 << 20;

/// A key's versions, oldest first; `None` is a delete marker.
pub type History = Vec<Option<Vec<u8>>>;

/// Versions with their place in their key's log.
pub type Ranked = Vec<(i128, Option<Vec<u8>>)>;

/// What is known of the vault by its answers.
#[derive(Debug, Default, Clone)]
pub struct Known {
    pub acknowledged: BTreeMap<String, History>,
    /// Asked for and not answered: there or not.
    pub doubtful: BTreeMap<String, Option<Vec<u8>>>,
    /// Uploads in parts that nobody was told the end of.
    cut_off: BTreeSet<String>,
}

impl Known {
    /// What was seen afterwards counts as told.
    pub fn now(&self, seen: BTreeMap<String, History>) -> Self {
        Self {
            acknowledged: seen,
            doubtful: BTreeMap::new(),
            cut_off: self.cut_off.clone(),
        }
    }
}

#[derive(Debug, Clone)]
pub enum Job {
    Put(&'static str, String),
    Delete(&'static str),
    Parts(&'static str, Vec<usize>),
}

pub fn client(vault: &Vault) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(vault.http_client())
        .region(Region::new("us-east-1"))
        .endpoint_url(IN_PROCESS_ENDPOINT)
        .force_path_style(true)
        // A dead disk does not come back.
        .retry_config(RetryConfig::disabled())
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .build();
    Client::from_conf(config)
}

pub fn body_of(sizes: &[usize]) -> Vec<u8> {
    let parts = sizes.iter().enumerate();
    parts
        .flat_map(|(number, size)| vec![b'a' + number as u8; *size])
        .collect()
}

impl Job {
    fn key(&self) -> &'static str {
        match self {
            Self::Put(key, _) | Self::Delete(key) | Self::Parts(key, _) => key,
        }
    }

    fn content(&self) -> Option<Vec<u8>> {
        match self {
            Self::Put(_, text) => Some(text.clone().into_bytes()),
            Self::Delete(_) => None,
            Self::Parts(_, sizes) => Some(body_of(sizes)),
        }
    }

    /// Ask for it; true when it was acknowledged.
    async fn run(&self, client: &Client) -> bool {
        match self {
            Self::Put(key, text) => {
                let put = client.put_object().bucket(BUCKET).key(*key);
                put.body(text.clone().into_bytes().into())
                    .send()
                    .await
                    .is_ok()
            }
            Self::Delete(key) => {
                let delete = client.delete_object().bucket(BUCKET).key(*key);
                delete.send().await.is_ok()
            }
            Self::Parts(key, sizes) => upload(client, key, sizes).await.is_some(),
        }
    }
}

pub async fn upload(client: &Client, key: &str, sizes: &[usize]) -> Option<()> {
    let begin = client.create_multipart_upload().bucket(BUCKET).key(key);
    let id = begin.send().await.ok()?.upload_id?;
    let mut parts = CompletedMultipartUpload::builder();
    for (number, size) in sizes.iter().enumerate() {
        let count = i32::try_from(number).unwrap() + 1;
        let part = client.upload_part().bucket(BUCKET).key(key).upload_id(&id);
        let body = vec![b'a' + number as u8; *size];
        let sent = part
            .part_number(count)
            .body(body.into())
            .send()
            .await
            .ok()?;
        let done = CompletedPart::builder().part_number(count);
        parts = parts.parts(done.e_tag(sent.e_tag?).build());
    }
    let complete = client.complete_multipart_upload().bucket(BUCKET).key(key);
    let complete = complete.upload_id(&id).multipart_upload(parts.build());
    complete.send().await.ok().map(drop)
}

/// A bit of everything, one after the other.
pub fn in_order() -> Vec<Vec<Job>> {
    use Job::{Delete, Parts, Put};
    let text = |text: &str| text.to_owned();
    vec![vec![
        Put("brief.txt", text("eins")),
        Put("brief.txt", text("zwei!")),
        Put("ordner/tief/liste.csv", "Nummer;Betrag\n".repeat(700)),
        Parts("ordner/bild.jpg", vec![9_000]),
        Delete("brief.txt"),
        Put("ordner/tief/liste.csv", text("neu")),
        Put("brief.txt", text("wieder da")),
        Parts("ordner/bild.jpg", vec![2_000]),
        Delete("ordner/tief/liste.csv"),
        Put("ordner/tief/liste.csv/unten", text("jetzt ein Ordner")),
    ]]
}

/// Several hands at once, each with its own keys.
pub fn at_once(random: &mut fastrand::Rng) -> Vec<Vec<Job>> {
    const KEYS: [[&str; 3]; HANDS] = [
        ["a.txt", "gemeinsam/a", "gemeinsam/tief/a"],
        ["b.txt", "gemeinsam/b", "gemeinsam/tief/b"],
        ["c.txt", "gemeinsam/c", "gemeinsam/tief/c"],
        ["d.txt", "gemeinsam/d", "gemeinsam/tief/d"],
    ];
    let mut hands = Vec::new();
    for keys in KEYS {
        let mut jobs = Vec::new();
        for number in 0..8 {
            let key = keys[random.usize(..keys.len())];
            jobs.push(match random.u8(0..10) {
                0 | 1 => Job::Delete(key),
                2 => Job::Parts(key, vec![random.usize(1..20_000)]),
                _ => Job::Put(key, format!("{number} {key} ").repeat(random.usize(1..900))),
            });
        }
        hands.push(jobs);
    }
    if random.u8(0..8) == 0 {
        hands[0].push(Job::Parts("a.txt", vec![PART_BYTES, 1_000]));
    }
    hands
}

/// Work until the power goes.
pub async fn work(vault: &Vault, power: &Power, hands: Vec<Vec<Job>>, known: &mut Known) {
    let client = client(vault);
    let mut tasks = tokio::task::JoinSet::new();
    for jobs in hands {
        let (client, power) = (client.clone(), power.clone());
        tasks.spawn(async move {
            let mut done = Vec::new();
            for job in jobs {
                if power.is_cut() {
                    break;
                }
                let acknowledged = job.run(&client).await;
                done.push((job, acknowledged));
                if !acknowledged {
                    break;
                }
            }
            done
        });
    }
    while let Some(done) = tasks.join_next().await {
        for (job, acknowledged) in done.unwrap() {
            let key = job.key().to_owned();
            if acknowledged {
                known
                    .acknowledged
                    .entry(key)
                    .or_default()
                    .push(job.content());
            } else {
                assert!(power.is_cut(), "refused without a reason: {job:?}");
                if matches!(job, Job::Parts(..)) {
                    known.cut_off.insert(key.clone());
                }
                known.doubtful.insert(key, job.content());
            }
        }
    }
}

/// Every version of every key.
pub async fn histories(vault: &Vault) -> BTreeMap<String, History> {
    let client = client(vault);
    let listed = client.list_object_versions().bucket(BUCKET).send().await;
    let listed = listed.expect("the vault lists its versions");
    assert_ne!(listed.is_truncated(), Some(true));
    let mut all: BTreeMap<String, Ranked> = BTreeMap::new();
    // Of one key, ids rise: they begin with the place in its log.
    let rank = |id: &str| i128::from_str_radix(&id[..12], 16).unwrap();
    for version in listed.versions() {
        let (key, id) = (version.key().unwrap(), version.version_id().unwrap());
        let got = client.get_object().bucket(BUCKET).key(key).version_id(id);
        let got = got
            .send()
            .await
            .unwrap_or_else(|e| panic!("{key} {id}: {e:?}"));
        let etag = got.e_tag().unwrap().trim_matches('"').to_owned();
        let bytes = got.body.collect().await.expect("it can be read").to_vec();
        if !etag.contains('-') {
            use md5::Digest as _;
            assert_eq!(etag, hex::encode(md5::Md5::digest(&bytes)), "{key}");
        }
        let versions = all.entry(key.to_owned()).or_default();
        versions.push((rank(id), Some(bytes)));
    }
    for marker in listed.delete_markers() {
        let (key, id) = (marker.key().unwrap(), marker.version_id().unwrap());
        all.entry(key.to_owned())
            .or_default()
            .push((rank(id), None));
    }
    let in_order = |(key, mut versions): (String, Ranked)| {
        versions.sort_by_key(|(rank, _)| *rank);
        (
            key,
            versions.into_iter().map(|(_, content)| content).collect(),
        )
    };
    all.into_iter().map(in_order).collect()
}

/// Files beneath a folder, by their path in it.
pub fn files_beneath(folder: &Path, prefix: &str, out: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            files_beneath(&entry.path(), &format!("{name}/"), out);
        } else {
            out.insert(name, fs::read(entry.path()).unwrap());
        }
    }
}

pub fn short(history: Option<&History>) -> String {
    let one = |version: &Option<Vec<u8>>| match version {
        Some(bytes) => format!("{} B", bytes.len()),
        None => "marker".to_owned(),
    };
    history.map_or_else(
        || "nothing".to_owned(),
        |versions| versions.iter().map(one).collect::<Vec<_>>().join(", "),
    )
}

/// All that was acknowledged is there and nothing else; the plain files are
/// the newest versions.
pub async fn check(vault: &Vault, known: &Known, when: &str) -> BTreeMap<String, History> {
    let found = histories(vault).await;
    let keys = known.acknowledged.keys().chain(known.doubtful.keys());
    for key in keys.chain(found.keys()) {
        let expected = known.acknowledged.get(key);
        let is_as_told = found.get(key) == expected;
        let with_doubtful = known.doubtful.get(key).map(|doubtful| {
            let mut history = expected.cloned().unwrap_or_default();
            history.push(doubtful.clone());
            history
        });
        assert!(
            is_as_told || (with_doubtful.is_some() && found.get(key) == with_doubtful.as_ref()),
            "{when}: {key} has {}, acknowledged was {}, in doubt {}",
            short(found.get(key)),
            short(expected),
            short(with_doubtful.as_ref()),
        );
    }
    let open = client(vault).list_multipart_uploads().bucket(BUCKET);
    let open = open.send().await.expect("the vault lists its uploads");
    for upload in open.uploads() {
        let key = upload.key().unwrap();
        let is_cut_off = known.cut_off.contains(key);
        assert!(is_cut_off, "{when}: the finished upload of {key} is back");
    }
    let newest = |(key, history): (&String, &History)| {
        let content = history.last().cloned().flatten()?;
        Some((key.clone(), content))
    };
    let mut current: BTreeMap<String, Vec<u8>> = found.iter().filter_map(newest).collect();
    let mut plain = BTreeMap::new();
    files_beneath(&vault.folder().join(BUCKET), "", &mut plain);
    // A file and a folder of one name: one of the two stays hidden.
    let names: Vec<String> = current.keys().cloned().collect();
    current.retain(|key, _| {
        let is_hidden = !plain.contains_key(key)
            && names.iter().any(|other| {
                other.starts_with(&format!("{key}/")) || key.starts_with(&format!("{other}/"))
            });
        !is_hidden
    });
    assert_eq!(
        plain.iter().map(|(k, v)| (k, v.len())).collect::<Vec<_>>(),
        current
            .iter()
            .map(|(k, v)| (k, v.len()))
            .collect::<Vec<_>>(),
        "{when}: the plain files"
    );
    assert!(plain == current, "{when}: a plain file is not what it was");
    found
}
