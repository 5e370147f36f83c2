//! Saying at once, by message, that a destination is not what a backup needs,
//! and that it is again.

use super::change;
use super::policy::Owed;
use super::report::Place;
use crate::mail::Post;
use crate::os;
use crate::source::Context;
use crate::types::Fault;
use std::sync::Arc;

/// Where a source's copies go, for people.
pub fn place_name(ctx: &Context, source: usize) -> String {
    let settings = &ctx.sources[source].config;
    let place = ctx.store.place();
    if settings.prefix.is_empty() {
        format!("bucket {} ({place})", settings.bucket)
    } else {
        format!("bucket {}/{} ({place})", settings.bucket, settings.prefix)
    }
}

/// Put every message that is owed into the outbox. What cannot even be kept is
/// tried again at the next call.
pub async fn tell(ctx: &Arc<Context>, post: &Post) {
    for source in 0..ctx.sources.len() {
        if let Err(fault) = tell_of(ctx, post, source).await {
            tracing::error!("{fault}");
        }
    }
}

async fn tell_of(ctx: &Arc<Context>, post: &Post, source: usize) -> Result<(), Fault> {
    let destination = &ctx.sources[source].destination;
    let _one = destination.telling.lock().await;
    let now_ms = ctx.server_now_ms();
    let owed: Vec<Owed> = destination.memory().troubles.owed(now_ms);
    for one in owed {
        let message = Place {
            computer: &os::computer_name(),
            source: &ctx.sources[source].config.name,
            destination: &place_name(ctx, source),
            time_zone: &ctx.config.schedule.time_zone,
        }
        .message(&one, now_ms);
        post.keep(ctx, message).await?;
        change(ctx, source, |troubles| troubles.told(&one, now_ms)).await;
    }
    Ok(())
}
