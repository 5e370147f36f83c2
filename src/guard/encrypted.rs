//! Raising the alarm when many files look encrypted, or are emptied.

use super::change::change;
use super::deletion_guard::DeletionGuard;
use super::memory::Memory;
use super::policy::HoldCause;
use super::ransomware::{Incident, ending_of};
use crate::types::{Fault, Look, MonotonicMs, Record, RelPath, WallMs};

/// Content that looks encrypted, or an empty file, was stored at a path. `was` is the
/// record before it, `None` for a new path; `since_ms` is the first sign of the change, by
/// the monotonic clock.
///
/// # Errors
/// The index fails.
pub(crate) fn looks_ruined(
    guard: &DeletionGuard,
    path: &RelPath,
    was: Option<&Record>,
    look: Look,
    since_ms: MonotonicMs,
) -> Result<(), Fault> {
    let at_ms = guard.clock.server_moment_ms(since_ms);
    match (was, look) {
        (Some(was), _) if !was.was_plain(path.name()) => Ok(()),
        (Some(_), Look::Blank) => note(guard, |memory, now_ms, known| {
            let (window, halves) = (&mut memory.saved.window, &mut memory.halves);
            window.emptied(halves, path, at_ms, now_ms, known)
        }),
        (Some(_), _) => note(guard, |memory, now_ms, known| {
            memory.saved.window.rewritten(path, at_ms, now_ms, known)
        }),
        (None, look) => note(guard, |memory, now_ms, known| {
            let (window, halves) = (&mut memory.saved.window, &mut memory.halves);
            window.came(halves, path, look, at_ms, now_ms, known)
        }),
    }
}

/// A path that did not look encrypted is gone.
///
/// # Errors
/// The index fails.
pub(crate) fn plain_is_gone(
    guard: &DeletionGuard,
    path: &RelPath,
    since_ms: MonotonicMs,
) -> Result<(), Fault> {
    let at_ms = guard.clock.server_moment_ms(since_ms);
    note(guard, |memory, now_ms, known| {
        let (window, halves) = (&mut memory.saved.window, &mut memory.halves);
        window.gone(halves, path, at_ms, now_ms, known)
    })
}

fn note(
    guard: &DeletionGuard,
    look: impl FnOnce(&mut Memory, WallMs, u64) -> Option<Incident>,
) -> Result<(), Fault> {
    let counts = guard.index.counts(guard.id);
    let known = counts.files + counts.links;
    let (now_ms, server_ms) = (guard.clock.now_ms(), guard.clock.server_now_ms());
    let Some(incident) = change(guard, |memory| look(memory, server_ms, known))? else {
        return Ok(());
    };
    // The times in the index are this computer's.
    let before_here_ms = incident.before_ms + (now_ms - server_ms);
    // The search for the ending reads the whole index: once per incident is enough.
    if let Some(ending) = &incident.ending
        && !is_told(guard)
        && is_in_use(guard, ending, before_here_ms)?
    {
        return change(guard, |memory| {
            memory.saved.window.forgive(&mut memory.halves, ending);
        });
    }
    change(guard, |memory| {
        let state = &mut memory.saved.state;
        let standing = state
            .holds
            .iter_mut()
            .find_map(|hold| match &mut hold.cause {
                HoldCause::Encrypted {
                    before_ms, ending, ..
                } => Some((before_ms, ending, &mut hold.files)),
                _ => None,
            });
        if let Some((before_ms, ending, files)) = standing {
            *files += 1;
            *before_ms = incident.before_ms.min(*before_ms);
            *ending = ending.take().or(incident.ending);
            return;
        }
        let Incident {
            before_ms,
            files,
            ending,
            is_emptied,
        } = incident;
        let now = guard.now();
        let cause = HoldCause::Encrypted {
            before_ms,
            ending,
            is_emptied,
        };
        state.hold(cause, files, known, now);
    })
}

/// Whether deletions are held back for an attack already.
fn is_told(guard: &DeletionGuard) -> bool {
    let memory = guard.memory();
    let mut holds = memory.saved.state.holds.iter();
    holds.any(|hold| matches!(hold.cause, HoldCause::Encrypted { .. }))
}

/// How much older than the incident a file must be to show that its ending was
/// in use: an attacker may have tried it out on a few files shortly before.
const IN_USE_MS: i64 = 24 * 60 * 60 * 1_000;

/// Whether a file shows that its ending was in use long before. A record from a listing
/// alone does not say when the file came.
fn shows_use(record: &Record, before_ms: WallMs) -> bool {
    let is_verified = record.content.is_some() && record.stored_at_ms != WallMs::default();
    is_verified && record.stored_at_ms < before_ms - IN_USE_MS
}

/// Whether the source had files of that ending before: then somebody keeps encrypted
/// files here.
fn is_in_use(guard: &DeletionGuard, ending: &str, before_ms: WallMs) -> Result<bool, Fault> {
    for entry in guard.index.range(guard.id, "", None) {
        let (key, record) = entry?;
        if shows_use(&record, before_ms) && ending_of(&key.path()).as_deref() == Some(ending) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ETag;
    use crate::types::{ContentHash, Fingerprint, Kind};

    #[test]
    fn only_a_verified_file_of_days_ago_shows_that_an_ending_is_in_use() {
        const NOW_MS: i64 = 1_795_000_000_000;
        let hash = Some(ContentHash::of(b"x"));
        for (content, stored_at_ms, want) in [
            (hash, NOW_MS - IN_USE_MS - 1, true),
            // A trial run of the attacker.
            (hash, NOW_MS - IN_USE_MS, false),
            (hash, NOW_MS, false),
            // Known from a listing alone.
            (hash, 0, false),
            (None, 0, false),
            (None, NOW_MS - IN_USE_MS - 1, false),
        ] {
            let record = Record {
                fingerprint: Fingerprint {
                    kind: Kind::File,
                    size_bytes: 1,
                    mtime_ns: 0,
                    ctime_ns: 0,
                    inode: 0,
                    mode: 0,
                    owner: None,
                },
                content,
                version_id: None,
                etag: ETag::default(),
                stored_bytes: 1,
                stored_at_ms: WallMs(stored_at_ms),
                racy: false,
                look: Look::Noise,
                attributes: None,
            };
            let got = shows_use(&record, WallMs(NOW_MS));
            assert_eq!(got, want, "{content:?} {stored_at_ms}");
        }
    }
}
