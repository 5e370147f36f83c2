//! Holding deletions back: what each source's brake knows, and asking it.
//!
//! Shared by scan, upload and tend. Invariants: nothing is marked deleted
//! without the brake's word; what it holds back stays in the index and is found
//! again by the next scan; its memory survives a kill. Functions block unless
//! they are async.

mod count;
mod encrypted;
mod grant;
mod policy;
mod ransomware;
mod report;
mod root;
pub(crate) mod root_sentinel;
mod tell;

pub use count::known_below;
pub(crate) use encrypted::{looks_ruined, plain_is_gone};
pub(crate) use grant::{Grant, May, is_counted, is_filling, may_mark, noticed, settled};
pub use policy::{MOUNTS_MAX, Scanned, Why, is_below, most_is_gone};
pub use root_sentinel::{Settled, Standing};
pub use tell::{line, show, tell};

use crate::files;
use parking_lot::{Mutex, MutexGuard};

use crate::files::Pulse;
use crate::index::{Index, SourceId};
use crate::os::clock::wall_ms;
use crate::source::Context;
use crate::types::{Class, Fault, RelKey, chain};
use count::count_surely;
use policy::{Brake, Hold, Now};
use ransomware::{Halves, Window};
use serde::{Deserialize, Serialize};

/// Under which name the index remembers a source's brake.
const STATE: &str = "brake";

/// What survives a restart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Saved {
    brake: Brake,
    /// Files that look encrypted, of the last minutes.
    #[serde(default)]
    window: Window,
}

#[derive(Debug, Default)]
struct Memory {
    saved: Saved,
    /// Deletions that may be marked before the files are counted again; none at
    /// a start, so nothing that a kill lost can add up.
    allowance: u64,
    /// Looks in a row at which the root was not there.
    away: u32,
    /// Known mounts that were not there at the last look.
    lost: Vec<RelKey>,
    /// Halves of renames that may come to look like encryption.
    halves: Halves,
    /// What the last root was judged to be that no marker proves.
    judged: Option<root::Judged>,
    /// Deletions that were let go and whose answer has not come yet.
    in_flight: u64,
    /// Somebody is counting the files.
    is_counting: bool,
    /// When the newest hold began, by the steady clock.
    held_at_ms: i64,
}

/// The brake of one source.
#[derive(Debug, Default)]
struct One {
    memory: Mutex<Memory>,
    /// Deletions that came one soon after the other. Its own lock: the queue asks
    /// for it, and must not wait for the index.
    noticed: Mutex<grant::Noticed>,
}

/// The brakes of all sources.
#[derive(Debug)]
pub struct Brakes {
    each: Vec<One>,
    /// One at a time, or an alert could go out twice.
    telling: tokio::sync::Mutex<()>,
}

impl Brakes {
    /// What the index remembers; a source that it does not know (of) begins
    /// with the number of files that the index has.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn load(
        index: &Index,
        sources: impl Iterator<Item = SourceId>,
        now_ms: i64,
    ) -> Result<Self, Fault> {
        let mut each = Vec::new();
        for id in sources {
            let known = index.source_state_get(id, STATE)?;
            let saved = known.and_then(|value| serde_json::from_value(value).ok());
            let mut saved: Saved = saved.unwrap_or_else(|| {
                let counts = index.counts(id);
                let mut saved = Saved::default();
                saved.brake.baseline = counts.files + counts.links;
                saved
            });
            saved.brake.go_on(now_ms);
            let memory = Mutex::new(Memory {
                saved,
                ..Memory::default()
            });
            each.push(One {
                memory,
                noticed: Mutex::default(),
            });
        }
        Ok(Self {
            each,
            telling: tokio::sync::Mutex::default(),
        })
    }

    fn memory(&self, source: usize) -> MutexGuard<'_, Memory> {
        let memory = &self.each[source].memory;
        memory.lock()
    }

    fn noticed(&self, source: usize) -> MutexGuard<'_, grant::Noticed> {
        let noticed = &self.each[source].noticed;
        noticed.lock()
    }

    /// As if another worker began, or ended, to count the source's files.
    pub fn counts(&self, source: usize, is_counting: bool) {
        self.memory(source).is_counting = is_counting;
    }

    /// What is held back in that source.
    pub fn holds(&self, source: usize) -> Vec<Hold> {
        self.memory(source).saved.brake.holds.clone()
    }
}

