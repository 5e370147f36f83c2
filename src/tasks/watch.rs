//! Hearing of changes from the operating system; the only notify import.
//!
//! Invariants: the callback never blocks and never decides, it passes hints
//! on; whatever is in doubt (overflow, rescan flag, error) asks for a scan; a
//! root that was deleted, made again or mounted over is watched anew. No event
//! is load-bearing: a lost one costs time until the next scan, nothing else.

mod gather;
mod tap;

use super::context::{Context, Hint};
use super::marker;
use crate::board::{News, Watching};
use crate::error::{Fault, chain};
use crate::files::{self, RootId};
use crate::model::RelPath;
use crate::platform;
use gather::Gathered;
use notify::event::{Event, EventKind};
use notify::{EventKindMask, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, Debouncer, NoCache};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tap::Tapped;
use tokio::sync::{oneshot, watch};

/// How long the debouncer keeps events to put renames together and drop what
/// cancels out: a tenth of the default debounce time, which counts from the
/// event's own time. Its thread wakes four times as often.
const DEBOUNCER: Duration = Duration::from_millis(200);

type Watcher = Debouncer<Tapped, NoCache>;

/// How often the root is looked at: deleted, renamed or newly mounted roots make
/// no events at all.
const ROOT_CHECK: Duration = Duration::from_secs(5);

/// A root that cannot be watched is scanned this often instead.
const UNWATCHED_SCAN: Duration = Duration::from_secs(600);

/// After one rescan the next waits so long, lest our own reads or a storm of
/// overflows keep the scanner busy for ever (nrwl/nx #37136).
const RESCAN_COOLDOWN: Duration = Duration::from_secs(10);

/// Folders made during an overflow stay unwatched: the whole watch is set up
/// again, at most this often.
const REARM: Duration = Duration::from_secs(60);

/// What the callback has met since the watch was set up.
#[derive(Default)]
struct Trouble {
    /// Events were lost.
    overflowed: AtomicBool,
    /// Something could not be watched.
    failed: AtomicBool,
}

impl Trouble {
    /// Whether a watch of that age should be set up again.
    fn wants_rearming(&self, age: Duration) -> bool {
        (self.overflowed.load(Ordering::Relaxed) && age >= REARM)
            || (self.failed.load(Ordering::Relaxed) && age >= UNWATCHED_SCAN)
    }
}

/// Watch one source until told to stop. `ready` fires once watches are
/// registered (or cannot be), before which no start scan may begin.
pub async fn run(
    ctx: Arc<Context>,
    source: usize,
    ready: oneshot::Sender<()>,
    mut stop: watch::Receiver<bool>,
) {
    let mut ready = Some(ready);
    let mut current: Option<(Watcher, RootId)> = None;
    let mut was_missing = false;
    let mut set_up = Instant::now();
    let mut trouble = Arc::new(Trouble::default());
    let gathered = Arc::new(Gathered::default());
    loop {
        let root = ctx.sources[source].config.path.clone();
        let id = root_id(root.clone()).await;
        let stale = match (&current, &id) {
            (Some((_, watched)), Ok(now)) => {
                watched != now || trouble.wants_rearming(set_up.elapsed())
            }
            (None, Ok(_)) => ready.is_some() || was_missing || set_up.elapsed() >= UNWATCHED_SCAN,
            (_, Err(_)) => false,
        };
        match id {
            Err(fault) => {
                // The watch is dead; nothing may be taken for deleted.
                drop_watcher(current.take()).await;
                was_missing = true;
                missing(&ctx, source, &fault);
            }
            Ok(id) if stale => {
                let again = current.is_some() || was_missing;
                drop_watcher(current.take()).await;
                was_missing = false;
                ctx.board.warn(source, "folder", None);
                trouble = Arc::new(Trouble::default());
                settle_marker(&ctx, source).await;
                let watcher = register(&ctx, source, &root, &trouble, &gathered).await;
                current = watcher.map(|watcher| (watcher, id));
                set_up = Instant::now();
                if again || (current.is_none() && ready.is_none()) {
                    ctx.scans.ask_whole(source, false);
                }
            }
            Ok(_) => {}
        }
        if let Some(ready) = ready.take() {
            // Whoever waited may have given up; then nobody needs to know.
            let _ = ready.send(());
        }
        tokio::select! {
            () = pass_on(&ctx, source, &gathered) => {}
            () = tokio::time::sleep(ROOT_CHECK) => {}
            _ = stop.changed() => break,
        }
    }
    drop_watcher(current).await;
}

/// The marker is written before the watch begins: that is no change.
async fn settle_marker(ctx: &Arc<Context>, source: usize) {
    let name = &ctx.sources[source].config.name;
    let settled = {
        let ctx = Arc::clone(ctx);
        super::context::blocking(move || marker::settle(&ctx, source)).await
    };
    match settled {
        Ok(settled) => tracing::debug!(source = %name, ?settled, "marker"),
        Err(fault) => tracing::warn!(source = %name, "{fault}"),
    }
}

