//! A file and what belongs to it (`types::companion`): read at one moment, stored as
//! one state.
//!
//! Invariants: each companion says with which content of the file it was read; what is
//! there goes before the file, what is gone is marked after it, so that whatever the
//! bucket has of the file, it has what belongs to it as well. All say one moment. A
//! companion is in no other hand meanwhile: its own turn is its file's.

use super::file::Upload;
use super::look::{Belongs, Companion};
use super::outcome::Outcome;
use super::stored::is_as_stored;
use super::take::read_now;
use super::{file, gone, late, look, since};
use crate::files;
use crate::files::Pulse;
use crate::os;
use crate::os::blocking::blocking;
use crate::os::clock;
use crate::backup::context::Context;
use crate::work::Hint;
use crate::transfer::{Content, Patience, SMALL_BYTES_MAX};
use crate::types::{
    Bond, Class, ContentHash, Fault, Fingerprint, Kind, Record, RelKey, RelPath, companion,
};
use crate::backup::context::Item;
use std::sync::Arc;
use std::time::Duration;

/// How often files that do not rest are read before what was read last is stored.
const TRIES_MAX: u32 = 5;

/// Two writes closer than this may leave one time behind (see `transfer::read`): what
/// was written so shortly ago is looked at again after it.
const GRAIN: Duration = Duration::from_millis(50);

/// Give the path's turn to the file that it belongs to, if there is one. `None` when
/// its turn is its own.
pub(crate) async fn pass_on(ctx: &Arc<Context>, item: &Item) -> Result<Option<Outcome>, Fault> {
    let Some(Belongs { main, folder }) = belongs(ctx, item).await? else {
        return Ok(None);
    };
    // The other worker knows nothing of a folder that was here.
    let done = gone::mark_gone(ctx, item, &RelKey::of_folder(&item.path), folder).await?;
    item.source.work.edit(main, item.since_ms, item.deadline);
    Ok(Some(done))
}

async fn belongs(ctx: &Arc<Context>, item: &Item) -> Result<Option<Belongs>, Fault> {
    if companion::main_of(&item.path).is_none() {
        return Ok(None);
    }
    let (shared, path, source) = (Arc::clone(ctx), item.path.clone(), Arc::clone(&item.source));
    let pulse = Pulse::default();
    let beat = pulse.clone();
    let work = move || look::main_of(&shared, &source, &path, &beat);
    item.source.watchdog.run(&pulse, work).await
}

/// The same path's turn, for what belongs to it.
fn item_of(item: &Item, path: &RelPath) -> Item {
    Item {
        path: path.clone(),
        // It goes with its file, whatever was renamed.
        was_deferred: true,
        ..item.clone()
    }
}

/// The path is no file any more, or is about to be marked as gone: what is there
/// beside it is a file of its own from now on. Its object says that it belongs to the
/// file, and a restore would leave it out: its own turn asks the bucket, and has the
/// object say otherwise.
pub(crate) async fn leave(
    ctx: &Arc<Context>,
    item: &Item,
    companions: &[Companion],
) -> Result<(), Fault> {
    for companion in companions {
        if companion.disk.is_some() && companion.record.is_some() && companion.bond != Bond::Lock {
            let key = RelKey::of_file(&companion.path);
            late::doubt(ctx, &item.source, &key, Fingerprint::UNSEEN).await?;
        }
        item.source.work.edit(companion.path.clone(), item.since_ms, false);
    }
    Ok(())
}

/// The file is gone and marked: so are those that went with it.
pub(crate) async fn mark_gone(
    ctx: &Arc<Context>,
    item: &Item,
    companions: Vec<Companion>,
) -> Result<Outcome, Fault> {
    let mut all = Outcome::Agreed;
    for companion in companions.into_iter().filter(|one| one.disk.is_none()) {
        let item = item_of(item, &companion.path);
        let key = RelKey::of_file(&companion.path);
        let done = match gone::mark_gone(ctx, &item, &key, companion.record).await? {
            // It is not this path's turn that could be set aside.
            Outcome::Aside => Outcome::Changed,
            done => done,
        };
        if done == Outcome::Changed {
            // Its file has no record any more: it has a turn of its own now.
            item.source.work.edit(item.path, item.since_ms, false);
        }
        all = all.max(done);
    }
    Ok(all)
}

/// What is to be read at one moment.
struct Group {
    main: RelPath,
    /// The file's record, while it is as that says.
    main_as_stored: Option<Record>,
    present: Vec<Companion>,
    is_deadline: bool,
}

