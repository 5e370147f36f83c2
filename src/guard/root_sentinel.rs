//! Whether a source's root is the folder that was backed up, by its sentinel.
//!
//! The index remembers per source the identity in the sentinel, the root's device and
//! inode, and its creation time. Invariant: a sentinel is written only where the root is
//! known to be the right one (first contact, all three are the same, or the owner said
//! so). A folder that may be another one is left as it is, so that the question stays open
//! until somebody answers it. Every function blocks.

use super::deletion_guard::DeletionGuard;
use super::standing::Standing;
use crate::files;
use crate::files::{Identity, Marker, RootId};
use crate::types::Fault;
use serde_json::{Value, json};

/// Under which name the index remembers a source's identity.
const IDENTITY: &str = "identity";

/// Under which name the index remembers the root's device and inode.
const ROOT: &str = "root";

/// Under which name the index remembers when the root was created.
const MADE: &str = "root_made_ns";

/// What `settle` has left in the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// A sentinel is there, and the root is itself.
    Marked,
    /// No sentinel is wanted: `sentinel = false`.
    Off,
    /// There is none, and none may be written: [`Standing`] says why.
    Unsure(Standing),
    /// There is none because it cannot be written (read-only, no permission).
    Unwritable(Fault),
}

/// Compare the root with what is known. Changes nothing.
///
/// # Errors
/// The root or its sentinel cannot be read, or the index fails.
pub fn standing(guard: &DeletionGuard) -> Result<Standing, Fault> {
    let config = &guard.source;
    if !config.sentinel {
        return Ok(Standing::Unknown);
    }
    let root = files::root_state(&config.path)?;
    let marker = files::read_marker(&config.path)?;
    judge(known(guard)?.as_ref(), &marker, || {
        // Without a creation time, another disk may look the same.
        let made_ns = files::root_made_ns(&config.path);
        let is_it = known_root(guard)?.is_some_and(|known| root.is_noted_as(known, made_ns));
        Ok(is_it && made_ns.is_some() && known_made_ns(guard)? == made_ns)
    })
}

fn judge(
    known: Option<&Identity>,
    marker: &Marker,
    same_root: impl FnOnce() -> Result<bool, Fault>,
) -> Result<Standing, Fault> {
    Ok(match (known, marker) {
        (_, Marker::Foreign) => Standing::Foreign,
        (None, _) => Standing::Unknown,
        (Some(known), Marker::Present(found)) if found == known => Standing::Itself,
        (Some(_), Marker::Present(_)) => Standing::Different {
            same_root: same_root()?,
        },
        (Some(_), Marker::Absent) => Standing::Absent {
            same_root: same_root()?,
        },
    })
}

/// Give the root its sentinel, wherever it is beyond doubt: a first contact takes over
/// the sentinel that is there or writes one; one that was deleted from the same root is
/// written again.
///
/// # Errors
/// As [`standing`].
pub fn settle(guard: &DeletionGuard) -> Result<Settled, Fault> {
    if !guard.source.sentinel {
        return Ok(Settled::Off);
    }
    match standing(guard)? {
        Standing::Itself => {
            remember_root(guard)?;
            Ok(Settled::Marked)
        }
        Standing::Unknown | Standing::Absent { same_root: true } => adopt(guard),
        unsure => Ok(Settled::Unsure(unsure)),
    }
}

/// Take the root as it is for the right one: the identity in its sentinel becomes the
/// source's; without a sentinel one is written. Only on first contact, or when the owner
/// has said so.
///
/// # Errors
/// As [`standing`].
pub fn adopt(guard: &DeletionGuard) -> Result<Settled, Fault> {
    let config = &guard.source;
    if !config.sentinel {
        return Ok(Settled::Off);
    }
    let found = match files::read_marker(&config.path)? {
        Marker::Absent => {
            let identity = known(guard)?.unwrap_or_else(Identity::random);
            match files::create_marker(&config.path, &identity) {
                Ok(found) => found,
                Err(fault) => {
                    // Or what the owner confirms would be in doubt again at the next look.
                    remember_root(guard)?;
                    return Ok(Settled::Unwritable(fault));
                }
            }
        }
        found => found,
    };
    match found {
        Marker::Present(identity) => {
            if known(guard)?.as_ref() != Some(&identity) {
                let id = guard.id;
                guard
                    .index
                    .source_state_set(id, IDENTITY, &Value::from(identity.as_str()))?;
            }
            remember_root(guard)?;
            Ok(Settled::Marked)
        }
        Marker::Foreign | Marker::Absent => Ok(Settled::Unsure(Standing::Foreign)),
    }
}

/// The source's identity, as the index has it.
///
/// # Errors
/// The index fails.
pub fn known(guard: &DeletionGuard) -> Result<Option<Identity>, Fault> {
    let id = guard.id;
    let value = guard.index.source_state_get(id, IDENTITY)?;
    Ok(value.and_then(|value| Identity::parse(value.as_str()?)))
}

/// The root's device and inode when it last was itself, as the index has it.
///
/// # Errors
/// The index fails.
pub fn known_root(guard: &DeletionGuard) -> Result<Option<RootId>, Fault> {
    let id = guard.id;
    let value = guard.index.source_state_get(id, ROOT)?;
    Ok(value.and_then(|value| serde_json::from_value(value).ok()))
}

fn known_made_ns(guard: &DeletionGuard) -> Result<Option<i64>, Fault> {
    let id = guard.id;
    let value = guard.index.source_state_get(id, MADE)?;
    Ok(value.and_then(|value| value.as_i64()))
}

fn remember_root(guard: &DeletionGuard) -> Result<(), Fault> {
    let path = &guard.source.path;
    let (root, made_ns) = (files::root_state(path)?, files::root_made_ns(path));
    let id = guard.id;
    if known_root(guard)? != Some(root) {
        guard.index.source_state_set(id, ROOT, &json!(root))?;
    }
    if known_made_ns(guard)? != made_ns {
        guard.index.source_state_set(id, MADE, &json!(made_ns))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_judged_by_its_sentinel_first() {
        let (ours, other) = (Identity::random(), Identity::random());
        let present = |identity: &Identity| Marker::Present(identity.clone());
        let yes = || Ok(true);
        for (known, marker, want) in [
            (None, Marker::Absent, Standing::Unknown),
            (None, present(&ours), Standing::Unknown),
            (None, Marker::Foreign, Standing::Foreign),
            (Some(&ours), present(&ours), Standing::Itself),
            (
                Some(&ours),
                present(&other),
                Standing::Different { same_root: true },
            ),
            (
                Some(&ours),
                Marker::Absent,
                Standing::Absent { same_root: true },
            ),
            (Some(&ours), Marker::Foreign, Standing::Foreign),
        ] {
            assert_eq!(judge(known, &marker, yes), Ok(want), "{known:?} {marker:?}");
        }
    }
}
