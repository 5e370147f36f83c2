//! A file and what belongs to it (`types::companion`): read at one moment, stored as
//! one state.
//!
//! Invariants: each companion says with which content of the file it was read. Companions
//! that are there are stored before the file, deletions are marked after it: whatever the
//! bucket has of the file, it has the companions of that as well. All say one moment. No
//! other worker has a companion meanwhile: its turn is that of its file.

use super::changed::has_changed;
use super::content::when_seen_ms;
use super::delete::delete;
use super::executor::Executor;
use super::moment::{Group, GroupContent, read_group};
use super::object::Object;
use crate::backup::from_memory::{is_to_be_read, may_add_version};
use crate::backup::item::Item;
use crate::backup::mark_unverified::mark_unverified;
use crate::backup::outcome::Outcome;
use crate::backup::plan::{Facts, NothingReason, Plan, last_version_read_ms, plan};
use crate::backup::rehint;
use crate::backup::snapshot::{Companion, Main, main_of};
use crate::backup::valid_from::valid_from_ms;
use crate::files::Pulse;
use crate::index::Index;
use crate::os::blocking::blocking;
use crate::transfer::{Content, SMALL_BYTES_MAX};
use crate::types::{
    Bond, Class, ContentHash, Fault, Fingerprint, Kind, MonotonicMs, Record, RelKey, RelPath,
    WallMs, companion,
};

/// Give the path's turn to the file that it belongs to, if there is one. `None` when
/// its turn is its own.
pub(crate) async fn pass_to_main(
    executor: &Executor,
    item: &Item,
) -> Result<Option<Outcome>, Fault> {
    let Some(Main { path, folder }) = main(&executor.index, item).await? else {
        return Ok(None);
    };
    // The file's turn knows nothing of a folder that was here.
    let done = delete(executor, item, RelKey::of_folder(&item.path), folder).await?;
    item.source.work.edit(path, item.since_ms, item.deadline);
    Ok(Some(done))
}

async fn main(index: &Index, item: &Item) -> Result<Option<Main>, Fault> {
    if companion::main_of(&item.path).is_none() {
        return Ok(None);
    }
    let (index, own) = (index.clone(), item.clone());
    let pulse = Pulse::default();
    let beat = pulse.clone();
    let work = move || main_of(&index, &own.source, &own.path, &beat);
    item.source.watchdog.run(&pulse, work).await
}

/// The same path's turn, for what belongs to it.
fn item_of(item: &Item, path: &RelPath) -> Item {
    Item {
        path: path.clone(),
        // It is deleted with its file, whatever was renamed.
        was_deferred: true,
        ..item.clone()
    }
}