/// What was read at one moment.
struct TakenTogether {
    /// `None` when the file is as it was stored.
    main: Option<Content>,
    /// In the order of the group.
    companions: Vec<Content>,
    /// As [`Content`] has them.
    seen_steady_ms: i64,
    seen_ms: Option<i64>,
}

/// Store a file that something belongs to, and that.
pub(crate) async fn store(
    ctx: &Arc<Context>,
    item: &Item,
    seen: Fingerprint,
    record: Option<Record>,
    companions: Vec<Companion>,
) -> Result<Outcome, Fault> {
    let (there, rest): (Vec<_>, Vec<_>) = companions.into_iter().partition(|one| {
        one.bond != Bond::Lock && one.disk.is_some_and(|found| found.kind == Kind::File)
    });
    let gone: Vec<_> = rest.into_iter().filter(|one| one.disk.is_none()).collect();
    let is_new = |one: &Companion| {
        let found = one.disk.as_ref();
        found.is_some_and(|found| !is_as_stored(found, one.record.as_ref()))
    };
    let main_is_new = !is_as_stored(&seen, record.as_ref());
    if !main_is_new && !there.iter().any(is_new) {
        item.source.pacing.forget(&item.path);
        return mark_gone(ctx, item, gone).await;
    }
    if there
        .iter()
        .any(|one| item.source.work.queue.is_running(&one.path))
    {
        // It stood alone until a moment ago.
        return Ok(Outcome::Changed);
    }
    if is_paced(ctx, item, &seen, record.as_ref(), &there) {
        return Ok(Outcome::Agreed);
    }
    let group = Group {
        main: item.path.clone(),
        main_as_stored: record.clone().filter(|_| !main_is_new),
        present: there,
        is_deadline: item.deadline,
    };
    let stored = store_read(ctx, item, &seen, record, group).await;
    let (outcome, companions) = match stored {
        Ok(stored) => stored,
        Err((fault, companions)) => {
            note_unprotected(ctx, item, companions, &fault).await?;
            return Err(fault);
        }
    };
    if outcome == Outcome::Changed {
        return Ok(outcome);
    }
    note_protected(ctx, item, companions).await?;
    let marked = mark_gone(ctx, item, gone).await?;
    Ok(match marked {
        // One that may not be marked yet is looked at again with its file.
        Outcome::Changed => marked,
        _ => outcome.max(marked),
    })
}

type Companions = Vec<RelPath>;

/// Read all of them and store them, the file last.
async fn store_read(
    ctx: &Arc<Context>,
    item: &Item,
    seen: &Fingerprint,
    record: Option<Record>,
    group: Group,
) -> Result<(Outcome, Companions), (Fault, Companions)> {
    let paths: Companions = group.present.iter().map(|one| one.path.clone()).collect();
    let failed = |fault: Fault| (fault, paths.clone());
    // The memory is held until all is sent: this is what bounds it.
    let small = |found: &Fingerprint| match found.size_bytes <= SMALL_BYTES_MAX {
        true => found.size_bytes,
        false => 0,
    };
    let bytes = group.present.iter().filter_map(|one| one.disk.as_ref());
    let bytes = bytes.map(small).sum::<u64>() + small(seen);
    let _memory = ctx.budget.take_together(bytes).await;
    let (group, taken) = take(ctx, item, group).await.map_err(failed)?;
    let Some(mut taken) = taken else {
        return Ok((Outcome::Changed, paths));
    };
    taken.seen_ms = file::when_seen_ms(ctx, taken.seen_steady_ms);
    if let Some(main) = &mut taken.main {
        main.seen_ms = taken.seen_ms;
        let since_ms = since::since_ms(ctx, item, main, record.as_ref())
            .await
            .map_err(failed)?;
        // The file may have been like that before what belongs to it was.
        let was_so = |since_ms: &i64| taken.companions.iter().all(|one| is_from(one, *since_ms));
        taken.seen_ms = since_ms.filter(was_so).or(taken.seen_ms);
        main.seen_ms = taken.seen_ms;
    }
    let stored_hash = record.as_ref().and_then(|record| record.content);
    let Some(hash) = taken.main.as_ref().map(|main| main.hash).or(stored_hash) else {
        // Neither read nor stored: it cannot be, and is looked at again.
        return Ok((Outcome::Changed, paths));
    };
    let is_news = stored_hash != Some(hash);
    let outcome = store_all(ctx, item, record, group, taken, (hash, is_news))
        .await
        .map_err(failed)?;
    Ok((outcome, paths))
}

