//! Changing what the guard remembers.

use super::deletion_guard::DeletionGuard;
use super::memory::{Memory, STATE};
use super::show::show;
use crate::types::{Class, Fault, chain};

/// Change a source's memory, and save and show it if that made a difference.
pub(super) fn change<T>(
    guard: &DeletionGuard,
    change: impl FnOnce(&mut Memory) -> T,
) -> Result<T, Fault> {
    let (result, changed) = {
        let mut memory = guard.memory();
        let before = memory.saved.clone();
        let result = change(&mut memory);
        let changed = (memory.saved != before).then(|| memory.saved.clone());
        // Saved in the order of the changes.
        if let Some(saved) = &changed {
            let value = serde_json::to_value(saved).map_err(|error| {
                let name = guard.source.name.clone();
                Fault::new(Class::Local, "remember the brake of", name, chain(&error))
            })?;
            guard.index.source_state_set(guard.id, STATE, &value)?;
            // A hold must outlive a power cut. So must the moment before a burst, before
            // the first of its deletions is marked.
            let (now, then) = (&saved.state, &before.state);
            let is_burst_new = now.bursts.newest_before_ms() != then.bursts.newest_before_ms();
            if now.holds.len() != then.holds.len() || is_burst_new {
                guard.index.flush()?;
            }
            if now.holds.len() > then.holds.len() {
                memory.held_at_ms = guard.clock.steady_ms();
            }
        }
        (result, changed.is_some())
    };
    if changed {
        show(guard);
    }
    Ok(result)
}
