//! Every version that is in the bucket, read and unpacked once.

use super::served::BUCKET;
use async_compression::tokio::bufread::GzipDecoder;
use keepwatch::s3::{At, ListedVersion, Store};
use keepwatch::types::{ContentHash, ForeignKey, Kind, ObjectMeta, RelKey};
use std::collections::{BTreeMap, HashMap};
use tokio::io::AsyncReadExt as _;

/// Larger bodies than this never come; the generator makes none.
const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// One version with its body's hash.
#[derive(Debug, Clone)]
pub struct Version {
    pub meta: ObjectMeta,
    /// SHA-256 of the unpacked body, hex.
    pub hash: String,
    pub size_bytes: u64,
    /// A link's target.
    pub body: Option<Vec<u8>>,
}

/// The versions of one path, by its full key, newest first.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// `None` stands for a delete marker.
    pub versions: Vec<(ListedVersion, Option<Version>)>,
}

impl History {
    /// The newest version, unless a marker is.
    pub fn current(&self) -> Option<&(ListedVersion, Option<Version>)> {
        self.versions
            .first()
            .filter(|(_, version)| version.is_some())
    }
}

/// Reads the bucket, each version once.
#[derive(Default)]
pub struct Bucket {
    read: HashMap<(String, String), Version>,
}

impl Bucket {
    /// All versions of everything, by full key; or what cannot be read.
    pub async fn histories(&mut self, store: &Store) -> Result<BTreeMap<String, History>, String> {
        let mut by_key: BTreeMap<String, History> = BTreeMap::new();
        for listed in all(store).await? {
            by_key
                .entry(listed.key.clone())
                .or_default()
                .versions
                .push((listed, None));
        }
        let mut by_path: BTreeMap<String, History> = BTreeMap::new();
        for (key, mut history) in by_key {
            let mut full_key = key.clone();
            for (listed, slot) in &mut history.versions {
                if !listed.is_marker {
                    let version = self.version(store, listed).await?;
                    if let Some(full) = &version.meta.full_key {
                        full_key = full.at(&key);
                    }
                    *slot = Some(version);
                }
            }
            by_path.insert(full_key, history);
        }
        Ok(by_path)
    }

    async fn version(&mut self, store: &Store, listed: &ListedVersion) -> Result<Version, String> {
        let id = (
            listed.key.clone(),
            keepwatch::types::id_text(&listed.version_id).to_owned(),
        );
        if let Some(version) = self.read.get(&id) {
            return Ok(version.clone());
        }
        let at = At {
            bucket: BUCKET,
            key: &listed.key,
        };
        let (head, body) = store
            .get(at, listed.version_id.as_ref())
            .await
            .map_err(|e| e.to_string())?;
        let meta = head.meta.map_err(|e| format!("{}: {e}", listed.key))?;
        let mut bytes = Vec::new();
        let mut raw = body.into_reader().take(BODY_BYTES_MAX);
        let done = match head.gzip {
            true => {
                let mut unpack = GzipDecoder::new(raw);
                unpack.multiple_members(true);
                unpack.read_to_end(&mut bytes).await
            }
            false => raw.read_to_end(&mut bytes).await,
        };
        done.map_err(|e| format!("{}: {e}", listed.key))?;
        let version = Version {
            hash: ContentHash::of(&bytes).to_hex(),
            size_bytes: bytes.len() as u64,
            body: (meta.kind == Kind::Symlink).then_some(bytes),
            meta,
        };
        self.read.insert(id, version.clone());
        Ok(version)
    }
}

async fn all(store: &Store) -> Result<Vec<ListedVersion>, String> {
    let (mut all, mut next) = (Vec::new(), None::<Box<keepwatch::s3::Next>>);
    loop {
        let page = store
            .list_versions(BUCKET, "", next.as_deref())
            .await
            .map_err(|e| e.to_string())?;
        // A clock that stood a day back makes a digest due, which writes a manifest.
        let is_own =
            |listed: &ListedVersion| matches!(RelKey::parse(&listed.key), Err(ForeignKey::Own));
        all.extend(page.items.into_iter().filter(|listed| !is_own(listed)));
        match page.next {
            Some(token) => next = Some(token),
            None => return Ok(all),
        }
    }
}
