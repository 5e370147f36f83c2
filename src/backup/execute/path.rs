//! One turn of a path: what a worker does with it, step by step.

use super::changed::{has_changed, stat};
use super::delete::{delete, tell_guard};
use super::object::Object;
use super::together;
use crate::backup::context::{Context, Item};
use crate::backup::outcome::{Outcome, aside_min_ms};
use crate::backup::plan::{Facts, Step, Turn, steps};
use crate::backup::read::{Early, Slot, read_early};
use crate::backup::rehint;
use crate::backup::snapshot::{PathSnapshot, snapshot};
use crate::files;
use crate::files::Pulse;
use crate::types::{Fault, Fingerprint, Kind, Record, RelKey, RelPath};
use std::sync::Arc;

/// A path that had its turn.
pub(crate) struct PathDone {
    pub(crate) outcome: Outcome,
    /// It may stand among the unprotected: some path of its source did.
    pub(crate) may_be_unprotected: bool,
}

/// Give the path its turn.
pub(crate) async fn work(ctx: &Arc<Context>, item: &Item) -> Result<PathDone, Fault> {
    if let Some(outcome) = together::pass_to_main(ctx, item).await? {
        return Ok(PathDone {
            outcome,
            // Of this path nothing is known by that.
            may_be_unprotected: false,
        });
    }
    let (snapshot, early) = look(ctx, item).await?;
    let was = snapshot.disk.map(|found| found.kind);
    let may_be_unprotected = snapshot.has_unprotected;
    let outcome = take_steps(ctx, item, snapshot, early).await?;
    // What stores a file looks again by itself, once per file.
    let has_looked = matches!(was, Some(Kind::File | Kind::Symlink));
    if outcome == Outcome::Sent && !has_looked {
        look_again_if_other(ctx, item, was).await?;
    }
    Ok(PathDone {
        outcome,
        may_be_unprotected,
    })
}

/// Look at disk and index; a small file that is to be stored is read by the same thread.
async fn look(ctx: &Arc<Context>, item: &Item) -> Result<(PathSnapshot, Option<Early>), Fault> {
    let (shared, own) = (Arc::clone(ctx), item.clone());
    let (pulse, slot) = (Pulse::default(), Slot::new());
    let (beat, filled) = (pulse.clone(), slot.clone());
    let looked = item
        .source
        .watchdog
        .clone()
        .run(&pulse, move || {
            let snapshot = snapshot(&shared, &own.source, &own.path, &beat)?;
            beat.beat();
            // What belongs together is read together.
            let alone = snapshot.disk.filter(|_| snapshot.companions.is_empty());
            let taken = alone.and_then(|seen| {
                let record = snapshot.file.as_ref();
                read_early(&shared, &own, seen, record, &filled, &beat)
            });
            Ok((snapshot, taken))
        })
        .await;
    let memory = slot.leave();
    let (snapshot, taken) = looked?;
    let early = memory.zip(taken);
    let early = early.map(|(memory, taken)| Early { memory, taken });
    Ok((snapshot, early))
}

/// One turn, while its steps are taken. What a step works on is taken out.
struct PathTurn<'a> {
    ctx: &'a Arc<Context>,
    item: &'a Item,
    snapshot: PathSnapshot,
    early: Option<Early>,
}

async fn take_steps(
    ctx: &Arc<Context>,
    item: &Item,
    snapshot: PathSnapshot,
    early: Option<Early>,
) -> Result<Outcome, Fault> {
    let steps = steps(&Turn {
        kind: snapshot.disk.map(|found| found.kind),
        file: snapshot.file.as_ref(),
        has_companions: !snapshot.companions.is_empty(),
        was_deferred: item.was_deferred,
        marks_deletions: item.source.marks_deletions(),
    });
    if snapshot.disk.is_none() {
        item.source.pacing.forget(&item.path);
    }
    let mut turn = PathTurn {
        ctx,
        item,
        snapshot,
        early,
    };
    let mut outcome = Outcome::Agreed;
    for step in steps {
        // A file that may not be marked yet has its path's next turn.
        // On the heap: each kind of step is a deep future.
        outcome = outcome.max(Box::pin(turn.take(*step, outcome)).await?);
    }
    Ok(outcome)
}

