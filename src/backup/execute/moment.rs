//! Reading a file and its companions at one moment.

use crate::backup::item::Item;
use crate::backup::read::read_now;
use crate::backup::snapshot::Companion;
use crate::files;
use crate::files::Pulse;
use crate::os;
use crate::os::clock;
use crate::transfer::{Content, ReadMode};
use crate::types::{Bond, BootMs, Class, Fault, Fingerprint, Record, RelPath, WallMs, companion};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How often files that never rest are read; then what the last reading gave is stored.
const TRIES_MAX: u32 = 5;

/// Two writes closer than this may leave one time behind (see `transfer::read`): files
/// written so shortly ago are looked at again after it.
const GRAIN: Duration = Duration::from_millis(50);

/// What is to be read at one moment.
pub(crate) struct Group {
    pub(crate) main: RelPath,
    /// The file's record, while it is as that says.
    pub(crate) main_as_stored: Option<Record>,
    pub(crate) present: Vec<Companion>,
    pub(crate) is_deadline: bool,
}

/// What was read at one moment.
pub(crate) struct GroupContent {
    /// `None` when the file is as it was stored.
    pub(crate) main: Option<Content>,
    /// In the order of the group.
    pub(crate) companions: Vec<Content>,
    /// As [`Content`] has them.
    pub(crate) seen_at: BootMs,
    pub(crate) seen_ms: Option<WallMs>,
}

/// Read the group; no content when it changed meanwhile.
pub(crate) async fn read_group(
    item: &Item,
    group: Group,
) -> Result<(Group, Option<GroupContent>), Fault> {
    let source = Arc::clone(&item.source);
    let pulse = Pulse::default();
    let beat = pulse.clone();
    source
        .watchdog
        .clone()
        .run(&pulse, move || {
            let root = &source.config.path;
            let read = read_with_patience(root, &group, &beat)?;
            Ok((group, read))
        })
        .await
}

fn read_with_patience(
    root: &Path,
    group: &Group,
    pulse: &Pulse,
) -> Result<Option<GroupContent>, Fault> {
    let tries = if group.is_deadline { TRIES_MAX } else { 1 };
    for attempt in 1..=tries {
        let is_last = group.is_deadline && attempt == tries;
        match read_once(root, group, is_last, pulse) {
            Ok(Some(read)) => return Ok(Some(read)),
            // One of them went away: that is a change of the group.
            Err(fault) if !matches!(fault.class, Class::Vanished | Class::Changed) => {
                return Err(fault);
            }
            Ok(None) | Err(_) => std::thread::sleep(GRAIN),
        }
    }
    Ok(None)
}

/// Read all of them; none may change between the first look and the last, unless this
/// `is_last`: then what is there is taken.
fn read_once(
    root: &Path,
    group: &Group,
    is_last: bool,
    pulse: &Pulse,
) -> Result<Option<GroupContent>, Fault> {
    let Some(before) = stat_after_grain(root, group, is_last)? else {
        return Ok(None);
    };
    let patience = if is_last {
        ReadMode::TakeWhatIsThere
    } else {
        ReadMode::Strict
    };
    let mut companions = Vec::with_capacity(group.present.len());
    for companion in &group.present {
        let patience = match companion.bond {
            Bond::Scratch => ReadMode::TakeWhatIsThere,
            Bond::State | Bond::Lock => patience,
        };
        let Some((content, _)) = read_now(root, &companion.path, patience, pulse)? else {
            return Ok(None);
        };
        companions.push(content);
    }
    let as_stored = group.main_as_stored.as_ref();
    let as_stored = as_stored.map(|record| record.fingerprint);
    let main = if as_stored.is_some() && before.first().copied().flatten() == as_stored {
        None
    } else {
        let Some((content, _)) = read_now(root, &group.main, patience, pulse)? else {
            return Ok(None);
        };
        Some(content)
    };
    let mut read = GroupContent {
        main,
        companions,
        seen_at: os::boot_now(),
        seen_ms: None,
    };
    if stat_all(root, group)? != before {
        if !is_last {
            return Ok(None);
        }
        for content in read.companions.iter_mut().chain(&mut read.main) {
            content.is_torn = true;
            content.racy = true;
        }
    }
    Ok(Some(read))
}

/// What stands there of the group, once its last write is older than the clock's grain;
/// `None` when something changes meanwhile, unless this `is_last`.
fn stat_after_grain(
    root: &Path,
    group: &Group,
    is_last: bool,
) -> Result<Option<Vec<Option<Fingerprint>>>, Fault> {
    let first = stat_all(root, group)?;
    let began_ms = clock::wall_ms();
    let is_fresh = |found: &Fingerprint| is_fresh(found, began_ms);
    if !first.iter().flatten().any(is_fresh) {
        return Ok(Some(first));
    }
    std::thread::sleep(GRAIN);
    let now = stat_all(root, group)?;
    Ok((is_last || now == first).then_some(now))
}

/// What stands there of the group, the file first. A scratch file says nothing.
fn stat_all(root: &Path, group: &Group) -> Result<Vec<Option<Fingerprint>>, Fault> {
    let all = companion::companions_of(&group.main);
    let state = all.iter().filter(|(_, bond)| *bond == Bond::State);
    let paths = std::iter::once(&group.main).chain(state.map(|(path, _)| path));
    paths.map(|path| files::stat(root, path)).collect()
}

fn is_fresh(found: &Fingerprint, now_ms: WallMs) -> bool {
    u128::from((now_ms - found.mtime_ms()).unsigned_abs()) < GRAIN.as_millis()
}