/// The file was as it is by then, and where it is.
fn is_from(content: &Content, since_ms: i64) -> bool {
    let file = &content.fingerprint;
    file.mtime_ms().max(file.ctime_ms()) <= since_ms
}

async fn store_all(
    ctx: &Arc<Context>,
    item: &Item,
    record: Option<Record>,
    group: Group,
    taken: TakenTogether,
    (hash, is_news): (ContentHash, bool),
) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::Agreed;
    let mut fingerprints = vec![(item.path.clone(), None)];
    for (companion, mut content) in group.present.into_iter().zip(taken.companions) {
        content.seen_ms = taken.seen_ms;
        let own = item_of(item, &companion.path);
        let upload =
            Upload::new(ctx, &own, RelKey::of_file(&own.path), None)?.beside(hash, is_news);
        let done = upload.put(&content, companion.record).await?;
        if done == Outcome::Changed {
            return Ok(done);
        }
        outcome = outcome.max(done);
        if companion.bond != Bond::Scratch {
            fingerprints.push((companion.path, Some(content.fingerprint)));
        }
    }
    let mut unrested = item.deadline;
    match taken.main {
        None => {
            let now_ms = ctx.clock.now_ms();
            item.source.pacing.stored_beside(&item.path, now_ms);
            fingerprints[0].1 = record.map(|record| record.fingerprint);
        }
        Some(content) => {
            let upload = Upload::new(ctx, item, RelKey::of_file(&item.path), None)?;
            let done = upload.put(&content, record).await?;
            if done == Outcome::Changed {
                return Ok(done);
            }
            outcome = outcome.max(done);
            unrested |= content.unrested;
            fingerprints[0].1 = Some(content.fingerprint);
        }
    }
    for (path, fingerprint) in fingerprints {
        let Some(fingerprint) = fingerprint else {
            continue;
        };
        let own = item_of(item, &path);
        if unrested || file::changed_since(ctx, &own, fingerprint).await? {
            let now_ms = ctx.clock.steady_ms();
            item.source.work.hint(Hint {
                path: item.path.clone(),
                first_ms: now_ms,
                last_ms: now_ms,
                is_given_back: false,
            });
            break;
        }
    }
    Ok(outcome)
}

/// They get versions as often as one file, whichever of them changes.
fn is_paced(
    ctx: &Context,
    item: &Item,
    seen: &Fingerprint,
    record: Option<&Record>,
    there: &[Companion],
) -> bool {
    let Some(main) = record.filter(|record| record.content.is_some()) else {
        return false;
    };
    let is_other = |found: &Fingerprint, record: Option<&Record>| match record {
        Some(Record {
            fingerprint: then, ..
        }) => (then.size_bytes, then.mtime_ns) != (found.size_bytes, found.mtime_ns),
        None => true,
    };
    let others = there.iter().any(|one| {
        let found = one.disk.as_ref();
        found.is_some_and(|found| is_other(found, one.record.as_ref()))
    });
    if !others && !is_other(seen, Some(main)) {
        // Mode or owner alone, or nothing after all.
        return false;
    }
    let records = there.iter().filter_map(|one| one.record.as_ref());
    let stored = records.map(|record| record.stored_at_ms);
    let stored_ms = stored.fold(main.stored_at_ms, i64::max);
    let now_ms = ctx.clock.now_ms();
    !item.source.pacing.may_store(&item.path, stored_ms, now_ms)
}

/// Read the group; no content when it changed meanwhile.
async fn take(
    ctx: &Arc<Context>,
    item: &Item,
    group: Group,
) -> Result<(Group, Option<TakenTogether>), Fault> {
    let (shared, source) = (Arc::clone(ctx), Arc::clone(&item.source));
    let pulse = Pulse::default();
    let beat = pulse.clone();
    source.watchdog.clone().run(&pulse, move || {
        let root = &source.config.path;
        let taken = take_now(root, &group, &beat)?;
        Ok((group, taken))
    })
    .await
}

fn take_now(
    root: &std::path::Path,
    group: &Group,
    pulse: &Pulse,
) -> Result<Option<TakenTogether>, Fault> {
    let tries = if group.is_deadline { TRIES_MAX } else { 1 };
    for attempt in 1..=tries {
        let is_last = group.is_deadline && attempt == tries;
        match take_once(root, group, is_last, pulse) {
            Ok(Some(taken)) => return Ok(Some(taken)),
            // One of them went away: that is a change of all.
            Err(fault) if !matches!(fault.class, Class::Vanished | Class::Changed) => {
                return Err(fault);
            }
            Ok(None) | Err(_) => std::thread::sleep(GRAIN),
        }
    }
    Ok(None)
}

