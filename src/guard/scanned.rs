//! What the guard makes of a whole scan, and of its own looks at the disk.

use super::change::change;
use super::count::count_surely;
use super::deletion_guard::DeletionGuard;
use super::holding::{hold_root, lost_mounts};
use super::policy::{DeletionHold, HoldCause, Scanned};
use super::root;
use crate::files;
use crate::files::Pulse;
use crate::types::Fault;
use std::sync::atomic::Ordering;

/// Take in a scan of the whole source: begin holds, end them or (`confirmed`) lift them.
/// Fills in `other_root`. Returns what is held back from now on.
pub(crate) fn scanned(
    guard: &DeletionGuard,
    mut found: Scanned,
    confirmed: bool,
) -> Result<Vec<DeletionHold>, Fault> {
    if confirmed {
        root::adopt(guard)?;
    }
    found.other_root = !root::is_itself(guard)?;
    let may_be_fall = guard.memory().saved.state.may_be_fall(&found);
    if may_be_fall && !confirmed {
        let counted = count_surely(guard, &Pulse::default())?;
        found.on_disk = found.on_disk.max(counted.on_disk);
        // These are old names of files that are there.
        found.gone = found.gone.saturating_sub(counted.renamed);
        found.known = found.known.saturating_sub(counted.renamed);
        found.absent = found.absent.map(|absent| absent.min(found.gone));
    }
    let now = guard.now();
    change(guard, |memory| {
        memory.away = 0;
        let saved = &mut memory.saved;
        if confirmed {
            saved.state.confirm(&found, now.here_ms);
            saved.window.clear();
        } else {
            saved.state.take_in(&found, now);
        }
        memory.allowance = saved.state.allowance(found.on_disk);
        saved.state.holds.clone()
    })
}

/// A root counts as away after so many looks in a row: replacing a folder by renaming
/// takes a moment.
const AWAY_LOOKS: u32 = 2;

/// While a fall is held back, every so many looks ask for a scan: files that come back in
/// another way than they went make no event.
const FALL_LOOKS: u64 = 60;

/// After a scan the disk rests so many times as long as it took before files that come
/// back ask for the next.
const BACK_REST: i64 = 20;

/// Whether something has come since the last scan that was asked for here, and the disk
/// has rested. What comes after this look asks at another one.
fn is_coming_back(guard: &DeletionGuard) -> bool {
    let last = guard.status.snapshot().last_scan;
    let is_resting = last.is_some_and(|scan| {
        let rested_ms = guard.clock.now_ms() - scan.started_ms;
        (0..scan.took_ms.saturating_mul(BACK_REST)).contains(&rested_ms)
    });
    !is_resting && guard.memory.came.swap(false, Ordering::Relaxed)
}

/// Look whether a disk has come or gone, which makes no event, and ask for a scan then.
/// `look` counts these looks.
pub(crate) fn revisit(guard: &DeletionGuard, look: u64) -> Result<(), Fault> {
    let now = guard.now();
    if guard.memory().in_flight == 0 {
        change(guard, |memory| {
            memory.saved.state.forget_bursts(now.here_ms)
        })?;
    }
    if files::root_state(&guard.source.path).is_err() {
        return change(guard, |memory| {
            memory.away = memory.away.saturating_add(1);
            if memory.away >= AWAY_LOOKS {
                memory.saved.state.hold_all(HoldCause::Away, now);
            }
        });
    }
    let is_itself = root::is_itself(guard)?;
    if !is_itself {
        hold_root(guard)?;
    }
    let lost = lost_mounts(guard)?;
    let (holds, mut ask) = {
        let mut memory = guard.memory();
        memory.away = 0;
        let before = std::mem::replace(&mut memory.lost, lost.clone());
        let state = &memory.saved.state;
        // The scan of the first look may have failed.
        let again = look.is_multiple_of(FALL_LOOKS) && state.misses_no_more(&lost);
        (
            state.holds.clone(),
            state.wants_scan(&before, &lost) || again,
        )
    };
    let is_held = |cause: &HoldCause| holds.iter().any(|hold| hold.cause == *cause);
    ask |= is_held(&HoldCause::Away);
    ask |= is_itself && is_held(&HoldCause::OtherRoot);
    ask |= is_held(&HoldCause::Fall) && (look.is_multiple_of(FALL_LOOKS) || is_coming_back(guard));
    if ask {
        guard.work.scans.ask_whole(false);
    }
    Ok(())
}
