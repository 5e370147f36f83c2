//! Sends a large file: what changed since the version before, or all of it.

use super::part_stream::PartStream;
use super::parts::{Attempt, AttemptOutcome, cut};
use super::piece::{Made, What};
use super::read::Content;
use super::send::{Job, Sent, StoredVersion};
use super::sizes::SMALL_BYTES_MAX;
use super::trust::Copying;
use crate::files;
use crate::files::Opened;
use crate::os::blocking::blocking_on;
use crate::s3::Proof;
use crate::transfer::delta::assemble::{Assembly, part_bytes};
use crate::types::{Class, Fault, ObjectMeta, Operation, Parts};
use std::borrow::Cow;

/// From this size on, a version is built from the one before. Smaller files are sent with
/// one PUT: parts would cost three requests or more and save a few MiB at most.
const DELTA_FROM_BYTES: u64 = SMALL_BYTES_MAX + 1;

/// Send a large file that [`super::read`] has planned. It is read once more, and the
/// upload is completed only if it is still what was planned. `old` is what the bucket's
/// version is made of: the server copies what stayed the same, if it can prove that.
///
/// # Errors
/// Whatever disk or store reports; an upload in parts is aborted then.
pub async fn send_large(
    job: &Job,
    content: &Content,
    meta: ObjectMeta,
    old: Option<&Parts>,
) -> Result<Sent, Fault> {
    // Taken before the memory of any part, and held while this waits for the disk.
    let _compressing = match job.gzip_level {
        Some(_) => Some(job.budget.compressing(job.lane).await),
        None => None,
    };
    let segments = std::sync::Arc::clone(&content.segments);
    let part_bytes = part_bytes(content.fingerprint.size_bytes);
    let reuse = old
        .filter(|_| content.fingerprint.size_bytes >= DELTA_FROM_BYTES)
        .filter(|old| old.gzip == job.gzip_level.is_some() && !content.is_torn)
        .and_then(|old| Some((old, Assembly::with_old(&segments, old, part_bytes)?)));
    let mut distrust = None;
    if let Some((old, assembly)) = reuse
        && job.trusts(Copying::Parts).await?
        && !is_half_sent(job, content, &meta).await?
        && let Some(old) = &job.pinned(old).await?
    {
        // Try a second time when the first attempt has shown how this server proves parts.
        for _ in 0..2 {
            let was_known = job.store.proof().is_some();
            match carry_out(job, content, &meta, assembly.clone(), Some(old)).await? {
                AttemptOutcome::Sent(sent) => return Ok(sent),
                AttemptOutcome::Distrust(why) => distrust = Some(why),
            }
            if was_known || distrust.as_ref().is_some_and(|why| why.remember) {
                break;
            }
        }
    }
    if let Some(distrust) = &distrust {
        tracing::info!(path = %job.path, "sent whole: {}", distrust.why);
    }
    let whole = Assembly::fresh(&segments, part_bytes);
    match carry_out(job, content, &meta, whole, None).await? {
        AttemptOutcome::Sent(sent) => {
            // The whole file could be sent, so it was the copies that failed.
            if let (Sent::Stored(_), Some(why)) = (&sent, distrust.filter(|why| why.remember)) {
                job.distrust(Copying::Parts, &why.why).await;
            }
            Ok(sent)
        }
        AttemptOutcome::Distrust(distrust) => Err(Fault::new(
            Class::Damaged,
            Operation::Upload,
            job.path.to_string(),
            distrust.why,
        )),
    }
}

impl Job {
    /// The version with its id. Asks the bucket where the index has no id; `None` when
    /// the bucket has another version now.
    async fn pinned<'p>(&self, old: &'p Parts) -> Result<Option<Cow<'p, Parts>>, Fault> {
        if old.version_id.is_some() {
            return Ok(Some(Cow::Borrowed(old)));
        }
        let head = self.store.head(self.at(), None).await?;
        let head = head.filter(|head| !old.etag.is_empty() && head.etag == old.etag);
        Ok(head.map(|head| {
            Cow::Owned(Parts {
                version_id: head.version_id,
                ..old.clone()
            })
        }))
    }
}

/// Whether an upload of the whole file was interrupted. Trying copies again would throw
/// its parts away; where copies always fail, a slow line would never finish.
async fn is_half_sent(job: &Job, content: &Content, meta: &ObjectMeta) -> Result<bool, Fault> {
    let headers = job.headers(meta.clone(), job.gzip_level.is_some());
    let whole = cut(part_bytes(content.fingerprint.size_bytes), None);
    let waiting = job.waiting(&headers, content, &whole).await?;
    Ok(waiting.is_some())
}

async fn open(job: &Job) -> Result<Opened, Fault> {
    let (root, path) = (job.root.clone(), job.path.clone());
    job.pulse.rest();
    let pulse = job.pulse.clone();
    blocking_on("prepare", job.path.to_string(), move || {
        pulse.beat();
        let opened = files::open(&root, &path);
        pulse.rest();
        opened
    })
    .await
}

async fn carry_out(
    job: &Job,
    content: &Content,
    meta: &ObjectMeta,
    assembly: Assembly,
    old: Option<&Parts>,
) -> Result<AttemptOutcome, Fault> {
    let opened = open(job).await?;
    if opened.fingerprint != content.fingerprint && !content.is_torn {
        return Ok(AttemptOutcome::Sent(Sent::Changed));
    }
    let headers = job.headers(meta.clone(), job.gzip_level.is_some());
    let part_bytes = part_bytes(content.fingerprint.size_bytes);
    let proof = match job.store.proof() {
        Some(proof) => Some(proof),
        // After a restart the note of the interrupted upload says it. If another upload
        // is begun after all, proving every part does no harm.
        None => {
            let plan = cut(part_bytes, old);
            let waiting = job.waiting(&headers, content, &plan).await?;
            waiting.filter(|proof| *proof == Proof::EachPart)
        }
    };
    let mut made = PartStream::begin(job, content, opened, assembly, proof);
    let first = made.next().await?;
    let Made {
        what: What::Send(piece),
        end: Some(end),
    } = first
    else {
        let attempt = Attempt {
            job,
            content,
            old,
            part_bytes,
        };
        return attempt.run(&headers, first, made).await;
    };
    // All of it is one part.
    let Some(hash) = end.hash(content.hash) else {
        return Ok(AttemptOutcome::Sent(Sent::Changed));
    };
    let Some(sha256) = piece.sums.sha256 else {
        let why = "the only part has no hash";
        return Err(Fault::new(
            Class::Local,
            Operation::Upload,
            job.path.to_string(),
            why,
        ));
    };
    let stored_bytes = piece.bytes.len() as u64;
    let stored = job
        .store
        .put(job.at(), piece.bytes, sha256, &headers)
        .await?;
    let done = StoredVersion::in_one(stored, stored_bytes, hash);
    Ok(AttemptOutcome::Sent(Sent::Stored(done)))
}