/// Change a source's memory and, if that made a difference, save and show it.
fn change<T>(
    ctx: &Context,
    source: usize,
    change: impl FnOnce(&mut Memory) -> T,
) -> Result<T, Fault> {
    let (result, changed) = {
        let mut memory = ctx.brakes.memory(source);
        let before = memory.saved.clone();
        let result = change(&mut memory);
        let changed = (memory.saved != before).then(|| memory.saved.clone());
        // Saved in the order of the changes.
        if let Some(saved) = &changed {
            let value = serde_json::to_value(saved).map_err(|error| {
                let name = ctx.sources[source].config.name.clone();
                Fault::new(Class::Local, "remember the brake of", name, chain(&error))
            })?;
            ctx.index
                .source_state_set(ctx.sources[source].id, STATE, &value)?;
            // What is held back, and that it was told, must outlive a power cut.
            // So must since when deletions are marked, before the first of them is.
            let (now, then) = (&saved.brake, &before.brake);
            let is_burst_new = now.burst_since() != then.burst_since();
            if now.holds.len() != then.holds.len() || is_burst_new {
                ctx.index.flush()?;
            }
            if now.holds.len() > then.holds.len() {
                memory.held_at_ms = ctx.steady_ms();
            }
        }
        (result, changed.is_some())
    };
    if changed {
        show(ctx, source);
    }
    Ok(result)
}

/// The time now, by both clocks.
fn now(ctx: &Context) -> Now {
    Now {
        here_ms: ctx.now_ms(),
        server_ms: ctx.store.server_now_ms(wall_ms()),
    }
}

/// A hold stands that covers the key, or begins now because of what the root
/// and the mounted folders look like.
fn is_held(ctx: &Context, source: usize, key: &RelKey) -> Result<bool, Fault> {
    if ctx.brakes.memory(source).saved.brake.held(key).is_some() {
        return Ok(true);
    }
    let is_itself = root::is_itself(ctx, source)?;
    let mount = lost_mount_of(ctx, source, key)?;
    if is_itself && mount.is_none() {
        return Ok(false);
    }
    // The scan tells which it is, and how many files it is about.
    ctx.scans.ask_whole(source, false);
    let now = now(ctx);
    change(ctx, source, |memory| {
        let brake = &mut memory.saved.brake;
        if !is_itself {
            brake.hold(Why::OtherRoot, brake.baseline, brake.baseline, now);
        }
        if let Some((folder, files)) = mount {
            brake.hold(Why::Unmounted { folder }, files, files, now);
        }
    })?;
    Ok(true)
}

/// The known mounted folder that the key is in, when nothing is mounted there
/// any more, and how many files the index knows below it.
fn lost_mount_of(
    ctx: &Context,
    source: usize,
    key: &RelKey,
) -> Result<Option<(RelKey, u64)>, Fault> {
    let mounts = ctx.brakes.memory(source).saved.brake.mounts.clone();
    for folder in mounts {
        let covers = is_below(key, &folder);
        if covers && !is_mounted(ctx, source, &folder)? {
            let files = known_below(&ctx.index, ctx.sources[source].id, &folder)?;
            return Ok(Some((folder, files)));
        }
    }
    Ok(None)
}

fn is_mounted(ctx: &Context, source: usize, folder: &RelKey) -> Result<bool, Fault> {
    files::is_mounted(&ctx.sources[source].config.path, &folder.path())
}

/// Known mounted folders where nothing is mounted now.
pub(crate) fn lost_mounts(ctx: &Context, source: usize) -> Result<Vec<RelKey>, Fault> {
    let mounts = ctx.brakes.memory(source).saved.brake.mounts.clone();
    let mut lost = Vec::new();
    for folder in mounts {
        if !is_mounted(ctx, source, &folder)? {
            lost.push(folder);
        }
    }
    Ok(lost)
}

/// Hold deletions back at once when the root is not the one that was backed up;
/// a scan of another folder's many files may take long.
pub(crate) fn look_at_root(ctx: &Context, source: usize) -> Result<(), Fault> {
    // What was missing may have been brought back.
    root::forget_other(ctx, source);
    if root::is_itself(ctx, source)? {
        return Ok(());
    }
    hold_root(ctx, source)
}

