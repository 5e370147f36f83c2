//! Holding deletions back when the root or a mounted folder is not what it was.

use super::change::change;
use super::count::known_below;
use super::deletion_guard::DeletionGuard;
use super::policy::{HoldCause, is_below};
use super::root;
use crate::files;
use crate::types::{Fault, RelKey};

/// Whether a hold covers the key. One begins now if the root, or the mounted folder that
/// the key is in, is not what it was.
pub(super) fn is_held(guard: &DeletionGuard, key: &RelKey) -> Result<bool, Fault> {
    if guard.memory().saved.state.held(key).is_some() {
        return Ok(true);
    }
    let is_itself = root::is_itself(guard)?;
    let mount = lost_mount_of(guard, key)?;
    if is_itself && mount.is_none() {
        return Ok(false);
    }
    // The scan says how many files it is about.
    guard.work.scans.ask_whole(false);
    let now = guard.now();
    change(guard, |memory| {
        let state = &mut memory.saved.state;
        if !is_itself {
            state.hold_all(HoldCause::OtherRoot, now);
        }
        if let Some((folder, files)) = mount {
            state.hold(HoldCause::Unmounted { folder }, files, files, now);
        }
    })?;
    Ok(true)
}

/// The known mounted folder that the key is in, if nothing is mounted there any more, and
/// how many files the index knows below it.
fn lost_mount_of(guard: &DeletionGuard, key: &RelKey) -> Result<Option<(RelKey, u64)>, Fault> {
    let mounts = guard.memory().saved.state.baseline.mounts.clone();
    for folder in mounts {
        let covers = is_below(key, &folder);
        if covers && !is_mounted(guard, &folder)? {
            let files = known_below(&guard.index, guard.id, &folder)?;
            return Ok(Some((folder, files)));
        }
    }
    Ok(None)
}

fn is_mounted(guard: &DeletionGuard, folder: &RelKey) -> Result<bool, Fault> {
    files::is_mounted(&guard.source.path, &folder.path())
}

/// Known mounted folders where nothing is mounted now.
pub(crate) fn lost_mounts(guard: &DeletionGuard) -> Result<Vec<RelKey>, Fault> {
    let mounts = guard.memory().saved.state.baseline.mounts.clone();
    let mut lost = Vec::new();
    for folder in mounts {
        if !is_mounted(guard, &folder)? {
            lost.push(folder);
        }
    }
    Ok(lost)
}

/// Hold deletions back at once when the root is not the one that was backed up: a scan of
/// another folder's many files may take long.
pub(crate) fn look_at_root(guard: &DeletionGuard) -> Result<(), Fault> {
    // The files to look for may have been brought back.
    root::forget_other(guard);
    if root::is_itself(guard)? {
        return Ok(());
    }
    hold_root(guard)
}

pub(super) fn hold_root(guard: &DeletionGuard) -> Result<(), Fault> {
    let now = guard.now();
    change(guard, |memory| {
        memory.saved.state.hold_all(HoldCause::OtherRoot, now);
    })
}

/// The same before a worker reads from the root. What another folder has under the same
/// names is stored all the same, but the moment before that is known.
pub(crate) fn look_at_root_again(guard: &DeletionGuard) -> Result<(), Fault> {
    let is_held = || guard.memory().saved.state.holds_for(&HoldCause::OtherRoot);
    let is_known = root::is_as_judged(guard) || is_held();
    if is_known || root::is_itself(guard)? {
        return Ok(());
    }
    guard.work.scans.ask_whole(false);
    hold_root(guard)
}
