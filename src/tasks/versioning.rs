//! Whether a source's bucket keeps old versions, asked now and then.
//!
//! Invariant: as long as that is not known to be so, nothing is marked deleted:
//! in an unversioned bucket S3 would destroy the object instead.

use super::context::Context;
use crate::store::Versioning;
use std::sync::atomic::Ordering;

/// Ask the bucket whether it keeps versions; warn when not.
pub async fn check_versioning(ctx: &Context, source: usize) {
    let settings = &ctx.sources[source].config;
    match ctx.store.versioning(&settings.bucket).await {
        Ok(versioning) => {
            let on = versioning == Versioning::Enabled;
            ctx.sources[source].versioned.store(on, Ordering::Relaxed);
            let warning = (!on).then(|| {
                format!(
                    "the bucket {} keeps no old versions: an overwritten file cannot be had back, and deletions are not marked. Turn on versioning: aws s3api put-bucket-versioning --bucket {} --versioning-configuration Status=Enabled",
                    settings.bucket, settings.bucket
                )
            });
            if let Some(text) = &warning {
                if ctx.board.warn(source, "versioning", warning.clone()) {
                    tracing::warn!(source = %settings.name, "{text}");
                }
            } else {
                ctx.board.warn(source, "versioning", None);
            }
        }
        // Who has no right to ask still may upload; deletions wait. What an
        // earlier answer said is not known any more: it is asked again soon.
        Err(fault) => {
            ctx.sources[source]
                .versioned
                .store(false, Ordering::Relaxed);
            let text = format!("deletions are not marked until this works: {fault}");
            if ctx.board.warn(source, "versioning", Some(text)) {
                tracing::warn!(source = %settings.name, "{fault}; deletions are not marked until this works");
            }
        }
    }
}