fn hold_root(ctx: &Context, source: usize) -> Result<(), Fault> {
    let now = now(ctx);
    change(ctx, source, |memory| {
        let brake = &mut memory.saved.brake;
        brake.hold(Why::OtherRoot, brake.baseline, brake.baseline, now);
    })
}

/// The same before a worker reads from the root: what another folder has under the
/// same names is stored, but the moment before that is known.
pub(crate) fn look_at_root_again(ctx: &Context, source: usize) -> Result<(), Fault> {
    let is_held = |hold: &Hold| hold.why == Why::OtherRoot;
    let is_known = root::is_as_judged(ctx, source) || ctx.brakes.holds(source).iter().any(is_held);
    if is_known || root::is_itself(ctx, source)? {
        return Ok(());
    }
    ctx.scans.ask_whole(source, false);
    hold_root(ctx, source)
}

/// Take a scan of the whole source in: begin, end or (`confirmed`) lift what is
/// held back. `other_root` is filled in here. Gives what is held back from now on.
pub(crate) fn scanned(
    ctx: &Context,
    source: usize,
    mut found: Scanned,
    confirmed: bool,
) -> Result<Vec<Hold>, Fault> {
    if confirmed {
        root::adopt(ctx, source)?;
    }
    found.other_root = !root::is_itself(ctx, source)?;
    let may_be_fall = ctx.brakes.memory(source).saved.brake.may_be_fall(&found);
    if may_be_fall && !confirmed {
        let counted = count_surely(ctx, source, &Pulse::default())?;
        found.on_disk = found.on_disk.max(counted.on_disk);
        // Old names of files that are there.
        found.gone = found.gone.saturating_sub(counted.renamed);
        found.known = found.known.saturating_sub(counted.renamed);
        found.absent = found.absent.map(|absent| absent.min(found.gone));
    }
    let now = now(ctx);
    change(ctx, source, |memory| {
        memory.away = 0;
        let saved = &mut memory.saved;
        if confirmed {
            saved.brake.confirm(&found, now.here_ms);
            saved.window.clear();
        } else {
            saved.brake.scanned(&found, now);
        }
        memory.allowance = saved.brake.allowance(found.on_disk);
        saved.brake.holds.clone()
    })
}

/// Looks in a row before a root that is not there is told: a folder may be
/// replaced by renaming, which takes a moment.
const AWAY_LOOKS: u32 = 2;

/// Looks between two scans whether what had fallen is back: nobody tells of it
/// when the files come back in another way than they went.
const FALL_LOOKS: u64 = 60;

/// See, now and then (`look` counts), whether a disk has come or gone: that makes
/// no event, and ends in a scan.
pub(crate) fn revisit(ctx: &Context, source: usize, look: u64) -> Result<(), Fault> {
    let now = now(ctx);
    if ctx.brakes.memory(source).in_flight == 0 {
        change(ctx, source, |memory| {
            memory.saved.brake.forget_bursts(now.here_ms)
        })?;
    }
    if files::root_state(&ctx.sources[source].config.path).is_err() {
        return change(ctx, source, |memory| {
            memory.away = memory.away.saturating_add(1);
            let brake = &mut memory.saved.brake;
            if memory.away >= AWAY_LOOKS {
                brake.hold(Why::Away, brake.baseline, brake.baseline, now);
            }
        });
    }
    let is_itself = root::is_itself(ctx, source)?;
    if !is_itself {
        hold_root(ctx, source)?;
    }
    let lost = lost_mounts(ctx, source)?;
    let (holds, mut ask) = {
        let mut memory = ctx.brakes.memory(source);
        memory.away = 0;
        let before = std::mem::replace(&mut memory.lost, lost.clone());
        let brake = &memory.saved.brake;
        // The scan of the first look may have failed.
        let again = look.is_multiple_of(FALL_LOOKS) && brake.misses_no_more(&lost);
        (
            brake.holds.clone(),
            brake.wants_scan(&before, &lost) || again,
        )
    };
    let is_held = |why: &Why| holds.iter().any(|hold| hold.why == *why);
    ask |= is_held(&Why::Away);
    ask |= is_itself && is_held(&Why::OtherRoot);
    ask |= is_held(&Why::Fall) && look.is_multiple_of(FALL_LOOKS);
    if ask {
        ctx.scans.ask_whole(source, false);
    }
    Ok(())
}