/// Pass on what is heard; never ends.
async fn pass_on(ctx: &Context, source: usize, gathered: &Gathered) {
    loop {
        for (path, times) in gathered.take().await {
            ctx.hint(Hint {
                source,
                path,
                first_ms: times.first_ms,
                last_ms: times.last_ms,
            });
        }
    }
}

async fn root_id(root: PathBuf) -> Result<RootId, Fault> {
    super::context::blocking(move || files::root_state(&root)).await
}

/// Unwatching 100,000 folders takes a while: not on an async thread.
async fn drop_watcher(current: Option<(Watcher, RootId)>) {
    if let Some((watcher, _)) = current {
        // It only joins a thread; a panic in there has been printed already.
        let _ = tokio::task::spawn_blocking(move || drop(watcher)).await;
    }
}

fn missing(ctx: &Context, source: usize, fault: &Fault) {
    let text = fault.to_string();
    ctx.board.update(source, |board| {
        board.watching = Watching::Off(text.clone());
    });
    if ctx.board.warn(source, "folder", Some(text)) {
        let name = &ctx.sources[source].config.name;
        tracing::error!(source = %name, "{fault}; nothing is marked as deleted meanwhile");
        ctx.board.tell(News::Failed {
            source,
            fault: fault.clone(),
        });
    }
}

/// Set the watches up; `None` when that is impossible for now.
async fn register(
    ctx: &Arc<Context>,
    source: usize,
    root: &Path,
    trouble: &Arc<Trouble>,
    gathered: &Arc<Gathered>,
) -> Option<Watcher> {
    let name = ctx.sources[source].config.name.clone();
    let (made, root) = {
        let (ctx, root) = (Arc::clone(ctx), root.to_owned());
        let (trouble, gathered) = (Arc::clone(trouble), Arc::clone(gathered));
        let made = tokio::task::spawn_blocking(move || {
            let made = make_watcher(&ctx, source, &root, trouble, gathered);
            (made, root)
        })
        .await;
        match made {
            Ok(made) => made,
            Err(error) => {
                tracing::error!(source = %name, "the watch could not be set up: {error}");
                return None;
            }
        }
    };
    match made {
        Ok(watcher) => {
            tracing::info!(source = %name, folder = %root.display(), "watching");
            ctx.board.update(source, |b| b.watching = Watching::On);
            ctx.board.warn(source, "watch", None);
            ctx.board.tell(News::Watching { source });
            Some(watcher)
        }
        Err(error) => {
            let text = watch_trouble(&root, &error);
            tracing::error!(source = %name, "{text}");
            ctx.board
                .update(source, |b| b.watching = Watching::Off(text.clone()));
            ctx.board.warn(source, "watch", Some(text));
            None
        }
    }
}

fn make_watcher(
    ctx: &Arc<Context>,
    source: usize,
    root: &Path,
    trouble: Arc<Trouble>,
    gathered: Arc<Gathered>,
) -> notify::Result<Watcher> {
    let config = notify::Config::default()
        .with_follow_symlinks(false)
        // Without access events: our own reads must not wake us.
        .with_event_kinds(EventKindMask::CORE);
    let resolved = std::fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    let roots = [root.to_owned(), resolved];
    let ear = {
        let (ctx, roots) = (Arc::clone(ctx), roots.clone());
        let (trouble, gathered) = (Arc::clone(&trouble), Arc::clone(&gathered));
        Box::new(move |event: &notify::Result<Event>| {
            // What the debouncer would hold back for as long as it goes on.
            match event {
                Ok(event) if event.need_rescan() => note_overflow(&trouble),
                Ok(event) if event.kind.is_modify() => {
                    hear(&ctx, source, &roots, &gathered, event, ctx.steady_ms());
                }
                _ => {}
            }
        })
    };
    let handler = {
        let ctx = Arc::clone(ctx);
        let mut last_rescan = None;
        move |result: DebounceEventResult| {
            note(&trouble, &result);
            handle(&ctx, source, &roots, &gathered, &mut last_rescan, result);
        }
    };
    let mut watcher = tap::with_ear(ear, || {
        notify_debouncer_full::new_debouncer_opt::<_, Tapped, _>(
            DEBOUNCER,
            None,
            handler,
            NoCache::new(),
            config,
        )
    })?;
    watcher.watch(root, RecursiveMode::Recursive)?;
    Ok(watcher)
}

fn handle(
    ctx: &Context,
    source: usize,
    roots: &[PathBuf; 2],
    gathered: &Gathered,
    last_rescan: &mut Option<Instant>,
    result: DebounceEventResult,
) {
    match result {
        Ok(events) => {
            for event in &events {
                // Overflow carries no path: the flag comes first.
                if event.need_rescan() {
                    rescan(ctx, source, last_rescan, "the system lost events");
                    continue;
                }
                let age = i64::try_from(event.time.elapsed().as_millis()).unwrap_or(0);
                hear(ctx, source, roots, gathered, event, ctx.steady_ms() - age);
            }
        }
        Err(errors) => {
            for error in &errors {
                let text = watch_trouble(&roots[0], error);
                if ctx.board.warn(source, "watch", Some(text.clone())) {
                    tracing::warn!(source = %ctx.sources[source].config.name, "{text}");
                }
            }
            rescan(ctx, source, last_rescan, "the watch reported an error");
        }
    }
}

