//! A path that is gone: mark it deleted in the bucket, forget it in the index.

use super::doubt;
use super::outcome::{Outcome, aside_min_ms};
use crate::destination;
use crate::destination::Deed;
use crate::files;
use crate::files::Pulse;
use crate::guard;
use crate::guard::{Grant, May};
use crate::index::{ActivityDelta, Change, Commit};
use crate::os::blocking::blocking;
use crate::s3::At;
use crate::source::{Context, on_disk};
use crate::status::News;
use crate::types::{Class, Fault, Kind, Record, RelKey, RelPath, VersionId};
use crate::work::Item;
use std::sync::Arc;

/// A key that may store but not delete is a common and careful choice: that must
/// not stop the uploads, only say that deletions are not marked. Tried again at
/// the next scan, which the end of an outage asks for.
async fn is_marked(
    ctx: &Arc<Context>,
    item: &Item,
    marked: Result<Option<VersionId>, Fault>,
) -> Result<Option<Option<VersionId>>, Fault> {
    match marked {
        Ok(version_id) => {
            destination::may_be_marked(ctx, item.source).await;
            Ok(Some(version_id))
        }
        Err(fault) if fault.class == Class::Denied => {
            destination::refuses_to_mark(ctx, item.source, &fault).await;
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

/// Whether the deletion is to wait until what is new is stored: it may be half of
/// a rename. At no moment is the content under neither name then.
pub(crate) async fn waits(
    ctx: &Arc<Context>,
    item: &Item,
    record: Option<&Record>,
) -> Result<bool, Fault> {
    let Some(record) = record else {
        return Ok(false);
    };
    if item.was_aside || !ctx.sources[item.source].marks_deletions() {
        return Ok(false);
    }
    tell_brake(ctx, item, record).await?;
    guard::noticed(ctx, item.source, aside_min_ms(ctx));
    Ok(true)
}

/// Files that are renamed are news, also where nothing is marked, or not yet.
async fn tell_brake(ctx: &Arc<Context>, item: &Item, record: &Record) -> Result<(), Fault> {
    if record.fingerprint.kind != Kind::File || !record.was_plain(item.path.name()) {
        return Ok(());
    }
    let (ctx, item) = (Arc::clone(ctx), item.clone());
    blocking(move || guard::plain_is_gone(&ctx, item.source, &item.path, item.since_ms)).await
}

/// The path is gone from the disk: mark it, unless the brake holds that back.
/// What is held back stays known, and the next scan finds it again.
pub(crate) async fn mark_gone(
    ctx: &Arc<Context>,
    item: &Item,
    key: &RelKey,
    record: Option<Record>,
) -> Result<Outcome, Fault> {
    let Some(record) = record else {
        return Ok(Outcome::Agreed);
    };
    if !item.was_aside {
        tell_brake(ctx, item, &record).await?;
    }
    if !ctx.sources[item.source].marks_deletions() {
        return Ok(Outcome::Agreed);
    }
    let may_mark = {
        let (shared, key, source) = (Arc::clone(ctx), key.clone(), item.source);
        let counts = record.fingerprint.kind != Kind::Folder;
        let pulse = Pulse::default();
        let beat = pulse.clone();
        on_disk(ctx, source, &pulse, move || {
            guard::may_mark(&shared, source, &key, counts, &beat)
        })
        .await?
    };
    match may_mark {
        May::Mark(grant) => mark(ctx, item, key, record, grant).await,
        May::Hold => Ok(Outcome::Agreed),
        May::Later => Ok(Outcome::Changed),
        // In the queue, where whoever waits for the end of a comparison sees it.
        May::Busy => Ok(Outcome::Aside),
    }
}

/// Make bucket and index agree that nothing stands at `key`.
async fn mark(
    ctx: &Arc<Context>,
    item: &Item,
    key: &RelKey,
    record: Record,
    grant: Grant,
) -> Result<Outcome, Fault> {
    let source = &ctx.sources[item.source];
    let bucket_key = source.bucket_key(key).key;
    let at = At {
        bucket: &source.config.bucket,
        key: &bucket_key,
    };
    // Known from a listing only: it may be somebody else's object.
    let ours = match record.content {
        Some(_) => true,
        None => matches!(ctx.store.head(at, None).await?, Some(head) if head.meta.is_ok()),
    };
    let renamed = ctx.moves.went_to(item.source, &item.path, &record);
    if ours {
        if !destination::may_mark(ctx, item.source).await? {
            return Ok(Outcome::Agreed);
        }
        let marked = ctx.store.mark_deleted(at).await;
        let seen = record.fingerprint;
        let marked = doubt::unless_answered(ctx, item.source, key, seen, marked).await;
        let Some(version_id) = is_marked(ctx, item, marked).await? else {
            return Ok(Outcome::Agreed);
        };
        let (marked, is_renamed) = (key.clone(), renamed.is_some());
        blocking(move || grant.marked(&marked, is_renamed)).await?;
        destination::heard(ctx, item.source, Deed::Marked, version_id.as_ref()).await;
    }
    let delta = ActivityDelta {
        deletions: u64::from(ours && renamed.is_none()),
        ..ActivityDelta::default()
    };
    let commit = Commit {
        source: source.id,
        key: key.clone(),
        change: Change::Remove,
        activity: delta,
    };
    ctx.commits.commit(&ctx.index, commit).await?;
    if record.fingerprint.kind != Kind::Folder {
        guard::settled(ctx, item.source, key);
    }
    if ours {
        let name = &source.config.name;
        let (source, path) = (item.source, item.path.to_string());
        match renamed {
            Some(to) => {
                let to = to.to_string();
                tracing::info!(source = %name, %path, %to, "renamed: the old name is marked as deleted");
                ctx.board.tell(News::Renamed { source, path, to });
            }
            None => {
                tracing::info!(source = %name, %path, "marked as deleted");
                ctx.board.tell(News::Deleted { source, path });
            }
        }
    }
    Ok(match ours {
        true => Outcome::Sent,
        false => Outcome::Answered,
    })
}

/// The folder that a vanished path was in may be empty now, and wants an object
/// of its own: let a worker look. It may have vanished with the path; then it
/// is the nearest one that has not.
pub(crate) async fn look_at_folder(ctx: &Arc<Context>, item: &Item) -> Result<(), Fault> {
    if !ctx.sources[item.source].marks_deletions() {
        return Ok(());
    }
    let emptied = {
        let (shared, item) = (Arc::clone(ctx), item.clone());
        let pulse = Pulse::default();
        on_disk(ctx, item.source, &pulse, move || emptied(&shared, &item)).await?
    };
    if let Some(folder) = emptied {
        ctx.edit(item.source, folder, ctx.steady_ms(), false);
    }
    Ok(())
}

/// The nearest folder above that is still there, unless the index knows of
/// anything in it: a look at a folder of 100,000 files takes a while.
fn emptied(ctx: &Context, item: &Item) -> Result<Option<RelPath>, Fault> {
    let source = &ctx.sources[item.source];
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
