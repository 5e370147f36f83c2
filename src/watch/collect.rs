//! Letting changes settle: hints in, paths that have rested out. One loop per
//! source, so that a disk that hangs holds up its own changes alone.
//!
//! Invariant: a hint leads to a queued path, a scan, or (excluded) to nothing;
//! when there are too many at once, to a scan of the whole source.

use super::debounce::{Full, Settle, Settled, Touched};
use crate::files;
use crate::os::Found;
use crate::os::blocking::blocking;
use crate::source::{Context, FileId, Hint};
use crate::types::{Fault, Kind, RelKey, RelPath};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Paths looked at in one go; keeps one blocking call short.
const BATCH: usize = 256;

/// A look that failed as a whole is not repeated at once.
const AFTER_FAULT: Duration = Duration::from_secs(1);

/// How long to sleep when nothing waits.
const IDLE: Duration = Duration::from_secs(3600);

/// Once a stop was asked for, this long without a change is enough: a program that
/// is still writing makes one within it.
const ENDING_QUIET_MS: i64 = 200;

/// What a due path turned out to be.
enum Seen {
    /// A file or link.
    File {
        /// When it was modified, milliseconds since 1970.
        mtime_ms: i64,
        /// Other names of the same file, in whatever source.
        others: Vec<(usize, RelPath)>,
    },
    /// A folder, or a path below which the index knows files: walk it.
    Folder,
    /// Nothing stands there.
    Gone,
    /// It is left out.
    Excluded,
}

/// Collect the changes of one source until told to stop.
pub async fn run(
    ctx: Arc<Context>,
    mut hints: mpsc::Receiver<Hint>,
    mut stop: watch::Receiver<bool>,
) {
    let limits = &ctx.config.limits;
    let mut settle = Settle::new(
        limits.debounce_ms,
        limits.debounce_max_ms,
        limits.queue_items_max,
    );
    let mut ending = ctx.ending.subscribe();
    loop {
        let wait = settle.next_due_ms().map_or(IDLE, |due| {
            Duration::from_millis(u64::try_from(due - ctx.steady_ms()).unwrap_or(0))
        });
        tokio::select! {
            hint = hints.recv() => {
                let Some(hint) = hint else { return };
                take(&ctx, &mut settle, hint);
                // Take what else is there before looking at the clock again.
                while let Ok(hint) = hints.try_recv() {
                    take(&ctx, &mut settle, hint);
                }
            }
            () = tokio::time::sleep(wait) => {}
            // The sender lives as long as the context.
            Ok(()) = ending.changed() => settle.hurry(ENDING_QUIET_MS),
            _ = stop.changed() => return,
        }
        release(&ctx, &mut settle).await;
    }
}

fn take(ctx: &Context, settle: &mut Settle, hint: Hint) {
    let Hint {
        source,
        path,
        first_ms,
        last_ms,
        is_given_back,
    } = hint;
    match settle.touch(source, path, first_ms, last_ms, is_given_back) {
        Ok(Touched::New) => {}
        Ok(Touched::Again { later_ms }) => ctx.settled(source, later_ms, 0),
        Err(Full) => {
            ctx.scans.lost_news(source);
            ctx.scans.ask_later(source);
            ctx.settled(source, first_ms, is_given_back.into());
        }
    }
}

async fn release(ctx: &Arc<Context>, settle: &mut Settle) {
    loop {
        let now_ms = ctx.steady_ms();
        let due = settle.due(now_ms, BATCH);
        if due.is_empty() {
            return;
        }
        let seen = {
            let (ctx, due) = (Arc::clone(ctx), due.clone());
            blocking(move || {
                Ok(due
                    .iter()
                    .map(|(s, p)| see(&ctx, *s, p))
                    .collect::<Vec<_>>())
            })
            .await
        };
        let seen = match seen {
            Ok(seen) => seen,
            Err(fault) => {
                tracing::error!("{fault}");
                tokio::time::sleep(AFTER_FAULT).await;
                return;
            }
        };
        for ((source, path), seen) in due.into_iter().zip(seen) {
            let age_ms = match &seen {
                Ok(Seen::File { mtime_ms, .. }) => Some(ctx.now_ms() - mtime_ms),
                _ => None,
            };
            if let Some(settled) = settle.confirm(source, path, age_ms, now_ms) {
                let (source, since_ms) = (settled.source, settled.since_ms);
                let given_back = settled.given_back;
                pass_on(ctx, settled, seen);
                ctx.settled(source, since_ms, given_back);
            }
        }
    }
}

