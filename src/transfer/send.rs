//! What is sent, where, and what became of it. Sends content that is in memory.

use super::budget::Budget;
use super::uploads::Uploads;
use crate::files::Pulse;
use crate::index::{Index, SourceId};
use crate::os::blocking::blocking_on;
use crate::s3::{At, ObjectHeaders, Store, Stored};
use crate::types::{Class, ContentHash, Fault, ObjectMeta, Parts, RelKey, RelPath, chain};
use crate::work::Lane;
use async_compression::Level;
use async_compression::tokio::write::GzipEncoder;
use bytes::Bytes;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::runtime::Handle;

/// Pause before the second try of a part; doubles each time.
pub(crate) const PART_PAUSE: Duration = Duration::from_secs(1);

/// Where and how one file is sent.
#[derive(Clone)]
pub struct Job {
    /// The server.
    pub store: Store,
    /// Remembers uploads in parts, so that a killed one is aborted later.
    pub index: Index,
    /// The source in the index.
    pub source: SourceId,
    /// The source's folder.
    pub root: PathBuf,
    /// The file in it.
    pub path: RelPath,
    /// Its key in the index.
    pub key: RelKey,
    /// The bucket.
    pub bucket: String,
    /// The object's key there.
    pub bucket_key: String,
    /// Compression level, `None` for none.
    pub gzip_level: Option<u32>,
    /// Whether somebody has just saved it.
    pub lane: Lane,
    /// All memory for contents.
    pub budget: Budget,
    /// What is told and asked while parts are on the wire.
    pub wire: UploadHooks,
    /// Beats while the file is read.
    pub pulse: Pulse,
    /// The uploads in parts of this process.
    pub uploads: Uploads,
}

/// What is told and asked while parts are on the wire.
#[derive(Clone)]
pub struct UploadHooks {
    /// Called once the bucket has taken the first part of a large file: it works.
    pub works: Arc<dyn Fn() + Send + Sync>,
    /// Called when the server asks for fewer requests.
    pub slowed: Arc<dyn Fn() + Send + Sync>,
    /// How much the server takes at once.
    pub at_once: Arc<dyn Fn() -> usize + Send + Sync>,
}

/// What became of it.
#[derive(Debug)]
pub enum Sent {
    /// It is a version now.
    Stored(StoredVersion),
    /// The file changed meanwhile; nothing became a version.
    Changed,
}

/// A version that was made.
#[derive(Debug)]
pub struct StoredVersion {
    /// What S3 answered.
    pub stored: Stored,
    /// Bytes it takes in the bucket.
    pub stored_bytes: u64,
    /// Hash of the file's content that was sent.
    pub hash: ContentHash,
    /// What a large object is made of, for its next version.
    pub parts: Option<Parts>,
    /// What it cost.
    pub cost: Cost,
}

impl StoredVersion {
    /// Content that was sent with one PUT.
    pub(crate) fn in_one(stored: Stored, stored_bytes: u64, hash: ContentHash) -> Self {
        Self {
            stored,
            stored_bytes,
            hash,
            parts: None,
            cost: Cost {
                sent_bytes: stored_bytes,
                reused_bytes: 0,
                requests: 1,
            },
        }
    }
}

/// What one version cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Bytes of content that went over the wire.
    pub sent_bytes: u64,
    /// Bytes that the server copied from the version before.
    pub reused_bytes: u64,
    /// Requests, repeated ones not counted.
    pub requests: u64,
}

impl Job {
    pub(crate) fn at(&self) -> At<'_> {
        At {
            bucket: &self.bucket,
            key: &self.bucket_key,
        }
    }

    pub(crate) fn headers(&self, meta: ObjectMeta, gzip: bool) -> ObjectHeaders {
        let is_csv = self.path.name().to_ascii_lowercase().ends_with(b".csv");
        ObjectHeaders {
            meta,
            gzip,
            content_type: is_csv.then_some("text/csv"),
        }
    }
}

/// Send content that is in memory with one PUT. Compressed only when that makes
/// it smaller.
///
/// # Errors
/// Whatever the store reports; nothing became a version then.
pub async fn send_small(
    job: &Job,
    body: Bytes,
    meta: ObjectMeta,
    hash: ContentHash,
) -> Result<Sent, Fault> {
    let (body, wire_hash, gzip) = match job.gzip_level {
        Some(level) => packed(job, body, hash, level).await?,
        None => (body, hash, false),
    };
    let stored_bytes = body.len() as u64;
    let stored = job
        .store
        .put(job.at(), body, wire_hash, &job.headers(meta, gzip))
        .await?;
    Ok(Sent::Stored(StoredVersion::in_one(
        stored,
        stored_bytes,
        hash,
    )))
}

/// The body as it is sent, its hash, and whether it is compressed.
async fn packed(
    job: &Job,
    raw: Bytes,
    hash: ContentHash,
    level: u32,
) -> Result<(Bytes, ContentHash, bool), Fault> {
    let (runtime, path) = (Handle::current(), job.path.clone());
    blocking_on("prepare", job.path.to_string(), move || {
        let packed = runtime.block_on(gzip_buffer(&raw, level));
        let packed = packed.map_err(|error| local_fault(&path, &error))?;
        if packed.len() >= raw.len() {
            return Ok((raw, hash, false));
        }
        let wire_hash = ContentHash::of(&packed);
        Ok((Bytes::from(packed), wire_hash, true))
    })
    .await
}

async fn gzip_buffer(raw: &[u8], level: u32) -> std::io::Result<Vec<u8>> {
    let level = Level::Precise(i32::try_from(level).unwrap_or(6));
    let mut encoder = GzipEncoder::with_quality(Vec::with_capacity(raw.len() / 3), level);
    encoder.write_all(raw).await?;
    encoder.shutdown().await?;
    Ok(encoder.into_inner())
}

pub(crate) fn local_fault(path: &RelPath, error: &(dyn std::error::Error + 'static)) -> Fault {
    Fault::new(Class::Local, "prepare", path.to_string(), chain(error))
}
