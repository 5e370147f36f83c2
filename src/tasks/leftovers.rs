//! Uploads in parts that nobody works on any more: what a killed run, a failed
//! abort or a lost answer left in the bucket is aborted.
//!
//! Invariant: only what the index has noted as begun (or about to begin) by
//! this installation is touched, and never what a worker is busy with. Of an
//! upload whose id is not known only those of exactly its key count, begun
//! since it was noted.

use super::context::{Context, blocking};
use crate::error::{Class, Fault};
use crate::index::Multipart;
use crate::store::At;
use crate::transfer::wall_ms;
use futures::StreamExt as _;
use std::sync::Arc;

/// Aborts at a time: enough for a stop's last seconds, few for a server.
const AT_ONCE: usize = 8;

/// How far the server's clock may be from ours: S3 refuses requests beyond it.
const SKEW_MAX_MS: i64 = 15 * 60_000;

/// A request whose answer was lost may still be carried out for so long: twice
/// its time-out.
const SETTLED_MS: i64 = 60_000;

/// Abort what was left behind; true when nothing is left.
pub async fn sweep(ctx: &Arc<Context>) -> bool {
    let noted = {
        let index = ctx.index.clone();
        blocking(move || index.multiparts()).await
    };
    let noted = match noted {
        Ok(noted) => noted,
        Err(fault) => {
            tracing::error!("{fault}");
            return false;
        }
    };
    let left = noted.into_iter().filter(|note| ctx.uploads.is_left(note));
    let done = futures::stream::iter(left)
        .map(|note| async move {
            clear(ctx, &note).await.unwrap_or_else(|fault| {
                // Stays noted: it is tried again.
                tracing::warn!("an unfinished upload stays in the bucket for now: {fault}");
                false
            })
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    done.into_iter().all(|done| done)
}

/// True when nothing is left of it.
async fn clear(ctx: &Arc<Context>, note: &Multipart) -> Result<bool, Fault> {
    let is_over = match abort(ctx, note).await {
        // Parts go with their bucket. One that a source still names may only be
        // out of reach (a vault's disk that is not there); that is told anyway.
        Err(fault) if fault.class == Class::NoBucket && !is_in_use(ctx, &note.bucket) => {
            tracing::warn!("an unfinished upload is forgotten with its bucket: {fault}");
            true
        }
        is_over => is_over?,
    };
    if is_over {
        let (index, note) = (ctx.index.clone(), note.clone());
        blocking(move || index.multipart_end(note.source, &note.key, &note.upload_id)).await?;
    }
    Ok(is_over)
}

fn is_in_use(ctx: &Context, bucket: &str) -> bool {
    ctx.sources.iter().any(|s| s.config.bucket == bucket)
}

/// True when nothing is left of it in the bucket.
async fn abort(ctx: &Context, note: &Multipart) -> Result<bool, Fault> {
    let at = At {
        bucket: &note.bucket,
        key: &note.bucket_key,
    };
    match note.is_begun() {
        true => {
            ctx.store.abort_multipart(at, &note.upload_id).await?;
            Ok(true)
        }
        false => {
            let now_ms = wall_ms();
            let since_ms = note.noted_ms.saturating_sub(SKEW_MAX_MS);
            let open = ctx.store.open_uploads_of(at).await?;
            // A worker may have begun another before the list was made.
            if !ctx.uploads.is_left(note) {
                return Ok(false);
            }
            for upload in open.iter().filter(|u| u.initiated_ms >= since_ms) {
                ctx.store.abort_multipart(at, &upload.upload_id).await?;
            }
            // By a clock that was put back it would never be over.
            let age_ms = now_ms.saturating_sub(note.noted_ms);
            Ok(!(0..SETTLED_MS).contains(&age_ms))
        }
    }
}
