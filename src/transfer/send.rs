//! Sending content: one PUT when it fits one piece, otherwise in parts.

use super::budget::Budget;
use super::piece::{Cut, End, Piece, cut};
use super::read::Content;
use super::uploads::Uploads;
use crate::error::{Class, Fault, chain};
use crate::files::{self, Pulse};
use crate::index::{Index, SourceId};
use crate::model::{ContentHash, ObjectMeta, RelKey, RelPath};
use crate::store::{At, ObjectHeaders, PartDone, Store, Stored};
use async_compression::Level;
use async_compression::tokio::write::GzipEncoder;
use bytes::Bytes;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Parts of one file on the wire at once: enough to fill an office line, few
/// enough that several files share the budget.
const PARTS_IN_FLIGHT: usize = 4;

/// Tries per part beyond the SDK's own; after that the whole file is tried
/// again later by the application's backoff.
const PART_TRIES: u32 = 4;

/// Pause before the second try of a part; doubles each time.
pub(super) const PART_PAUSE: Duration = Duration::from_secs(1);

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
    /// All memory for contents.
    pub budget: Budget,
    /// What is told and asked while parts are on the wire.
    pub wire: Wire,
    /// Beats while the file is being read.
    pub pulse: Pulse,
    /// The uploads in parts of this process.
    pub uploads: Uploads,
}

/// What is told and asked while parts are on the wire.
#[derive(Clone)]
pub struct Wire {
    /// Called once the bucket has taken something of a large file, long before
    /// the whole of it: the bucket works.
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
    Stored {
        /// What S3 answered.
        stored: Stored,
        /// Bytes it takes in the bucket.
        stored_bytes: u64,
        /// Hash of the file's content that was sent.
        hash: ContentHash,
    },
    /// The file changed meanwhile; nothing became a version.
    Changed,
}

impl Job {
    pub(super) fn at(&self) -> At<'_> {
        At {
            bucket: &self.bucket,
            key: &self.bucket_key,
        }
    }

    pub(super) fn headers(&self, meta: ObjectMeta, gzip: bool) -> ObjectHeaders {
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
    Ok(Sent::Stored {
        stored,
        stored_bytes,
        hash,
    })
}

/// The body as it is sent, its hash, and whether it is compressed.
async fn packed(
    job: &Job,
    raw: Bytes,
    hash: ContentHash,
    level: u32,
) -> Result<(Bytes, ContentHash, bool), Fault> {
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        let packed = runtime.block_on(gzip_buffer(&raw, level))?;
        Ok::<_, std::io::Error>(match packed.len() < raw.len() {
            true => {
                let wire_hash = ContentHash::of(&packed);
                (Bytes::from(packed), wire_hash, true)
            }
            false => (raw, hash, false),
        })
    })
    .await
    .map_err(|e| local_fault(&job.path, &e))?
    .map_err(|e| local_fault(&job.path, &e))
}

async fn gzip_buffer(raw: &[u8], level: u32) -> std::io::Result<Vec<u8>> {
    let level = Level::Precise(i32::try_from(level).unwrap_or(6));
    let mut encoder = GzipEncoder::with_quality(Vec::with_capacity(raw.len() / 3), level);
    encoder.write_all(raw).await?;
    encoder.shutdown().await?;
    Ok(encoder.into_inner())
}