fn pass_on(ctx: &Context, settled: Settled, seen: Result<Seen, Fault>) {
    if settled.path.name() == files::RULE_FILE_NAME.as_bytes() {
        // Other rules: what they take in or leave out is found by a scan.
        let folder = settled.path.parent().unwrap_or_default();
        ctx.scans.ask_subtree(settled.source, folder);
    }
    match seen {
        Ok(Seen::Excluded) => {}
        Ok(Seen::Folder) => ctx.scans.ask_subtree(settled.source, settled.path),
        Ok(Seen::File { others, .. }) => {
            // The same file: it has settled under all of its names.
            for (source, path) in others {
                ctx.edit(source, path, settled.since_ms, settled.deadline);
            }
            ctx.edit(
                settled.source,
                settled.path,
                settled.since_ms,
                settled.deadline,
            );
        }
        Ok(Seen::Gone) => ctx.edit(
            settled.source,
            settled.path,
            settled.since_ms,
            settled.deadline,
        ),
        // It could not be looked at: a worker explains it if it is a file, and
        // if it is a folder its contents must not be missed.
        Err(_) => {
            let path = settled.path.clone();
            ctx.edit(settled.source, path, settled.since_ms, settled.deadline);
            ctx.scans.ask_subtree(settled.source, settled.path);
        }
    }
}

fn see(ctx: &Context, number: usize, path: &RelPath) -> Result<Seen, Fault> {
    let source = &ctx.sources[number];
    let stood = files::stat_found(&source.config.path, path)?;
    let found = stood.map(|stood| stood.fingerprint);
    let is_folder = found.is_some_and(|f| f.kind == Kind::Folder);
    let known_below = || {
        let below = RelKey::of_folder(path);
        match ctx.index.range(source.id, below.as_str(), None).next() {
            None => Ok(false),
            Some(entry) => entry.map(|_| true),
        }
    };
    if source.rules.excluded(path, is_folder) {
        // A rule file may just have excluded it: then it leaves the backup.
        let known = ctx.index.get(source.id, &RelKey::of_file(path))?.is_some() || known_below()?;
        return Ok(if known { Seen::Folder } else { Seen::Excluded });
    }
    match found {
        Some(found) if found.kind != Kind::Folder => {
            if known_below()? {
                // A file where a folder was: its old contents are gone.
                return Ok(Seen::Folder);
            }
            Ok(Seen::File {
                mtime_ms: found.mtime_ms(),
                others: stood.map_or_else(Vec::new, |stood| other_names(ctx, number, path, &stood)),
            })
        }
        Some(_) => Ok(Seen::Folder),
        None if known_below()? => Ok(Seen::Folder),
        None => Ok(Seen::Gone),
    }
}

/// The other names of a file that has several, as far as they are known. When some
/// are not, a scan is to look for them.
fn other_names(
    ctx: &Context,
    source: usize,
    path: &RelPath,
    stood: &Found,
) -> Vec<(usize, RelPath)> {
    let Some(file) = FileId::of_linked(stood) else {
        return Vec::new();
    };
    let noted = ctx.links.note(file, source, path);
    if noted.is_new && noted.names < stood.links && ctx.links.may_search(ctx.steady_ms()) {
        (0..ctx.sources.len()).for_each(|source| ctx.scans.ask_later(source));
    }
    ctx.links.others(file, source, path)
}
