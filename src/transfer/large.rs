//! Sending a large file: from the version before and what has changed, or whole.

use super::parts::{Attempt, Outcome};
use super::piece::{End, Made, What, Work, make};
use super::read::Content;
use super::send::{Done, Job, Sent, local_fault};
use crate::error::{Class, Fault};
use crate::files::{self, Opened};
use crate::model::assemble::{Assembly, part_bytes};
use crate::model::{ContentHash, ObjectMeta, Parts};
use crate::store::Proof;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// Send a large file that [`super::read`] has planned. What is sent is read once
/// more, and completed only when it is what was planned. `old` is what the
/// bucket's version is made of: what it has of the file is copied on the server,
/// if that can be proved.
///
/// # Errors
/// Whatever disk or store reports; an upload in parts is aborted then.
pub async fn send_large(
    job: &Job,
    content: &Content,
    meta: ObjectMeta,
    old: Option<&Parts>,
) -> Result<Sent, Fault> {
    // Before any part's memory, and while this waits for the disk.
    let _compressing = match job.gzip_level {
        Some(_) => Some(job.budget.compressing(job.lane).await),
        None => None,
    };
    let segments = std::sync::Arc::clone(&content.segments);
    let part_bytes = part_bytes(content.fingerprint.size_bytes);
    let reuse = old
        .filter(|old| old.gzip == job.gzip_level.is_some() && !content.unrested)
        .and_then(|old| Some((old, Assembly::with_old(&segments, old, part_bytes)?)));
    let whole = || Assembly::fresh(&segments, part_bytes);
    let Some((old, assembly)) = reuse else {
        return sent(carry_out(job, content, &meta, whole(), None).await?, job);
    };
    if !job.trusts_copies().await? {
        return sent(carry_out(job, content, &meta, whole(), None).await?, job);
    }
    match carry_out(job, content, &meta, assembly, Some(old)).await? {
        Outcome::Distrust(distrust) => {
            tracing::info!(path = %job.path, "sent whole: {}", distrust.why);
            let whole = carry_out(job, content, &meta, whole(), None).await?;
            // Only now is it known that it was not the rest that went wrong.
            if distrust.remember && matches!(whole, Outcome::Sent(Sent::Stored(_))) {
                job.distrust(&distrust.why).await;
            }
            sent(whole, job)
        }
        outcome => sent(outcome, job),
    }
}

fn sent(outcome: Outcome, job: &Job) -> Result<Sent, Fault> {
    match outcome {
        Outcome::Sent(sent) => Ok(sent),
        Outcome::Distrust(distrust) => Err(Fault::new(
            Class::Damaged,
            "upload",
            job.path.to_string(),
            distrust.why,
        )),
    }
}

async fn open(job: &Job) -> Result<Opened, Fault> {
    let (root, path) = (job.root.clone(), job.path.clone());
    job.pulse.rest();
    let pulse = job.pulse.clone();
    tokio::task::spawn_blocking(move || {
        pulse.beat();
        let opened = files::open(&root, &path);
        pulse.rest();
        opened
    })
    .await
    .map_err(|e| local_fault(&job.path, &e))?
}

/// Begin to make the parts, on a thread that ends by itself when nobody takes
/// them any more.
fn begin_to_make(
    job: &Job,
    content: &Content,
    opened: Opened,
    assembly: Assembly,
) -> mpsc::Receiver<Result<Made, Fault>> {
    let (to, made) = mpsc::channel(1);
    let work = Work {
        opened,
        path: job.path.clone(),
        segments: std::sync::Arc::clone(&content.segments),
        unrested: content.unrested,
        // Known before the first upload: to be asked for both costs one reading.
        wants_md5: job.store.proof() != Some(Proof::Whole),
        assembly,
        gzip_level: job.gzip_level,
        budget: job.budget.clone(),
        pulse: job.pulse.clone(),
    };
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        if let Err(fault) = make(work, &to, &runtime) {
            let _ = runtime.block_on(to.send(Err(fault)));
        }
    });
    made
}

async fn carry_out(
    job: &Job,
    content: &Content,
    meta: &ObjectMeta,
    assembly: Assembly,
    old: Option<&Parts>,
) -> Result<Outcome, Fault> {
    let opened = open(job).await?;
    if opened.fingerprint != content.fingerprint && !content.unrested {
        return Ok(Outcome::Sent(Sent::Changed));
    }
    let mut made = begin_to_make(job, content, opened, assembly);
    let first = next(&mut made, job).await?;
    let headers = job.headers(meta.clone(), job.gzip_level.is_some());
    let Made {
        what: What::Send(piece),
        end: Some(end),
    } = first
    else {
        let attempt = Attempt {
            job,
            content,
            old,
            part_bytes: part_bytes(content.fingerprint.size_bytes),
        };
        return attempt.run(&headers, first, made).await;
    };
    // All of it is one part.
    let Some(hash) = hash_of(&end, content) else {
        return Ok(Outcome::Sent(Sent::Changed));
    };
    let stored_bytes = piece.bytes.len() as u64;
    let stored = job
        .store
        .put(job.at(), piece.bytes, piece.sums.sha256, &headers)
        .await?;
    let done = Done::in_one(stored, stored_bytes, hash);
    Ok(Outcome::Sent(Sent::Stored(done)))
}

/// The hash of what was sent; `None` when the file has changed.
pub(super) fn hash_of(end: &End, content: &Content) -> Option<ContentHash> {
    match end {
        End::AsPlanned(_) => Some(content.hash),
        End::Unrested(hash) => Some(*hash),
        End::Changed => None,
    }
}

/// The next part that was made.
pub(super) async fn next(
    made: &mut mpsc::Receiver<Result<Made, Fault>>,
    job: &Job,
) -> Result<Made, Fault> {
    match made.recv().await {
        Some(made) => made,
        None => Err(Fault::new(
            Class::Local,
            "read",
            job.path.to_string(),
            "the reading thread ended early",
        )),
    }
}
