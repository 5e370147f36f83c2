//! Saying what is held back: in the status and in the log.

use super::deletion_guard::DeletionGuard;
use super::policy::{DeletionHold, HoldCause};
use super::report::Held;
use crate::config::StoreConfig;
use crate::mail::commands;
use crate::os;
use crate::os::shell_word;
use crate::status::AWAY;
use crate::types::WallMs;

/// The topics of the status' warnings about holds.
const TOPICS: [&str; 5] = ["deletions", "identity", AWAY, "mounts", "encrypted"];

fn topic(cause: &HoldCause) -> &'static str {
    match cause {
        HoldCause::Fall => TOPICS[0],
        HoldCause::OtherRoot => TOPICS[1],
        HoldCause::Away => TOPICS[2],
        HoldCause::Unmounted { .. } => TOPICS[3],
        HoldCause::Encrypted { .. } => TOPICS[4],
    }
}

/// Show the holds in the status, and write new ones to the log.
pub fn show(guard: &DeletionGuard) {
    let holds = guard.holds();
    for name in TOPICS {
        let lines: Vec<String> = holds
            .iter()
            .filter(|hold| topic(&hold.cause) == name)
            .map(|hold| line(guard, hold))
            .collect();
        let text = (!lines.is_empty()).then(|| lines.join("; "));
        let was_there = guard.status.snapshot().warnings.contains_key(name);
        if guard.status.warn(name, text.clone()) {
            let of = &guard.source.name;
            match text {
                Some(text) if !was_there => tracing::error!(source = %of, "{text}"),
                // It is known, and has other figures now.
                Some(text) => tracing::debug!(source = %of, "{text}"),
                None => tracing::info!(source = %of, "nothing is held back any more ({name})"),
            }
        }
    }
}

/// One line on what is held back.
pub fn line(guard: &DeletionGuard, hold: &DeletionHold) -> String {
    say(guard, hold, false, |held| held.line())
}

pub(super) fn say<T>(
    guard: &DeletionGuard,
    hold: &DeletionHold,
    reminder: bool,
    make: impl FnOnce(&Held<'_>) -> T,
) -> T {
    let settings = &guard.source;
    make(&Held {
        computer: &os::computer_name(),
        source: &settings.name,
        folder: &settings.path.display().to_string(),
        hold,
        now_ms: guard.clock.now_ms(),
        reminder,
        confirm: &format!(
            "{} --reconcile --confirm-deletions",
            commands::program(&guard.config)
        ),
        restore: &restore_command(guard, hold),
        who: &commands::who(&guard.config),
        time_zone: &guard.config.schedule.time_zone,
    })
}

/// The command that restores the source into a new folder as it was before the first file
/// was encrypted, marked or missed. Empty where that moment is not known (a hold of an
/// earlier version).
fn restore_command(guard: &DeletionGuard, hold: &DeletionHold) -> String {
    if hold.cause == HoldCause::Away && hold.of == 0 {
        // Nothing of the source was ever stored.
        return String::new();
    }
    let before_ms = match &hold.cause {
        HoldCause::Encrypted { before_ms, .. } => before_ms,
        _ if hold.moment_ms > WallMs::default() => &hold.moment_ms,
        _ => return String::new(),
    };
    let settings = &guard.source;
    let zone = &guard.config.schedule.time_zone;
    let Ok(at) = before_ms.timestamp() else {
        return String::new();
    };
    let local = at.to_zoned_datetime(zone.clone());
    let name = format!(
        "{}-restored-{}",
        settings.name,
        local.strftime("%Y-%m-%d-%H%M%S")
    );
    let to = commands::new_folder(&guard.config, &settings.path, &name);
    let from = match (&guard.config.file, &guard.config.store) {
        (None, StoreConfig::Vault { path }) => {
            format!("--vault {}", shell_word(&path.display().to_string()))
        }
        _ => format!("--source {}", shell_word(&settings.name)),
    };
    format!(
        "{} restore {from} --at {} --to {}",
        commands::program(&guard.config),
        local.strftime("%Y-%m-%dT%H:%M:%S%.f%:z"),
        shell_word(&to.display().to_string())
    )
}