/// All of them as they are, none of them changing between the first look and the
/// last; `is_last` takes what is there.
fn take_once(
    root: &std::path::Path,
    group: &Group,
    is_last: bool,
    pulse: &Pulse,
) -> Result<Option<TakenTogether>, Fault> {
    let mut before = look_at(root, group)?;
    let began_ms = clock::wall_ms();
    if before
        .iter()
        .flatten()
        .any(|found| is_fresh(found, began_ms))
    {
        std::thread::sleep(GRAIN);
        let now = look_at(root, group)?;
        let is_same = now == before;
        before = now;
        if !is_same && !is_last {
            return Ok(None);
        }
    }
    let patience = match is_last {
        true => Patience::TakeWhatIsThere,
        false => Patience::Strict,
    };
    let mut companions = Vec::with_capacity(group.present.len());
    for companion in &group.present {
        let patience = match companion.bond {
            Bond::Scratch => Patience::TakeWhatIsThere,
            Bond::State | Bond::Lock => patience,
        };
        let Some((content, _)) = read_now(root, &companion.path, patience, pulse)? else {
            return Ok(None);
        };
        companions.push(content);
    }
    let as_stored = group
        .main_as_stored
        .as_ref()
        .map(|record| record.fingerprint);
    let main = match as_stored.is_some() && before.first().copied().flatten() == as_stored {
        true => None,
        false => match read_now(root, &group.main, patience, pulse)? {
            Some((content, _)) => Some(content),
            None => return Ok(None),
        },
    };
    let seen_steady_ms = os::steady_ms();
    let is_steady = look_at(root, group)? == before;
    if !is_steady && !is_last {
        return Ok(None);
    }
    let mut taken = TakenTogether {
        main,
        companions,
        seen_steady_ms,
        seen_ms: None,
    };
    if !is_steady {
        let all = taken.companions.iter_mut().chain(&mut taken.main);
        all.for_each(|content| {
            content.unrested = true;
            content.racy = true;
        });
    }
    Ok(Some(taken))
}

/// What stands there of the group, the file first. A scratch file says nothing.
fn look_at(root: &std::path::Path, group: &Group) -> Result<Vec<Option<Fingerprint>>, Fault> {
    let all = companion::companions_of(&group.main);
    let state = all.iter().filter(|(_, bond)| *bond == Bond::State);
    let paths = std::iter::once(&group.main).chain(state.map(|(path, _)| path));
    paths.map(|path| files::stat(root, path)).collect()
}

fn is_fresh(found: &Fingerprint, now_ms: i64) -> bool {
    u128::from(now_ms.abs_diff(found.mtime_ms())) < GRAIN.as_millis()
}

/// What belongs to a file that could not be stored is not protected either.
async fn note_unprotected(
    ctx: &Arc<Context>,
    item: &Item,
    companions: Companions,
    fault: &Fault,
) -> Result<(), Fault> {
    if fault.class.is_destination() || fault.class == Class::Vanished {
        // It waits, and they with it.
        return Ok(());
    }
    let (ctx, item, fault) = (Arc::clone(ctx), item.clone(), fault.clone());
    blocking(move || {
        let now_ms = ctx.clock.now_ms();
        let next_ms = now_ms.saturating_add(AGAIN_MS);
        for path in companions {
            let fault = fault.clone().about(path.to_string());
            let key = RelKey::of_file(&path);
            let id = item.source.id;
            ctx.index
                .mark_unprotected(id, &key, &fault, now_ms, next_ms)?;
        }
        Ok(())
    })
    .await
}

/// When what belongs to a file that failed is looked at again by itself; the file's
/// own next try comes first as a rule.
const AGAIN_MS: i64 = 60 * 60 * 1000;

async fn note_protected(
    ctx: &Arc<Context>,
    item: &Item,
    companions: Companions,
) -> Result<(), Fault> {
    let id = item.source.id;
    if !ctx.index.has_unprotected(id) {
        return Ok(());
    }
    let ctx = Arc::clone(ctx);
    blocking(move || {
        for path in companions {
            let key = RelKey::of_file(&path);
            if ctx.index.unprotected_attempts(id, &key)? > 0 {
                ctx.index.clear_unprotected(id, &key)?;
            }
        }
        Ok(())
    })
    .await
}
