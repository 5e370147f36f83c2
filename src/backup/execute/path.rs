//! One turn of a path: what a worker does with it, step by step.

use super::beginning::{Alone, Beginning, begin};
use super::changed::{has_changed, stat};
use super::delete::{delete, tell_guard};
use super::executor::Executor;
use super::object::Object;
use super::together;
use crate::backup::item::Item;
use crate::backup::outcome::Outcome;
use crate::backup::plan::{Facts, Step, Turn, steps};
use crate::backup::rehint;
use crate::backup::snapshot::PathSnapshot;
use crate::files;
use crate::files::Pulse;
use crate::index::Index;
use crate::types::{Fault, Fingerprint, Kind, RelKey, RelPath};

/// A path that had its turn.
pub(crate) struct PathDone {
    pub(crate) outcome: Outcome,
    /// It may stand among the unprotected: some path of its source did.
    pub(crate) may_be_unprotected: bool,
    /// It went, came back or became something else with all it was in while it was worked
    /// on: a scan of that runs beside the worker, and has seen no record yet, or still the
    /// old one.
    pub(crate) is_other_kind: bool,
}

/// Give the path its turn. Its deletion is deferred for `rename_wait_ms` at least.
pub(crate) async fn work(
    executor: &Executor,
    item: &Item,
    rename_wait_ms: i64,
) -> Result<PathDone, Fault> {
    if let Some(outcome) = together::pass_to_main(executor, item).await? {
        return Ok(PathDone {
            outcome,
            // Of this path nothing is known by that.
            may_be_unprotected: false,
            is_other_kind: false,
        });
    }
    let Beginning { snapshot, alone } = begin(executor, item).await?;
    let was = snapshot.disk.map(|found| found.kind);
    let may_be_unprotected = snapshot.has_unprotected;
    let turn = PathTurn {
        executor,
        item,
        rename_wait_ms,
        snapshot,
        alone,
    };
    let outcome = turn.take_steps().await?;
    // What stores a file looks again by itself, once per file.
    let has_looked = matches!(was, Some(Kind::File | Kind::Symlink));
    let is_other_kind = outcome == Outcome::Sent
        && !has_looked
        && stat(&item.source, &item.path)
            .await?
            .map(|found| found.kind)
            != was;
    Ok(PathDone {
        outcome,
        may_be_unprotected,
        is_other_kind,
    })
}

/// One turn, while its steps are taken. What a step works on is taken out.
struct PathTurn<'a> {
    executor: &'a Executor,
    item: &'a Item,
    rename_wait_ms: i64,
    snapshot: PathSnapshot,
    alone: Option<Alone>,
}

