//! Scans: disk against index, and once a day (or when the index is new) both
//! against the bucket.
//!
//! Invariants: the scan is the truth and the watcher only makes it quick; a
//! scan never marks anything deleted, it sends a worker to look; what could not
//! be read is unknown, not gone; memory is bounded, whatever the source holds.

mod ahead;
mod bucket;
mod compare;
mod decide;
mod gone;
mod known;
mod listing;
mod merge;
mod shortened;

use crate::destination;
use crate::os::blocking::blocking;
use crate::source::{COMPARED, Context};
use crate::status::{News, ScanDone};
use crate::types::{Fault, RelKey, RelPath, text};
use crate::work::{Lane, Whole};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// A comparison with the bucket that failed is tried again after this.
const RETRY: Duration = Duration::from_secs(60);

/// Scan one source whenever that is asked for, until told to stop. Folders that
/// somebody just made do not wait for a whole scan, which may take days.
pub async fn run(ctx: Arc<Context>, source: usize, mut stop: watch::Receiver<bool>) {
    // A scan stops between two files, not at its end, also when this is dropped.
    let cancel = CancelOnDrop(Arc::new(AtomicBool::new(false)));
    let wholes = async {
        loop {
            let asked = ctx.scans.take_whole(source).await;
            let done = whole(&ctx, source, &asked, &cancel.0).await;
            ctx.scans.looked_everywhere(source);
            // What was set aside may come now.
            ctx.queue.wake();
            for waiting in asked.waiting {
                // Whoever asked may have given up.
                let _ = waiting.send(done.clone());
            }
        }
    };
    let parts = async {
        loop {
            for subtree in ctx.scans.take_subtrees(source).await {
                if let Err(fault) = part(&ctx, source, subtree, &cancel.0).await {
                    tracing::error!(source = %ctx.sources[source].config.name, "{fault}");
                    // What was to be seen there must not wait until tomorrow.
                    ctx.scans.lost_news(source);
                    ctx.scans.ask_later(source);
                }
            }
            ctx.scans.looked(source);
            // What was set aside may come now.
            ctx.queue.wake();
        }
    };
    tokio::select! {
        () = wholes => {}
        () = parts => {}
        _ = stop.changed() => {}
    }
}

/// What is said of files that have several names.
fn linked_note(names: u64) -> String {
    let (who, each) = match names {
        1 => ("1 name belongs to a file that has".to_owned(), "it"),
        _ => (
            format!("{} names belong to files that have", text::number(names)),
            "each",
        ),
    };
    format!(
        "{who} more than one name (hard links): {each} is backed up, and comes back, as a file of its own"
    )
}

struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn whole(
    ctx: &Arc<Context>,
    source: usize,
    asked: &Whole,
    cancelled: &Arc<AtomicBool>,
) -> ScanDone {
    let with_bucket = asked.with_bucket;
    let name = ctx.sources[source].config.name.clone();
    destination::look(ctx, source).await;
    ctx.board.update(source, |board| board.scanning = Some(0));
    let started_ms = ctx.now_ms();
    let links = ctx.links.begin();
    let is_known_ours = ctx.sources[source].destination.is_known_ours();
    let mut done = match ctx.sources[source].destination.may_send() {
        true => compare(ctx, source, asked, is_known_ours, cancelled).await,
        // What is there is another's, and says nothing of this folder.
        false => ScanDone {
            incomplete: destination::troubles(ctx, source)
                .into_iter()
                .map(|trouble| trouble.text)
                .collect(),
            ..ScanDone::default()
        },
    };
    if done.complete() {
        ctx.links.forget_before(source, links);
        if done.gone == 0 {
            destination::may_be_marked(ctx, source).await;
        }
    }
    done.started_ms = started_ms;
    done.took_ms = ctx.now_ms().saturating_sub(started_ms);
    done.with_bucket = with_bucket;
    if done.listed_whole {
        compared(ctx, source).await;
    }
    tracing::info!(
        source = %name,
        files = done.files,
        folders = done.folders,
        examined = done.examined,
        with_bucket,
        took_ms = done.took_ms,
        complete = done.complete(),
        "folder scanned"
    );
    for reason in &done.incomplete {
        tracing::warn!(source = %name, "the scan is not complete: {reason}");
    }
    let special = (done.special > 0).then(|| {
        format!(
            "{} sockets, pipes or devices in the folder are left out: they have no content to back up",
            done.special
        )
    });
    ctx.board.warn(source, "special", special);
    let linked = (done.linked > 0).then(|| linked_note(done.linked));
    ctx.board.note(source, "linked", linked);
    let foreign = (done.foreign > 0).then(|| {
        format!(
            "{} objects in the bucket were not written by Keepwatch and are left alone",
            done.foreign
        )
    });
    if with_bucket {
        ctx.board.warn(source, "foreign", foreign);
    }
    ctx.board.update(source, |board| {
        board.scanning = None;
        board.last_scan = Some(done.clone());
    });
    ctx.board.tell(News::Scanned {
        source,
        scan: done.clone(),
    });
    // Another's is compared when it has become ours.
    let of = &ctx.sources[source];
    let unsure = of.destination.may_send() && !of.compared.load(Ordering::Relaxed);
    if with_bucket && unsure && !cancelled.load(Ordering::Relaxed) {
        ask_again(ctx, source);
    }
    done
}

