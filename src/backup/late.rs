//! Second checks after requests that got no answer: the server may still carry them out.
//!
//! Invariants: a key whose request was given up, or may have been on the line when the
//! process was killed, is checked again once the request can no longer be carried out
//! (`limits.late_request_ms`); neither a stop nor a kill forgets that. A check compares
//! with the bucket and believes nothing else.

use super::mark_unverified::mark_unverified;
use crate::backup::context::Context;
use crate::os::blocking::blocking;
use crate::s3::Unanswered;
use crate::source::SourceRuntime;
use crate::types::{Fault, Fingerprint, ForeignKey, RelKey, WallMs, text};
use std::sync::Arc;
use std::time::Duration;

/// How often due checks are looked for.
const BEAT: Duration = Duration::from_secs(1);

/// Paths checked again at a time: each costs a request.
const KEYS_PER_BEAT: usize = 64;

/// Under which name the index remembers when a source is to be looked at again,
/// milliseconds since 1970.
const STATE: &str = "late:until_ms";

/// The note that `status` and digest have of it.
const NOTE: &str = "late";

fn limit_ms(ctx: &Context) -> i64 {
    i64::try_from(ctx.config.limits.late_request_ms).unwrap_or(i64::MAX)
}

/// Take over the checks that the last run still had to make. After a kill everything is
/// checked. Blocking.
///
/// # Errors
/// The index cannot be used.
pub fn take_up(ctx: &Context, was_clean: bool) -> Result<(), Fault> {
    let (monotonic_ms, now_ms, limit_ms) =
        (ctx.clock.monotonic_ms(), ctx.clock.now_ms(), limit_ms(ctx));
    for source in ctx.sources.iter() {
        let known = ctx.index.source_state_get(source.id, STATE)?;
        let wait_ms = match (
            was_clean,
            known.and_then(|value| value.as_i64()).map(WallMs),
        ) {
            (false, _) => limit_ms,
            // By a clock that was set back it would never come.
            (true, Some(until_ms)) => (until_ms - now_ms).clamp(0, limit_ms),
            (true, None) => continue,
        };
        source.late.owed().whole(monotonic_ms + wait_ms);
        let until_ms = now_ms + wait_ms;
        ctx.index
            .source_state_set(source.id, STATE, &until_ms.into())?;
    }
    Ok(())
}

/// Say that the bucket is compared again, and when.
pub fn note(ctx: &Context, source: &SourceRuntime) {
    let due_ms = source.late.owed().whole_due_ms();
    let note = due_ms.map(|due_ms| {
        let at_ms = ctx.clock.server_now_ms() + (due_ms - ctx.clock.monotonic_ms()).max(0);
        format!(
            "the last run was cut off: what was on its way to the bucket then may still arrive there, so the bucket is compared again at {}",
            text::time(at_ms, &ctx.config.schedule.time_zone)
        )
    });
    source.status.note(NOTE, note);
}

/// Remember the remaining checks beyond this run. Blocking.
///
/// # Errors
/// The index cannot be written.
pub fn keep(ctx: &Context) -> Result<(), Fault> {
    hear(ctx);
    let (monotonic_ms, now_ms) = (ctx.clock.monotonic_ms(), ctx.clock.now_ms());
    for source in ctx.sources.iter() {
        let due_ms = source.late.owed().last_due_ms();
        let until_ms = due_ms.map(|due_ms| now_ms + (due_ms - monotonic_ms));
        ctx.index
            .source_state_set(source.id, STATE, &until_ms.into())?;
    }
    Ok(())
}

/// Check due keys, one by one; never ends.
pub async fn keys(ctx: &Arc<Context>) {
    loop {
        tokio::time::sleep(BEAT).await;
        hear(ctx);
        for source in ctx.sources.iter() {
            keys_of(ctx, source).await;
        }
    }
}

async fn keys_of(ctx: &Context, source: &SourceRuntime) {
    let now_ms = ctx.clock.monotonic_ms();
    let may_ask = can_be_asked(source);
    let due = source.late.owed().take_keys(now_ms, KEYS_PER_BEAT, may_ask);
    for key in due {
        let path = key.path();
        if let Err(fault) = mark_unverified(ctx, source, &key, Fingerprint::UNSEEN).await {
            tracing::error!("{fault}");
            // The index is broken; it is compared with the bucket when it is mended.
            continue;
        }
        tracing::debug!(source = %source.name(), %path, "looked at again: a request about it had no answer");
        let now_ms = ctx.clock.monotonic_ms();
        source.work.queue.push_backlog(path, now_ms).await;
    }
}

/// Check whole sources that are due; never ends.
pub async fn wholes(ctx: &Arc<Context>) {
    let all = ctx.sources.iter().map(|source| wholes_of(ctx, source));
    futures::future::join_all(all).await;
}

/// Its bucket is not known to be unreachable or somebody else's.
fn can_be_asked(source: &SourceRuntime) -> bool {
    source.destination.may_send() && source.breaker.outage().is_none()
}

async fn wholes_of(ctx: &Arc<Context>, source: &SourceRuntime) {
    loop {
        tokio::time::sleep(BEAT).await;
        let began_ms = ctx.clock.monotonic_ms();
        let may_ask = can_be_asked(source);
        if !source.late.owed().is_whole_due(began_ms, may_ask) {
            continue;
        }
        let scan = source.work.scans.ask_and_wait(false).await;
        if !scan.is_ok_and(|scan| scan.listed_whole) {
            source.late.owed().failed(ctx.clock.monotonic_ms());
            continue;
        }
        source.late.owed().looked(began_ms);
        source.status.note(NOTE, None);
        let shared = Arc::clone(ctx);
        if let Err(fault) = blocking(move || keep(&shared)).await {
            tracing::error!("{fault}");
        }
    }
}

/// Take over the requests that got no answer since the last time.
fn hear(ctx: &Context) {
    let Unanswered { keys, more } = ctx.store.unanswered();
    let until_ms = ctx.clock.monotonic_ms() + limit_ms(ctx);
    for (bucket, key) in &keys {
        for source in ctx.sources.iter() {
            let own = key.strip_prefix(source.config.prefix.as_str());
            let Some(own) = own.filter(|_| source.config.bucket == *bucket) else {
                continue;
            };
            match RelKey::parse(own) {
                Ok(key) => source.late.owed().key(key, until_ms),
                // A manifest: none takes its name again.
                Err(ForeignKey::Own) => {}
                // Its path is known to the bucket alone.
                Err(_) => source.late.owed().whole(until_ms),
            }
        }
    }
    if more {
        let sources = ctx.sources.iter();
        sources.for_each(|source| source.late.owed().whole(until_ms));
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Defaults};
    use crate::s3::LATE_MAX;

    #[test]
    fn the_default_is_the_longest_that_a_request_can_take() {
        let dir = tempfile::tempdir().unwrap();
        let (office, vault) = (dir.path().join("office"), dir.path().join("vault"));
        std::fs::create_dir(&office).unwrap();
        let defaults = Defaults {
            state_dir: dir.path().join("state"),
            log_dir: dir.path().join("log"),
            home_dir: None,
            computer_time_zone: jiff::tz::TimeZone::UTC,
        };
        let config = Config::trial(&office, &vault, &defaults).unwrap();
        let late_ms = u128::from(config.limits.late_request_ms);
        assert_eq!(late_ms, LATE_MAX.as_millis());
    }
}
