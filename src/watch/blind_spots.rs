//! What a watch does not cover well enough, which is therefore scanned on a period.

use super::trouble::{Unwatched, period_text};
use crate::os;
use crate::os::{Mount, Mounts};
use crate::types::RelPath;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// Network drives named in a note.
const SHARED_NAMED_MAX: usize = 5;

/// What must be scanned on the period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BlindSpots {
    None,
    Parts(BTreeSet<RelPath>),
    Whole,
}

impl BlindSpots {
    /// `is_relied_on` says that there is a watch, which can be expected to tell of changes.
    pub fn of(root: &Path, is_relied_on: bool, unwatched: Unwatched, mounts: &Mounts) -> Self {
        let is_whole =
            !is_relied_on || unwatched.whole || mounts.own.as_ref().is_some_and(is_shared);
        if is_whole {
            return BlindSpots::Whole;
        }
        let mut parts = unwatched.parts;
        let real = root.canonicalize();
        let real = real.as_deref().unwrap_or(root);
        for mount in mounts.below.iter().filter(|mount| is_shared(mount)) {
            parts.extend(below(real, &mount.point));
        }
        match parts.is_empty() {
            true => BlindSpots::None,
            false => BlindSpots::Parts(parts),
        }
    }
}

/// What other computers do on this mount makes no event here.
fn is_shared(mount: &Mount) -> bool {
    os::changes_unseen(&mount.kind)
}

/// What to tell of the network drives among the mounts.
pub(crate) fn shared_note(mounts: &Mounts, period: Duration) -> Option<String> {
    let all = mounts.own.iter().chain(&mounts.below);
    let shared: Vec<String> = all
        .filter(|mount| is_shared(mount))
        .map(|mount| format!("{} ({})", mount.point.display(), mount.kind))
        .take(SHARED_NAMED_MAX)
        .collect();
    (!shared.is_empty()).then(|| {
        format!(
            "changes that other computers make on a network drive are not reported by the system: {}. Keepwatch scans it every {}",
            shared.join(", "),
            period_text(period)
        )
    })
}

fn below(root: &Path, path: &Path) -> Option<RelPath> {
    os::os_to_rel(path.strip_prefix(root).ok()?).ok()
}