/// Disk against index, and against the bucket where that is asked for and the
/// bucket's list is known to be of this folder.
async fn compare(
    ctx: &Arc<Context>,
    source: usize,
    asked: &Whole,
    is_known_ours: bool,
    cancelled: &Arc<AtomicBool>,
) -> ScanDone {
    let with_bucket = asked.with_bucket && is_known_ours;
    if with_bucket {
        look_again(ctx, source).await;
    }
    let is_new = !ctx.sources[source].compared.load(Ordering::Relaxed);
    let known = match with_bucket && is_new {
        true => known::start(ctx, source).await,
        false => None,
    };
    // From here on nothing that is stored may be missed by the listing.
    let started_ms = ctx.now_ms();
    let listing = with_bucket.then(|| listing::start(ctx, source));
    let work = merge::Work {
        ctx: Arc::clone(ctx),
        source,
        subtree: RelPath::root(),
        listing,
        known,
        started_ms,
        lane: Lane::Backlog,
        confirmed: asked.confirmed,
        cancelled: Arc::clone(cancelled),
    };
    let runtime = tokio::runtime::Handle::current();
    match blocking(move || merge::merge(work, &runtime)).await {
        Ok(mut done) => {
            if asked.with_bucket && !is_known_ours {
                let place = destination::place_name(ctx, source);
                done.incomplete.push(format!(
                    "{place} was not compared: it does not say whether it belongs to this computer"
                ));
            }
            done
        }
        Err(fault) => {
            // Without this the next look would be tomorrow's.
            ctx.scans.ask_later(source);
            ScanDone {
                incomplete: vec![fault.to_string()],
                ..ScanDone::default()
            }
        }
    }
}

/// Unprotected paths that a comparison looks at again; of more than these the
/// rest has its own next try within the hour.
const AGAIN_MAX: usize = 10_000;

/// What failed before is tried again now, whenever its next try is due: who
/// asks for a comparison wants to know how things are.
async fn look_again(ctx: &Arc<Context>, source: usize) {
    let unprotected = {
        let ctx = Arc::clone(ctx);
        blocking(move || ctx.index.unprotected(ctx.sources[source].id, AGAIN_MAX)).await
    };
    match unprotected {
        Ok((paths, _)) => {
            for (key, _) in paths {
                let now_ms = ctx.steady_ms();
                ctx.queue.push_backlog(source, key.path(), now_ms).await;
            }
        }
        Err(fault) => tracing::error!("{fault}"),
    }
}

/// The bucket could not be compared: ask again after a while, for ever.
fn ask_again(ctx: &Arc<Context>, source: usize) {
    let ctx = Arc::clone(ctx);
    tokio::spawn(async move {
        tokio::time::sleep(RETRY).await;
        if !ctx.queue.is_closed() {
            ctx.scans.ask_whole(source, true);
        }
    });
}

/// Remember that index and bucket have been compared.
async fn compared(ctx: &Arc<Context>, source: usize) {
    let remember = {
        let ctx = Arc::clone(ctx);
        blocking(move || {
            let id = ctx.sources[source].id;
            ctx.index.source_state_set(id, COMPARED, &true.into())
        })
        .await
    };
    match remember {
        Ok(()) => ctx.sources[source].compared.store(true, Ordering::Relaxed),
        Err(fault) => tracing::error!("{fault}"),
    }
    destination::is_compared(ctx, source).await;
}

/// Scan one folder or path of a source, in the fast lane: somebody just made it.
async fn part(
    ctx: &Arc<Context>,
    source: usize,
    subtree: RelPath,
    cancelled: &Arc<AtomicBool>,
) -> Result<(), Fault> {
    if !ctx.sources[source].destination.may_send() {
        return Ok(());
    }
    let work = merge::Work {
        ctx: Arc::clone(ctx),
        source,
        subtree: subtree.clone(),
        listing: None,
        known: None,
        started_ms: ctx.now_ms(),
        lane: Lane::Edit,
        confirmed: false,
        cancelled: Arc::clone(cancelled),
    };
    let runtime = tokio::runtime::Handle::current();
    let done = blocking(move || {
        // The path itself may have been a file until now.
        let id = work.ctx.sources[source].id;
        if work
            .ctx
            .index
            .get(id, &RelKey::of_file(&subtree))?
            .is_some()
        {
            let now_ms = work.ctx.steady_ms();
            work.ctx.edit(source, subtree, now_ms, false);
        }
        merge::merge(work, &runtime)
    })
    .await?;
    for reason in &done.incomplete {
        tracing::warn!(source = %ctx.sources[source].config.name, "the scan is not complete: {reason}");
    }
    Ok(())
}