pub(super) fn local_fault(path: &RelPath, error: &(dyn std::error::Error + 'static)) -> Fault {
    Fault::new(Class::Local, "prepare", path.to_string(), chain(error))
}

/// Stream a large file that [`super::read`] has hashed. It is read once more,
/// and completed only when what was sent hashes the same.
///
/// # Errors
/// Whatever disk or store reports; an upload in parts is aborted then.
pub async fn send_large(job: &Job, content: &Content, meta: ObjectMeta) -> Result<Sent, Fault> {
    let (root, path) = (job.root.clone(), job.path.clone());
    job.pulse.rest();
    let pulse = job.pulse.clone();
    let opened = tokio::task::spawn_blocking(move || {
        pulse.beat();
        let opened = files::open(&root, &path);
        pulse.rest();
        opened
    })
    .await
    .map_err(|e| local_fault(&job.path, &e))??;
    if opened.fingerprint != content.fingerprint && !content.unrested {
        return Ok(Sent::Changed);
    }
    let (to, mut pieces) = mpsc::channel(1);
    let work = Cut {
        opened,
        path: job.path.clone(),
        limit_bytes: content.fingerprint.size_bytes,
        gzip_level: job.gzip_level,
        budget: job.budget.clone(),
        pulse: job.pulse.clone(),
    };
    let runtime = Handle::current();
    // Ends by itself when `pieces` is dropped.
    tokio::task::spawn_blocking(move || {
        if let Err(fault) = cut(work, &to, &runtime) {
            let _ = runtime.block_on(to.send(Err(fault)));
        }
    });
    let first = next_piece(&mut pieces, &job.path).await?;
    let headers = job.headers(meta, job.gzip_level.is_some());
    match first.end {
        Some(end) if !is_as_hashed(&end, content) => Ok(Sent::Changed),
        Some(end) => {
            let stored_bytes = first.bytes.len() as u64;
            let stored = job
                .store
                .put(job.at(), first.bytes, first.sha256, &headers)
                .await?;
            Ok(Sent::Stored {
                stored,
                stored_bytes,
                hash: end.hash,
            })
        }
        None => send_parts(job, content, &headers, first, pieces).await,
    }
}

/// What was sent is what was hashed before. Of a file that never rests only the
/// size is promised, and its metadata says so.
fn is_as_hashed(end: &End, content: &Content) -> bool {
    let same_size = end.raw_bytes == content.fingerprint.size_bytes;
    same_size && (content.unrested || (end.hash == content.hash && end.steady))
}

async fn next_piece(
    pieces: &mut mpsc::Receiver<Result<Piece, Fault>>,
    path: &RelPath,
) -> Result<Piece, Fault> {
    match pieces.recv().await {
        Some(piece) => piece,
        None => Err(Fault::new(
            Class::Local,
            "read",
            path.to_string(),
            "the reading thread ended early",
        )),
    }
}

async fn send_parts(
    job: &Job,
    content: &Content,
    headers: &ObjectHeaders,
    first: Piece,
    pieces: mpsc::Receiver<Result<Piece, Fault>>,
) -> Result<Sent, Fault> {
    let begun = job.begin(headers).await?;
    let upload_id = begun.upload_id.clone();
    let result = carry_parts(job, content, &upload_id, first, pieces).await;
    let completed = matches!(result, Ok(Sent::Stored { .. }));
    job.conclude(&upload_id, result, completed).await
}

async fn carry_parts(
    job: &Job,
    content: &Content,
    upload_id: &str,
    first: Piece,
    mut pieces: mpsc::Receiver<Result<Piece, Fault>>,
) -> Result<Sent, Fault> {
    // Dropping the set on an early return stops the parts still on the wire.
    let mut flying = JoinSet::new();
    let mut done: Vec<PartDone> = Vec::new();
    let mut stored_bytes = 0;
    let mut number = 1;
    let mut piece = first;
    let end = loop {
        while flying.len() >= (job.wire.at_once)().clamp(1, PARTS_IN_FLIGHT) {
            collect_part(&mut flying, &mut done, job).await?;
        }
        let end = piece.end;
        stored_bytes += piece.bytes.len() as u64;
        // gzip may end exactly on a border: an empty last part is no part.
        if !piece.bytes.is_empty() {
            flying.spawn(one_part(job.clone(), upload_id.to_owned(), number, piece));
            number += 1;
        }
        if let Some(end) = end {
            break end;
        }
        piece = next_piece(&mut pieces, &job.path).await?;
    };
    while !flying.is_empty() {
        collect_part(&mut flying, &mut done, job).await?;
    }
    if !is_as_hashed(&end, content) {
        return Ok(Sent::Changed);
    }
    let completed = job
        .store
        .complete_multipart(job.at(), upload_id, done)
        .await;
    let stored = match completed {
        // The first answer was lost and the SDK asked again: it may be done.
        Err(fault) if fault.class == Class::NotFound => adopt(job, content, fault).await?,
        completed => completed?,
    };
    Ok(Sent::Stored {
        stored,
        stored_bytes,
        hash: end.hash,
    })
}

/// The newest version, if it is the content that was just sent.
async fn adopt(job: &Job, content: &Content, fault: Fault) -> Result<Stored, Fault> {
    let head = job.store.head(job.at(), None).await?;
    head.filter(|head| {
        let stored = head.meta.as_ref().ok().and_then(|meta| meta.content);
        stored == Some(content.hash)
    })
    .map(|head| Stored {
        version_id: head.version_id,
        etag: head.etag,
    })
    .ok_or(Fault {
        class: Class::Transient,
        ..fault
    })
}

async fn collect_part(
    flying: &mut JoinSet<Result<PartDone, Fault>>,
    done: &mut Vec<PartDone>,
    job: &Job,
) -> Result<(), Fault> {
    if let Some(result) = flying.join_next().await {
        let part = result.map_err(|e| local_fault(&job.path, &e))??;
        if done.is_empty() {
            (job.wire.works)();
        }
        done.push(part);
    }
    Ok(())
}

async fn one_part(
    job: Job,
    upload_id: String,
    number: i32,
    piece: Piece,
) -> Result<PartDone, Fault> {
    let mut pause = PART_PAUSE;
    let mut tries = 1;
    loop {
        let result = job
            .store
            .upload_part(
                job.at(),
                &upload_id,
                number,
                piece.bytes.clone(),
                piece.sha256,
            )
            .await;
        match result {
            Err(fault) if fault.class.is_transient() && tries < PART_TRIES => {
                if fault.class == Class::SlowDown {
                    (job.wire.slowed)();
                }
                tokio::time::sleep(pause).await;
                pause *= 2;
                tries += 1;
            }
            result => {
                drop(piece.permit);
                return result;
            }
        }
    }
}
