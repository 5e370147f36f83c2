//! Second checks after requests that got no answer: the server may still carry them out.
//!
//! Invariants: a key whose request was given up, or may have been on the line when the
//! process was killed, is checked again once the request can no longer be carried out
//! (`limits.late_request_ms`); neither a stop nor a kill forgets that. A check compares
//! with the bucket and believes nothing else.

use super::mark_unverified::mark_unverified;
use crate::os::blocking::blocking;
use crate::s3::Unanswered;
use crate::source::Context;
use crate::types::{Fault, Fingerprint, ForeignKey, Late, RelKey, text};
use parking_lot::{Mutex, MutexGuard};
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

/// Checks that are still to be made.
#[derive(Debug, Default)]
pub struct LateChecks(Mutex<Late>);

impl LateChecks {
    fn owed(&self) -> MutexGuard<'_, Late> {
        self.0.lock()
    }

    /// As if so much time had passed.
    pub fn pass(&self, ms: i64) {
        self.owed().pass(ms);
    }

    /// The whole source is still to be checked.
    pub fn is_owed(&self, source: usize) -> bool {
        self.owed().whole_due_ms(source).is_some()
    }
}

fn limit_ms(ctx: &Context) -> i64 {
    i64::try_from(ctx.config.limits.late_request_ms).unwrap_or(i64::MAX)
}

/// Take over the checks that the last run still had to make. After a kill everything is
/// checked. Blocking.
///
/// # Errors
/// The index cannot be used.
pub fn take_up(ctx: &Context, was_clean: bool) -> Result<(), Fault> {
    let (steady_ms, now_ms, limit_ms) = (ctx.steady_ms(), ctx.now_ms(), limit_ms(ctx));
    for (number, source) in ctx.sources.iter().enumerate() {
        let known = ctx.index.source_state_get(source.id, STATE)?;
        let wait_ms = match (was_clean, known.and_then(|value| value.as_i64())) {
            (false, _) => limit_ms,
            // By a clock that was set back it would never come.
            (true, Some(until_ms)) => until_ms.saturating_sub(now_ms).clamp(0, limit_ms),
            (true, None) => continue,
        };
        ctx.late
            .owed()
            .whole(number, steady_ms.saturating_add(wait_ms));
        let until_ms = now_ms.saturating_add(wait_ms);
        ctx.index
            .source_state_set(source.id, STATE, &until_ms.into())?;
    }
    Ok(())
}

/// Say that the bucket is compared again, and when.
pub fn note(ctx: &Context, source: usize) {
    let due_ms = ctx.late.owed().whole_due_ms(source);
    let note = due_ms.map(|due_ms| {
        let at_ms = ctx.server_now_ms() + (due_ms - ctx.steady_ms()).max(0);
        format!(
            "the last run was cut off: what was on its way to the bucket then may still arrive there, so the bucket is compared again at {}",
            text::time(at_ms, &ctx.config.schedule.time_zone)
        )
    });
    ctx.board.note(source, NOTE, note);
}

/// Remember the remaining checks beyond this run. Blocking.
///
/// # Errors
/// The index cannot be written.
pub fn keep(ctx: &Context) -> Result<(), Fault> {
    hear(ctx);
    let (steady_ms, now_ms) = (ctx.steady_ms(), ctx.now_ms());
    for (number, source) in ctx.sources.iter().enumerate() {
        let due_ms = ctx.late.owed().last_due_ms(number);
        let until_ms = due_ms.map(|due_ms| now_ms.saturating_add(due_ms - steady_ms));
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
        let due = {
            let now_ms = ctx.steady_ms();
            let may = |source| can_be_asked(ctx, source);
            ctx.late.owed().take_keys(now_ms, KEYS_PER_BEAT, may)
        };
        for (source, key) in due {
            let path = key.path();
            if let Err(fault) = mark_unverified(ctx, source, &key, Fingerprint::UNSEEN).await {
                tracing::error!("{fault}");
                // The index is broken; it is compared with the bucket when it is mended.
                continue;
            }
            tracing::debug!(source = %ctx.sources[source].config.name, %path, "looked at again: a request about it had no answer");
            let now_ms = ctx.steady_ms();
            ctx.queue.push_backlog(source, path, now_ms).await;
        }
    }
}

/// Check whole sources that are due; never ends.
pub async fn wholes(ctx: &Arc<Context>) {
    let all = (0..ctx.sources.len()).map(|source| wholes_of(ctx, source));
    futures::future::join_all(all).await;
}

/// Its bucket is not known to be unreachable or somebody else's.
fn can_be_asked(ctx: &Context, source: usize) -> bool {
    ctx.sources[source].destination.may_send() && ctx.gates.outage(source).is_none()
}

async fn wholes_of(ctx: &Arc<Context>, source: usize) {
    loop {
        tokio::time::sleep(BEAT).await;
        let began_ms = ctx.steady_ms();
        let may = |source| can_be_asked(ctx, source);
        if !ctx.late.owed().is_whole_due(source, began_ms, may) {
            continue;
        }
        let scan = ctx.scans.ask_and_wait(source, false).await;
        if !scan.is_ok_and(|scan| scan.listed_whole) {
            ctx.late.owed().failed(source, ctx.steady_ms());
            continue;
        }
        ctx.late.owed().looked(source, began_ms);
        ctx.board.note(source, NOTE, None);
        let shared = Arc::clone(ctx);
        if let Err(fault) = blocking(move || keep(&shared)).await {
            tracing::error!("{fault}");
        }
    }
}

/// Take over the requests that got no answer since the last time.
fn hear(ctx: &Context) {
    let Unanswered { keys, more } = ctx.store.unanswered();
    let until_ms = ctx.steady_ms().saturating_add(limit_ms(ctx));
    let mut owed = ctx.late.owed();
    for (bucket, key) in &keys {
        for (number, source) in ctx.sources.iter().enumerate() {
            let own = key.strip_prefix(source.config.prefix.as_str());
            let Some(own) = own.filter(|_| source.config.bucket == *bucket) else {
                continue;
            };
            match RelKey::parse(own) {
                Ok(key) => owed.key(number, key, until_ms),
                // A manifest: none takes its name again.
                Err(ForeignKey::Own) => {}
                // Its path is known to the bucket alone.
                Err(_) => owed.whole(number, until_ms),
            }
        }
    }
    if more {
        (0..ctx.sources.len()).for_each(|number| owed.whole(number, until_ms));
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
