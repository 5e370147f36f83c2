//! A file and what belongs to it (`types::companion`): read at one moment, stored as
//! one state.
//!
//! Invariants: each companion says with which content of the file it was read; what is
//! there goes before the file, what is gone is marked after it, so that whatever the
//! bucket has of the file, it has what belongs to it as well. All say one moment. A
//! companion is in no other hand meanwhile: its own turn is its file's.

use super::changed::has_changed;
use super::content::when_seen_ms;
use super::delete::delete;
use super::moment::{Group, GroupContent, read_group};
use super::object::Object;
use crate::backup::context::{Context, Item};
use crate::backup::from_memory::is_to_be_read;
use crate::backup::mark_unverified::mark_unverified;
use crate::backup::outcome::Outcome;
use crate::backup::plan::{Facts, NothingReason, Plan, is_as_stored, plan};
use crate::backup::rehint;
use crate::backup::snapshot::{Companion, Main, main_of};
use crate::backup::valid_from::valid_from_ms;
use crate::files::Pulse;
use crate::os::blocking::blocking;
use crate::transfer::{Content, SMALL_BYTES_MAX};
use crate::types::{
    Bond, Class, ContentHash, Fault, Fingerprint, Kind, Record, RelKey, RelPath, WallMs, companion,
};
use std::sync::Arc;

/// Give the path's turn to the file that it belongs to, if there is one. `None` when
/// its turn is its own.
pub(crate) async fn pass_to_main(
    ctx: &Arc<Context>,
    item: &Item,
) -> Result<Option<Outcome>, Fault> {
    let Some(Main { path, folder }) = main(ctx, item).await? else {
        return Ok(None);
    };
    // The other worker knows nothing of a folder that was here.
    let done = delete(ctx, item, RelKey::of_folder(&item.path), folder).await?;
    item.source.work.edit(path, item.since_ms, item.deadline);
    Ok(Some(done))
}

