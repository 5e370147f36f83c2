//! Telling the owner by message that deletions are held back, and that it is over.

use super::change::change;
use super::count::lacks;
use super::deletion_guard::DeletionGuard;
use super::policy::{DeletionHold, Lacks};
use super::show::say;
use crate::files::Pulse;
use crate::mail::{Message, OutboxSender};
use crate::os::blocking::blocking;
use crate::types::Fault;
use std::sync::Arc;
use std::time::Duration;

/// A message that is owed.
struct Owed {
    hold: DeletionHold,
    message: Message,
    /// It says that the hold has ended.
    is_over: bool,
}

/// Put every alert and reminder that is owed into the outbox, where it is as good as sent.
/// What cannot even be kept is tried again at the next call. At the end of a run
/// (`at_once`) no alert waits for what is still to be stored.
///
/// # Errors
/// The index fails, or the message cannot be kept.
pub async fn tell(
    guard: &Arc<DeletionGuard>,
    outbox: &OutboxSender,
    at_once: bool,
) -> Result<(), Fault> {
    let _one = guard.memory.telling.lock().await;
    if !settle_moment(guard, at_once).await? {
        return Ok(());
    }
    let list = {
        let guard = Arc::clone(guard);
        blocking(move || Ok(owed(&guard))).await?
    };
    for owed in list {
        send(guard, outbox, owed).await?;
    }
    Ok(())
}

/// An alert names a moment to restore. It waits at most this long until that moment has
/// everything that was saved before the files were missed.
const SETTLING_MAX_MS: i64 = 30 * 1_000;

/// Find out what an alert says: how many files are missing, how many of them are marked,
/// and which moment has everything that was saved before. False: not known yet.
async fn settle_moment(guard: &Arc<DeletionGuard>, at_once: bool) -> Result<bool, Fault> {
    let (is_new, has_fallen, in_flight, held_at_ms) = {
        let memory = guard.memory();
        let state = &memory.saved.state;
        let mut holds = state.holds.iter();
        let is_new = holds.any(|hold| hold.told == 0 && hold.may_move());
        let has_fallen = state.has_untold_fall();
        (is_new, has_fallen, memory.in_flight, memory.held_at_ms)
    };
    if in_flight > 0 && !at_once {
        return Ok(false);
    }
    if !is_new && !has_fallen {
        return Ok(true);
    }
    let all_heard = guard.work.in_flight.up_to(held_at_ms).is_some();
    let all_stored = guard.work.queue.depth().total() == 0 && !guard.work.scans.is_looking();
    let waited_ms = guard.clock.steady_ms() - held_at_ms;
    let is_settled = at_once || !is_new || all_heard && all_stored;
    if !is_settled && waited_ms < SETTLING_MAX_MS {
        return Ok(false);
    }
    // At the end of a run a scan has just counted them.
    let lacks = match has_fallen && !at_once {
        true => count_lacks(guard).await,
        false => None,
    };
    let guard = Arc::clone(guard);
    blocking(move || {
        let now = guard.now();
        change(&guard, |memory| {
            let state = &mut memory.saved.state;
            state.settle_moments(now.server_ms);
            if let Some(lacks) = lacks {
                state.counted(lacks);
            }
        })
    })
    .await?;
    Ok(true)
}

/// `None` when the files cannot be counted: the alert does not wait for a disk.
async fn count_lacks(guard: &Arc<DeletionGuard>) -> Option<Lacks> {
    let (shared, pulse) = (Arc::clone(guard), Pulse::default());
    let beat = pulse.clone();
    let counted = guard.watchdog.run(&pulse, move || lacks(&shared, &beat));
    let limit = Duration::from_millis(SETTLING_MAX_MS.unsigned_abs());
    let counted = tokio::time::timeout(limit, counted).await.ok()?;
    counted
        .inspect_err(|fault| tracing::debug!("what is missing cannot be counted: {fault}"))
        .ok()
}

fn owed(guard: &DeletionGuard) -> Vec<Owed> {
    let now_ms = guard.clock.now_ms();
    let (holds, ended) = {
        let memory = guard.memory();
        let state = &memory.saved.state;
        if state.holds.is_empty() && state.ended.is_empty() {
            return Vec::new();
        }
        (state.holds.clone(), state.ended.clone())
    };
    let over = ended.into_iter().map(|hold| Owed {
        message: say(guard, &hold, false, |held| held.over()),
        hold,
        is_over: true,
    });
    let alerts = holds.into_iter().filter_map(|hold| {
        let reminder = hold.owes(now_ms)?;
        Some(Owed {
            message: say(guard, &hold, reminder, |held| held.alert()),
            hold,
            is_over: false,
        })
    });
    over.chain(alerts).collect()
}

/// Keep the message in the outbox, and remember it as told before it is sent: while SNS
/// is down sending takes long, and after a stop it must not be told twice.
async fn send(guard: &Arc<DeletionGuard>, outbox: &OutboxSender, owed: Owed) -> Result<(), Fault> {
    outbox.keep(owed.message).await?;
    {
        let guard = Arc::clone(guard);
        blocking(move || {
            let now_ms = guard.clock.now_ms();
            change(&guard, |memory| {
                memory.saved.state.told(owed.hold, owed.is_over, now_ms);
            })?;
            guard.index.flush()
        })
        .await
    }
}