/// Remember what the watch itself suffered, for setting it up again.
fn note(trouble: &Trouble, result: &DebounceEventResult) {
    match result {
        Ok(events) if events.iter().any(|event| event.need_rescan()) => note_overflow(trouble),
        Ok(_) => {}
        Err(_) => trouble.failed.store(true, Ordering::Relaxed),
    }
}

fn note_overflow(trouble: &Trouble) {
    trouble.overflowed.store(true, Ordering::Relaxed);
}

fn rescan(ctx: &Context, source: usize, last: &mut Option<Instant>, why: &str) {
    if last.is_none_or(|at| at.elapsed() >= RESCAN_COOLDOWN) {
        *last = Some(Instant::now());
        tracing::warn!(source = %ctx.sources[source].config.name, "{why}: scanning the folder");
        ctx.scans.ask_whole(source, false);
    } else {
        // Within the cooldown: the periodic look of `tend` asks again later.
        ctx.scans.ask_later(source);
    }
}

fn hear(
    ctx: &Context,
    source: usize,
    roots: &[PathBuf; 2],
    gathered: &Gathered,
    event: &Event,
    at_ms: i64,
) {
    if matches!(event.kind, EventKind::Access(_)) {
        return;
    }
    for path in &event.paths {
        let below = roots.iter().find_map(|root| path.strip_prefix(root).ok());
        let Some(Ok(path)) = below.map(platform::os_to_rel) else {
            continue;
        };
        if path.is_root() {
            ctx.scans.ask_subtree(source, RelPath::root());
        } else if !gathered.add(&path, at_ms) {
            let folder = path.parent().unwrap_or_default();
            ctx.scans.ask_subtree(source, folder);
        }
    }
}

/// What a watch error means for the owner; never "no space left on device".
fn watch_trouble(root: &Path, error: &notify::Error) -> String {
    let folder = error.paths.first().map_or(root, PathBuf::as_path);
    let is_limit = matches!(error.kind, notify::ErrorKind::MaxFilesWatch)
        || matches!(&error.kind, notify::ErrorKind::Io(e) if is_limit(e));
    if !is_limit {
        return format!(
            "{}: changes are not seen at once: {}. Keepwatch scans the folder instead",
            folder.display(),
            chain(error)
        );
    }
    let limit = platform::watch_limits().map_or_else(String::new, |limits| {
        format!(
            " (max_user_watches is {}, max_user_instances is {})",
            limits.max_user_watches, limits.max_user_instances
        )
    });
    format!(
        "{}: this computer's limit on watched folders is reached{limit}. Keepwatch scans the folder every {} minutes instead. To see changes at once again: sudo sysctl fs.inotify.max_user_watches=1048576 fs.inotify.max_user_instances=1024",
        folder.display(),
        UNWATCHED_SCAN.as_secs() / 60
    )
}

/// ENOSPC and EMFILE are how Linux reports exhausted watches and instances.
fn is_limit(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
    ) || error.raw_os_error() == Some(24)
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify_debouncer_full::DebouncedEvent;

    #[test]
    fn the_watch_limit_is_never_called_a_full_disk() {
        let full = std::io::Error::from_raw_os_error(28);
        for error in [
            notify::Error::new(notify::ErrorKind::MaxFilesWatch),
            notify::Error::io(full),
            notify::Error::io(std::io::Error::from_raw_os_error(24)),
        ] {
            let text = watch_trouble(Path::new("/srv/office"), &error);
            assert!(
                text.contains("/srv/office") && text.contains("sysctl"),
                "{text}"
            );
            assert!(!text.to_lowercase().contains("space"), "{text}");
        }
    }

    #[test]
    fn an_overflow_and_a_failed_watch_lead_to_a_new_watch_in_time() {
        let trouble = Trouble::default();
        assert!(!trouble.wants_rearming(Duration::MAX));
        note(&trouble, &Err(vec![notify::Error::generic("odd")]));
        assert!(!trouble.wants_rearming(REARM));
        assert!(trouble.wants_rearming(UNWATCHED_SCAN));
        let lost = notify::Event::default().set_flag(notify::event::Flag::Rescan);
        let time = Instant::now();
        note(&trouble, &Ok(vec![DebouncedEvent { event: lost, time }]));
        assert!(trouble.wants_rearming(REARM) && !trouble.wants_rearming(Duration::ZERO));
    }

    #[test]
    fn other_trouble_is_told_as_it_is() {
        let error = notify::Error::generic("odd");
        assert!(watch_trouble(Path::new("/x"), &error).contains("odd"));
    }
}