async fn main(ctx: &Arc<Context>, item: &Item) -> Result<Option<Main>, Fault> {
    if companion::main_of(&item.path).is_none() {
        return Ok(None);
    }
    let (shared, path, source) = (Arc::clone(ctx), item.path.clone(), Arc::clone(&item.source));
    let pulse = Pulse::default();
    let beat = pulse.clone();
    let work = move || main_of(&shared, &source, &path, &beat);
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
pub(crate) async fn release(
    ctx: &Arc<Context>,
    item: &Item,
    companions: &[Companion],
) -> Result<(), Fault> {
    for companion in companions {
        if says_that_it_belongs(companion) {
            let key = RelKey::of_file(&companion.path);
            mark_unverified(ctx, &item.source, &key, Fingerprint::UNSEEN).await?;
        }
        item.source
            .work
            .edit(companion.path.clone(), item.since_ms, false);
    }
    Ok(())
}

/// Its object names the file that it belongs to.
fn says_that_it_belongs(companion: &Companion) -> bool {
    companion.disk.is_some() && companion.record.is_some() && companion.bond != Bond::Lock
}

/// The file is gone and marked: so are those that went with it.
pub(crate) async fn delete_companions(
    ctx: &Arc<Context>,
    item: &Item,
    companions: Vec<Companion>,
) -> Result<Outcome, Fault> {
    let mut all = Outcome::Agreed;
    for companion in companions.into_iter().filter(|one| one.disk.is_none()) {
        let item = item_of(item, &companion.path);
        let key = RelKey::of_file(&companion.path);
        let done = match delete(ctx, &item, key, companion.record).await? {
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

/// Store a file that something belongs to, and that.
pub(crate) async fn store(
    ctx: &Arc<Context>,
    item: &Item,
    seen: Fingerprint,
    record: Option<Record>,
    companions: Vec<Companion>,
) -> Result<Outcome, Fault> {
    let (present, rest): (Vec<_>, Vec<_>) = companions.into_iter().partition(is_read_with_main);
    let gone: Vec<_> = rest.into_iter().filter(|one| one.disk.is_none()).collect();
    let mut facts = Facts {
        disk: Some(seen),
        record,
        companions: &present,
        ..Facts::default()
    };
    if !is_to_be_read(ctx, item, &mut facts) {
        let has_nothing_new = matches!(plan(&facts), Plan::Nothing(NothingReason::AsStored));
        let mut main = Object::new(ctx, item, RelKey::of_file(&item.path));
        let outcome = main.run(&mut facts).await?;
        return if has_nothing_new {
            delete_companions(ctx, item, gone).await
        } else {
            Ok(outcome)
        };
    }
    let record = facts.record.take();
    let main_as_stored = record.clone();
    let group = Group {
        main: item.path.clone(),
        main_as_stored: main_as_stored.filter(|record| is_as_stored(&seen, Some(record))),
        present,
        is_deadline: item.deadline,
    };
    let paths: Paths = group.present.iter().map(|one| one.path.clone()).collect();
    let outcome = match store_group(ctx, item, &seen, record, group).await {
        Ok(outcome) => outcome,
        Err(fault) => {
            note_unprotected(ctx, item, paths, &fault).await?;
            return Err(fault);
        }
    };
    if outcome == Outcome::Changed {
        return Ok(outcome);
    }
    note_protected(ctx, item, paths).await?;
    let marked = delete_companions(ctx, item, gone).await?;
    Ok(match marked {
        // One that may not be marked yet is looked at again with its file.
        Outcome::Changed => marked,
        _ => outcome.max(marked),
    })
}

/// It is there, and is read and stored with the file.
fn is_read_with_main(one: &Companion) -> bool {
    one.bond != Bond::Lock && one.disk.is_some_and(|found| found.kind == Kind::File)
}

type Paths = Vec<RelPath>;

/// Memory that the contents of the group take.
fn memory_bytes(seen: &Fingerprint, present: &[Companion]) -> u64 {
    let companions = present.iter().filter_map(|one| one.disk.as_ref());
    let all = companions.chain([seen]).map(|found| found.size_bytes);
    all.filter(|size_bytes| *size_bytes <= SMALL_BYTES_MAX)
        .sum()
}

/// Read all of them and store them, the file last.
async fn store_group(
    ctx: &Arc<Context>,
    item: &Item,
    seen: &Fingerprint,
    record: Option<Record>,
    group: Group,
) -> Result<Outcome, Fault> {
    // The memory is held until all is sent: this is what bounds it.
    let bytes = memory_bytes(seen, &group.present);
    let _memory = ctx.budget.take_together(bytes).await;
    let (group, read) = read_group(item, group).await?;
    let Some(mut read) = read else {
        return Ok(Outcome::Changed);
    };
    read.seen_ms = when_seen_ms(ctx, read.seen_at);
    if let Some(main) = &mut read.main {
        main.seen_ms = read.seen_ms;
        let from_ms = valid_from_ms(ctx, item, main, record.as_ref()).await?;
        read.seen_ms = moment_of_all(from_ms, &read.companions).or(read.seen_ms);
        main.seen_ms = read.seen_ms;
    }
    let stored_hash = record.as_ref().and_then(|record| record.content);
    let Some(hash) = read.main.as_ref().map(|main| main.hash).or(stored_hash) else {
        // Neither read nor stored: it cannot be, and is looked at again.
        return Ok(Outcome::Changed);
    };
    let has_other_main = stored_hash != Some(hash);
    store_all(ctx, item, record, group, read, (hash, has_other_main)).await
}

/// The moment from which the file counts, if its companions were so by then: the file may
/// have been like that before what belongs to it was.
fn moment_of_all(from_ms: Option<WallMs>, companions: &[Content]) -> Option<WallMs> {
    let was_so_by = |content: &Content, from_ms: WallMs| {
        let file = &content.fingerprint;
        file.mtime_ms().max(file.ctime_ms()) <= from_ms
    };
    from_ms.filter(|from_ms| companions.iter().all(|one| was_so_by(one, *from_ms)))
}

/// What stands where of the group, as it was stored.
type StoredFiles = Vec<(RelPath, Fingerprint)>;

async fn store_all(
    ctx: &Arc<Context>,
    item: &Item,
    record: Option<Record>,
    group: Group,
    read: GroupContent,
    (hash, has_other_main): (ContentHash, bool),
) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::Agreed;
    let mut companions = StoredFiles::new();
    for (companion, mut content) in group.present.into_iter().zip(read.companions) {
        content.seen_ms = read.seen_ms;
        let fingerprint = content.fingerprint;
        let facts = Facts {
            record: companion.record,
            beside: Some(hash),
            has_other_main,
            ..Facts::default()
        };
        let own = item_of(item, &companion.path);
        let done = put(ctx, &own, content, facts).await?;
        if done == Outcome::Changed {
            return Ok(done);
        }
        outcome = outcome.max(done);
        if companion.bond != Bond::Scratch {
            companions.push((companion.path, fingerprint));
        }
    }
    let mut is_torn = item.deadline;
    let main = match read.main {
        None => {
            let now_ms = ctx.clock.now_ms();
            item.source.pacing.stored_beside(&item.path, now_ms);
            record.map(|record| record.fingerprint)
        }
        Some(content) => {
            let fingerprint = content.fingerprint;
            is_torn |= content.is_torn;
            let facts = Facts {
                record,
                ..Facts::default()
            };
            let done = put(ctx, item, content, facts).await?;
            if done == Outcome::Changed {
                return Ok(done);
            }
            outcome = outcome.max(done);
            Some(fingerprint)
        }
    };
    let main = main.map(|fingerprint| (item.path.clone(), fingerprint));
    let stored = main.into_iter().chain(companions).collect();
    hint_if_changed(ctx, item, stored, is_torn).await?;
    Ok(outcome)
}

/// Have the bucket hold this content.
async fn put(
    ctx: &Arc<Context>,
    item: &Item,
    content: Content,
    facts: Facts<'_>,
) -> Result<Outcome, Fault> {
    let mut object = Object::new(ctx, item, RelKey::of_file(&item.path));
    object.beside = facts.beside;
    object.prepare(&content).await?;
    let mut facts = Facts {
        disk: Some(content.fingerprint),
        ..facts
    };
    facts.answers.content = Some(Some(content));
    object.run(&mut facts).await
}

/// Look again when one of them has changed since it was stored.
async fn hint_if_changed(
    ctx: &Arc<Context>,
    item: &Item,
    stored: StoredFiles,
    is_torn: bool,
) -> Result<(), Fault> {
    for (path, fingerprint) in stored {
        if is_torn || has_changed(&item.source, &path, fingerprint).await? {
            rehint::hint_changed(ctx, item);
            break;
        }
    }
    Ok(())
}

/// What belongs to a file that could not be stored is not protected either.
async fn note_unprotected(
    ctx: &Arc<Context>,
    item: &Item,
    companions: Paths,
    fault: &Fault,
) -> Result<(), Fault> {
    if fault.class.is_destination() || fault.class == Class::Vanished {
        // It waits, and they with it.
        return Ok(());
    }
    let (ctx, item, fault) = (Arc::clone(ctx), item.clone(), fault.clone());
    blocking(move || {
        let now_ms = ctx.clock.now_ms();
        let next_ms = now_ms + AGAIN_MS;
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

async fn note_protected(ctx: &Arc<Context>, item: &Item, companions: Paths) -> Result<(), Fault> {
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