impl PathTurn<'_> {
    /// Take one step; `before` is what came of those before it.
    async fn take(&mut self, step: Step, before: Outcome) -> Result<Outcome, Fault> {
        let (ctx, item) = (self.ctx, self.item);
        match step {
            Step::AwaitNewerFiles => {
                if let Some(record) = &self.snapshot.file {
                    tell_guard(item, record).await?;
                }
                item.source.guard.note_deferred(aside_min_ms(ctx));
                return Ok(Outcome::Aside);
            }
            Step::ReleaseCompanions => {
                together::release(ctx, item, &self.snapshot.companions).await?;
            }
            Step::ReleasePresentCompanions => {
                let all = &mut self.snapshot.companions;
                let present: Vec<_> = all.extract_if(.., |one| one.disk.is_some()).collect();
                together::release(ctx, item, &present).await?;
            }
            Step::DeleteFile => {
                let record = self.snapshot.file.take();
                return delete(ctx, item, RelKey::of_file(&item.path), record).await;
            }
            Step::DeleteCompanions => {
                if before.is_acknowledged() {
                    let gone = std::mem::take(&mut self.snapshot.companions);
                    return together::delete_companions(ctx, item, gone).await;
                }
            }
            Step::DeleteFolder => return self.delete_folder().await,
            Step::DeleteReplacedFolder => {
                self.delete_folder().await?;
            }
            Step::VisitParent => visit_parent(ctx, item).await?,
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
        delete(self.ctx, self.item, key, record).await
    }

    /// Store what stands there.
    async fn store(&mut self, step: Step, seen: Fingerprint) -> Result<Outcome, Fault> {
        let (ctx, item) = (self.ctx, self.item);
        match step {
            Step::StoreTogether => {
                let companions = std::mem::take(&mut self.snapshot.companions);
                together::store(ctx, item, seen, self.snapshot.file.take(), companions).await
            }
            Step::StoreFolder => {
                let mut facts = Facts {
                    disk: Some(seen),
                    is_root: item.path.is_root(),
                    is_empty_folder: self.snapshot.is_empty,
                    record: self.snapshot.folder.take(),
                    ..Facts::default()
                };
                let mut folder = Object::new(ctx, item, RelKey::of_folder(&item.path));
                folder.run(&mut facts).await
            }
            _ => {
                store_file(
                    ctx,
                    item,
                    seen,
                    self.snapshot.file.take(),
                    self.early.take(),
                )
                .await
            }
        }
    }
}

/// Store a file or link whose content or metadata the bucket does not have.
async fn store_file(
    ctx: &Arc<Context>,
    item: &Item,
    seen: Fingerprint,
    record: Option<Record>,
    early: Option<Early>,
) -> Result<Outcome, Fault> {
    let mut facts = Facts {
        disk: Some(seen),
        record,
        ..Facts::default()
    };
    let outcome = {
        let mut object = Object::new(ctx, item, RelKey::of_file(&item.path));
        object.early = early;
        object.run(&mut facts).await?
    };
    // It was stored as it was when read; if it has changed since, look again.
    if outcome != Outcome::Changed
        && let Some(content) = facts.content()
    {
        // What had not rested goes on changing, and not every system says so.
        let is_torn = content.is_torn || item.deadline;
        if is_torn || has_changed(&item.source, &item.path, content.fingerprint).await? {
            rehint::hint_changed(ctx, item);
        }
    }
    Ok(outcome)
}

/// Look at the path again when it went, came back or became something else with
/// all it was in while it was worked on: a scan of that runs beside the worker,
/// and has seen no record yet, or still the old one.
async fn look_again_if_other(
    ctx: &Arc<Context>,
    item: &Item,
    was: Option<Kind>,
) -> Result<(), Fault> {
    let now = stat(&item.source, &item.path).await?;
    if now.map(|found| found.kind) != was {
        rehint::hint_again(ctx, item);
    }
    Ok(())
}

/// The folder that a vanished path was in may be empty now, and wants an object
/// of its own: let a worker look. It may have vanished with the path; then it
/// is the nearest one that has not.
async fn visit_parent(ctx: &Arc<Context>, item: &Item) -> Result<(), Fault> {
    let emptied = {
        let (shared, item) = (Arc::clone(ctx), item.clone());
        let pulse = Pulse::default();
        item.source
            .watchdog
            .clone()
            .run(&pulse, move || emptied_parent(&shared, &item))
            .await?
    };
    if let Some(folder) = emptied {
        item.source.work.edit(folder, ctx.clock.steady_ms(), false);
    }
    Ok(())
}

/// The nearest folder above that is still there, unless the index knows of
/// anything in it: a look at a folder of 100,000 files takes a while.
fn emptied_parent(ctx: &Context, item: &Item) -> Result<Option<RelPath>, Fault> {
    let source = &item.source;
    let mut above = item.path.parent();
    while let Some(folder) = above.filter(|folder| !folder.is_root()) {
        let found = files::stat(&source.config.path, &folder)?;
        if found.is_some_and(|found| found.kind == Kind::Folder) {
            let below = RelKey::of_folder(&folder);
            let known = ctx.index.range(source.id, below.as_str(), None).next();
            return Ok(known.transpose()?.is_none().then_some(folder));
        }
        above = folder.parent();
    }
    Ok(None)
}