impl PathTurn<'_> {
    async fn take_steps(mut self) -> Result<Outcome, Fault> {
        let (snapshot, source) = (&self.snapshot, &self.item.source);
        let steps = steps(&Turn {
            kind: snapshot.disk.map(|found| found.kind),
            file: snapshot.file.as_ref(),
            has_companions: !snapshot.companions.is_empty(),
            was_deferred: self.item.was_deferred,
            marks_deletions: source.marks_deletions(),
        });
        if snapshot.disk.is_none() {
            source.pacing.forget(&self.item.path);
        }
        let mut outcome = Outcome::Agreed;
        for step in steps {
            // A file that may not be marked yet has its path's next turn.
            // On the heap: each kind of step is a deep future.
            outcome = outcome.max(Box::pin(self.take(*step, outcome)).await?);
        }
        Ok(outcome)
    }

    /// Take one step; `before` is what came of those before it.
    async fn take(&mut self, step: Step, before: Outcome) -> Result<Outcome, Fault> {
        let (executor, item) = (self.executor, self.item);
        match step {
            Step::AwaitNewerFiles => {
                if let Some(record) = &self.snapshot.file {
                    tell_guard(item, record).await?;
                }
                item.source.guard.note_deferred(self.rename_wait_ms);
                return Ok(Outcome::Deferred);
            }
            Step::ReleaseCompanions => {
                together::release(&executor.index, item, &self.snapshot.companions).await?;
            }
            Step::ReleasePresentCompanions => {
                let all = &mut self.snapshot.companions;
                let present: Vec<_> = all.extract_if(.., |one| one.disk.is_some()).collect();
                together::release(&executor.index, item, &present).await?;
            }
            Step::DeleteFile => {
                let record = self.snapshot.file.take();
                return delete(executor, item, RelKey::of_file(&item.path), record).await;
            }
            Step::DeleteCompanions => {
                if before.is_acknowledged() {
                    let gone = std::mem::take(&mut self.snapshot.companions);
                    return together::delete_companions(executor, item, gone).await;
                }
            }
            Step::DeleteFolder => return self.delete_folder().await,
            Step::DeleteReplacedFolder => {
                self.delete_folder().await?;
            }
            Step::VisitParent => visit_parent(executor, item).await?,
            Step::Store | Step::StoreTogether | Step::StoreFolder => {
                if let Some(seen) = self.snapshot.disk {
                    return self.store(step, seen).await;
                }
            }
        }
        Ok(Outcome::Agreed)
    }

    async fn delete_folder(&mut self) -> Result<Outcome, Fault> {
        let (key, record) = (
            RelKey::of_folder(&self.item.path),
            self.snapshot.folder.take(),
        );
        delete(self.executor, self.item, key, record).await
    }

    /// Store what stands there.
    async fn store(&mut self, step: Step, seen: Fingerprint) -> Result<Outcome, Fault> {
        let (executor, item) = (self.executor, self.item);
        match step {
            Step::StoreTogether => {
                let companions = std::mem::take(&mut self.snapshot.companions);
                together::store(executor, item, seen, self.snapshot.file.take(), companions).await
            }
            Step::StoreFolder => {
                let mut facts = Facts {
                    disk: Some(seen),
                    is_root: item.path.is_root(),
                    is_empty_folder: self.snapshot.is_empty,
                    record: self.snapshot.folder.take(),
                    ..Facts::default()
                };
                let mut folder = Object::new(executor, item, RelKey::of_folder(&item.path));
                folder.run(&mut facts).await
            }
            _ => {
                let alone = self.alone.take();
                let unasked = || Alone::unasked(seen, self.snapshot.file.take());
                store_file(executor, item, alone.unwrap_or_else(unasked)).await
            }
        }
    }
}

/// Store a file or link whose content or metadata the bucket does not have.
async fn store_file(executor: &Executor, item: &Item, alone: Alone) -> Result<Outcome, Fault> {
    let Alone { mut facts, early } = alone;
    let outcome = {
        let mut object = Object::new(executor, item, RelKey::of_file(&item.path));
        object.early = early;
        object.run(&mut facts).await?
    };
    // It was stored as it was when read; if it has changed since, look again. One that
    // waits for its next version is read again when that is due.
    if outcome != Outcome::Changed
        && !facts.is_paced()
        && let Some(content) = facts.content()
    {
        // What had not rested goes on changing, and not every system says so.
        let is_torn = content.is_torn || item.deadline;
        if is_torn || has_changed(&item.source, &item.path, content.fingerprint).await? {
            rehint::hint_changed(item, executor.clock.monotonic_ms());
        }
    }
    Ok(outcome)
}

/// The folder that a vanished path was in may be empty now, and wants an object
/// of its own: let a worker look. It may have vanished with the path; then it
/// is the nearest one that has not.
async fn visit_parent(executor: &Executor, item: &Item) -> Result<(), Fault> {
    let (index, own) = (executor.index.clone(), item.clone());
    let look = move || emptied_parent(&index, &own);
    let emptied = item.source.watchdog.run(&Pulse::default(), look).await?;
    if let Some(folder) = emptied {
        let now_ms = executor.clock.monotonic_ms();
        item.source.work.edit(folder, now_ms, false);
    }
    Ok(())
}

/// The nearest folder above that is still there, unless the index knows of
/// anything in it: a look at a folder of 100,000 files takes a while.
fn emptied_parent(index: &Index, item: &Item) -> Result<Option<RelPath>, Fault> {
    let source = &item.source;
    let mut above = item.path.parent();
    while let Some(folder) = above.filter(|folder| !folder.is_root()) {
        let found = files::stat(&source.config.path, &folder)?;
        if found.is_some_and(|found| found.kind == Kind::Folder) {
            let below = RelKey::of_folder(&folder);
            let known = index.range(source.id, below.as_str(), None).next();
            return Ok(known.transpose()?.is_none().then_some(folder));
        }
        above = folder.parent();
    }
    Ok(None)
}