/// The path is no file any more, or is about to be marked as gone: the companions that are
/// there are files of their own from now on. Their objects say that they belong to the
/// file, and a restore would leave them out, so each has a turn that asks the bucket and
/// corrects its object.
pub(crate) async fn release(
    index: &Index,
    item: &Item,
    companions: &[Companion],
) -> Result<(), Fault> {
    for companion in companions {
        if says_that_it_belongs(companion) {
            let key = RelKey::of_file(&companion.path);
            mark_unverified(index, &item.source, &key, Fingerprint::UNSEEN).await?;
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

/// The file is gone and marked: mark the companions that went with it.
pub(crate) async fn delete_companions(
    executor: &Executor,
    item: &Item,
    companions: Vec<Companion>,
) -> Result<Outcome, Fault> {
    let mut all = Outcome::Agreed;
    for companion in companions.into_iter().filter(|one| one.disk.is_none()) {
        let item = item_of(item, &companion.path);
        let key = RelKey::of_file(&companion.path);
        let done = match delete(executor, &item, key, companion.record).await? {
            // It is not this path's turn that could be deferred.
            Outcome::Deferred => Outcome::Changed,
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

/// Store a file and its companions.
pub(crate) async fn store(
    executor: &Executor,
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
    if !is_to_be_read(&mut facts, item, executor.clock.now_ms()) {
        let has_nothing_new = matches!(plan(&facts), Plan::Nothing(NothingReason::AsStored));
        let mut main = Object::new(executor, item, RelKey::of_file(&item.path));
        let outcome = main.run(&mut facts).await?;
        return if has_nothing_new {
            delete_companions(executor, item, gone).await
        } else {
            Ok(outcome)
        };
    }
    let may_add_version = facts.answers.may_add_version;
    let record = facts.record.take();
    let main_as_stored = record.clone();
    let group = Group {
        main: item.path.clone(),
        main_as_stored: main_as_stored.filter(|record| record.is_as_stored(&seen)),
        present,
        is_deadline: item.deadline,
    };
    let paths: Paths = group.present.iter().map(|one| one.path.clone()).collect();
    let outcome = match store_group(executor, item, &seen, record, group, may_add_version).await {
        Ok(Some(outcome)) => outcome,
        Ok(None) => return Ok(Outcome::Agreed),
        Err(fault) => {
            note_unprotected(executor, item, paths, &fault).await?;
            return Err(fault);
        }
    };
    if outcome == Outcome::Changed {
        return Ok(outcome);
    }
    note_protected(&executor.index, item, paths).await?;
    let marked = delete_companions(executor, item, gone).await?;
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

/// Read all of them and store them, the file last; `None` when they wait for their next
/// version. `may_add_version` is what pacing has said, if it was asked by now.
async fn store_group(
    executor: &Executor,
    item: &Item,
    seen: &Fingerprint,
    record: Option<Record>,
    group: Group,
    may_add_version: Option<bool>,
) -> Result<Option<Outcome>, Fault> {
    // The memory is held until all is sent: this is what bounds it.
    let bytes = memory_bytes(seen, &group.present);
    let _memory = executor.budget.take_together(bytes).await;
    let (group, read) = read_group(item, group).await?;
    let Some(mut read) = read else {
        return Ok(Some(Outcome::Changed));
    };
    let may_add_version = may_add_version
        .unwrap_or_else(|| may_add_group(executor, item, record.as_ref(), &group, &read));
    if !may_add_version {
        return Ok(None);
    }
    read.seen_ms = when_seen_ms(&executor.store, read.seen_at);
    if let Some(main) = &mut read.main {
        main.seen_ms = read.seen_ms;
        let Executor { swaps, index, .. } = executor;
        let from_ms = valid_from_ms(swaps, index, item, main, record.as_ref()).await?;
        read.seen_ms = moment_of_all(from_ms, &read.companions).or(read.seen_ms);
        main.seen_ms = read.seen_ms;
    }
    let stored_hash = record.as_ref().and_then(|record| record.content);
    let Some(hash) = read.main.as_ref().map(|main| main.hash).or(stored_hash) else {
        // Neither read nor stored: that cannot be, and it is looked at again.
        return Ok(Some(Outcome::Changed));
    };
    let has_other_main = stored_hash != Some(hash);
    let stored = store_all(executor, item, record, group, read, (hash, has_other_main));
    stored.await.map(Some)
}

/// Whether what was read may become a version now; `record` is that of the file.
fn may_add_group(
    executor: &Executor,
    item: &Item,
    record: Option<&Record>,
    group: &Group,
    read: &GroupContent,
) -> bool {
    let records = group.present.iter().map(|one| one.record.as_ref());
    let companions = records.zip(&read.companions);
    let all = companions.chain(read.main.iter().map(|main| (record, main)));
    last_version_read_ms(record, all)
        .is_none_or(|stored_ms| may_add_version(item, stored_ms, executor.clock.now_ms()))
}

/// The moment since which the file counts, if its companions were the same by then: the
/// file may have been so before they were.
fn moment_of_all(from_ms: Option<WallMs>, companions: &[Content]) -> Option<WallMs> {
    let was_so_by = |content: &Content, from_ms: WallMs| {
        let file = &content.fingerprint;
        file.mtime_ms().max(file.ctime_ms()) <= from_ms
    };
    from_ms.filter(|from_ms| companions.iter().all(|one| was_so_by(one, *from_ms)))
}

/// The files of the group as they were stored.
type StoredFiles = Vec<(RelPath, Fingerprint)>;

async fn store_all(
    executor: &Executor,
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
        let done = put(executor, &own, content, facts).await?;
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
            let now_ms = executor.clock.now_ms();
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
            let done = put(executor, item, content, facts).await?;
            if done == Outcome::Changed {
                return Ok(done);
            }
            outcome = outcome.max(done);
            Some(fingerprint)
        }
    };
    let main = main.map(|fingerprint| (item.path.clone(), fingerprint));
    let stored = main.into_iter().chain(companions).collect();
    let now_ms = executor.clock.monotonic_ms();
    hint_if_changed(item, now_ms, stored, is_torn).await?;
    Ok(outcome)
}

/// Have the bucket hold this content.
async fn put(
    executor: &Executor,
    item: &Item,
    content: Content,
    facts: Facts<'_>,
) -> Result<Outcome, Fault> {
    let mut object = Object::new(executor, item, RelKey::of_file(&item.path));
    object.beside = facts.beside;
    object.prepare(&content).await?;
    let mut facts = Facts {
        disk: Some(content.fingerprint),
        ..facts
    };
    // Asked for all of them together.
    facts.answers.may_add_version = Some(true);
    facts.answers.content = Some(Some(content));
    object.run(&mut facts).await
}

/// Look again when one of them has changed since it was stored.
async fn hint_if_changed(
    item: &Item,
    now_ms: MonotonicMs,
    stored: StoredFiles,
    is_torn: bool,
) -> Result<(), Fault> {
    for (path, fingerprint) in stored {
        if is_torn || has_changed(&item.source, &path, fingerprint).await? {
            rehint::hint_changed(item, now_ms);
            break;
        }
    }
    Ok(())
}

/// The companions of a file that could not be stored are not protected either.
async fn note_unprotected(
    executor: &Executor,
    item: &Item,
    companions: Paths,
    fault: &Fault,
) -> Result<(), Fault> {
    if fault.class.is_destination() || fault.class == Class::Vanished {
        // The file waits, and they wait with it.
        return Ok(());
    }
    let (index, id, fault) = (executor.index.clone(), item.source.id, fault.clone());
    let now_ms = executor.clock.now_ms();
    let next_ms = now_ms + AGAIN_MS;
    blocking(move || {
        for path in companions {
            let fault = fault.clone().about(path.to_string());
            let key = RelKey::of_file(&path);
            index.mark_unprotected(id, &key, &fault, now_ms, next_ms)?;
        }
        Ok(())
    })
    .await
}

/// When the companions of a file that failed are tried again by themselves; the file's own
/// next try comes first as a rule.
const AGAIN_MS: i64 = 60 * 60 * 1000;

async fn note_protected(index: &Index, item: &Item, companions: Paths) -> Result<(), Fault> {
    let id = item.source.id;
    if !index.has_unprotected(id) {
        return Ok(());
    }
    let index = index.clone();
    blocking(move || {
        for path in companions {
            let key = RelKey::of_file(&path);
            if index.unprotected_attempts(id, &key)? > 0 {
                index.clear_unprotected(id, &key)?;
            }
        }
        Ok(())
    })
    .await
}
