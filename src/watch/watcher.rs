//! The system's watcher and its callback.
//!
//! Invariants: the callback never blocks and never decides, it passes hints on. Any doubt
//! (overflow, rescan flag, error) asks for a scan. An event of the sentinel proves that the
//! watch works, and nothing else.

use super::gather::Gathered;
use super::tap;
use super::tap::{RawEventTee, Silencer};
use super::trouble::{Trouble, limit_of, watch_trouble};
use crate::clock::Clock;
use crate::files::MARKER_FILE_NAME;
use crate::os;
use crate::source::{RunSignals, SourceRuntime};
use crate::types::RelPath;
use notify::event::{Event, EventKind};
use notify::{EventKindMask, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, Debouncer, NoCache};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the debouncer keeps events, to join renames and drop what cancels out: a tenth
/// of the default debounce time, which counts from the event's own time. Its thread wakes
/// four times as often.
const DEBOUNCER: Duration = Duration::from_millis(200);

/// The shortest time between two rescans, so that a storm of overflows does not keep the
/// scanner busy for ever (nrwl/nx #37136).
const RESCAN_COOLDOWN: Duration = Duration::from_secs(10);

/// How long to wait for an old watcher to release its folders: 100,000 take 3 s.
const DROP_WAIT: Duration = Duration::from_secs(30);

/// One set-up watch.
pub(crate) struct Watcher {
    inner: Debouncer<RawEventTee, NoCache>,
    root: PathBuf,
}

/// Where the callback puts what it hears.
#[derive(Clone)]
pub(crate) struct Sinks {
    pub source: Arc<SourceRuntime>,
    pub clock: Clock,
    pub signals: RunSignals,
    pub trouble: Arc<Trouble>,
    pub gathered: Arc<Gathered>,
    /// How often what is not watched is scanned; for messages.
    pub period: Duration,
}

impl Watcher {
    /// Watch everything below `root`. A watcher that covers only a part is kept, and
    /// `trouble` learns of it. Blocks.
    pub fn set_up(root: &Path, sinks: &Sinks, silencer: Option<&Silencer>) -> notify::Result<Self> {
        let config = notify::Config::default()
            .with_follow_symlinks(false)
            // Without access events: our own reads must not wake us.
            .with_event_kinds(EventKindMask::CORE);
        let resolved = std::fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
        let roots = [root.to_owned(), resolved];
        let listener = {
            let (sinks, roots) = (sinks.clone(), roots.clone());
            Box::new(move |event: &notify::Result<Event>| {
                // The debouncer holds these back for as long as more come.
                if let Ok(event) = event
                    && !event
                        .paths
                        .iter()
                        .all(|path| path.ends_with(MARKER_FILE_NAME))
                {
                    sinks.signals.note_heard(sinks.clock.steady_ms());
                }
                match event {
                    Ok(event) if event.need_rescan() => sinks.trouble.note_overflow(),
                    Ok(event) if event.kind.is_modify() => {
                        sinks.hear(&roots, event, sinks.clock.steady_ms(), false);
                    }
                    _ => {}
                }
            })
        };
        let handler = {
            let sinks = sinks.clone();
            let mut last_rescan = None;
            move |result: DebounceEventResult| sinks.handle(&roots, &mut last_rescan, result)
        };
        let mut inner = tap::with_listener(listener, silencer, || {
            notify_debouncer_full::new_debouncer_opt::<_, RawEventTee, _>(
                DEBOUNCER,
                None,
                handler,
                NoCache::new(),
                config,
            )
        })?;
        match inner.watch(root, RecursiveMode::Recursive) {
            Ok(()) => {}
            // A part is watched, which is better than nothing.
            Err(error) if is_partial(root, &error) => sinks.failed(root, &error),
            Err(error) => return Err(error),
        }
        Ok(Self {
            inner,
            root: root.to_owned(),
        })
    }

    /// Tear the watch down. Afterwards its folders are free for a new one, unless it does
    /// not answer.
    pub async fn tear_down(self) {
        let torn = tokio::task::spawn_blocking(move || {
            let Self { mut inner, root } = self;
            // A drop alone returns before the kernel has taken the watches back. Both panic
            // when the watcher's thread has died.
            let _ = catch_unwind(AssertUnwindSafe(|| inner.unwatch(&root)));
            let _ = catch_unwind(AssertUnwindSafe(|| drop(inner)));
        });
        // It may hang on a network folder; then nobody waits for it.
        let _ = tokio::time::timeout(DROP_WAIT, torn).await;
    }
}

/// The walk through the folders met a limit below the root.
fn is_partial(root: &Path, error: &notify::Error) -> bool {
    matches!(error.kind, notify::ErrorKind::MaxFilesWatch)
        && error.paths.first().is_some_and(|path| path != root)
}

impl Sinks {
    fn handle(
        &self,
        roots: &[PathBuf; 2],
        last_rescan: &mut Option<Instant>,
        result: DebounceEventResult,
    ) {
        match result {
            Ok(events) => {
                for event in &events {
                    // An overflow has no path: check the flag first.
                    if event.need_rescan() {
                        self.trouble.note_overflow();
                        self.rescan(last_rescan, "the system lost events");
                        continue;
                    }
                    let age = i64::try_from(event.time.elapsed().as_millis()).unwrap_or(0);
                    self.hear(roots, event, self.clock.steady_ms() - age, true);
                }
            }
            Err(errors) => {
                for error in &errors {
                    self.failed(&roots[0], error);
                    if limit_of(error).is_some() {
                        // The new folder is scanned like any other.
                        continue;
                    }
                    match self.below(roots, error.paths.first()) {
                        Some(part) => self.source.work.scans.ask_subtree(part),
                        None => self.rescan(last_rescan, "the watch reported an error"),
                    }
                }
            }
        }
    }

    /// Something could not be watched: remember it, and say so once.
    fn failed(&self, root: &Path, error: &notify::Error) {
        match limit_of(error) {
            Some(met) => {
                if self.trouble.note_limit(met) {
                    self.source.work.scans.ask_whole(false);
                }
            }
            None => {
                let part = error.paths.first().and_then(|p| p.strip_prefix(root).ok());
                self.trouble
                    .note_failure(part.and_then(|part| os::os_to_rel(part).ok()));
            }
        }
        let text = watch_trouble(root, error, self.period);
        if self.source.status.warn("watch", Some(text.clone())) {
            tracing::warn!(source = %self.source.name(), "{text}");
        }
    }

    fn rescan(&self, last: &mut Option<Instant>, why: &str) {
        let scans = &self.source.work.scans;
        scans.lost_news();
        if last.is_none_or(|at| at.elapsed() >= RESCAN_COOLDOWN) {
            *last = Some(Instant::now());
            tracing::warn!(source = %self.source.name(), "{why}: scanning the folder");
            scans.ask_whole(false);
        } else {
            // Within the cooldown, maintenance begins it later.
            scans.ask_later();
        }
    }

    fn below(&self, roots: &[PathBuf; 2], path: Option<&PathBuf>) -> Option<RelPath> {
        let path = path?;
        let below = roots.iter().find_map(|root| path.strip_prefix(root).ok());
        os::os_to_rel(below?).ok()
    }

    /// `through` says that the event came through the debouncer too.
    fn hear(&self, roots: &[PathBuf; 2], event: &Event, at_ms: i64, through: bool) {
        if matches!(event.kind, EventKind::Access(_)) {
            return;
        }
        for path in &event.paths {
            let Some(path) = self.below(roots, Some(path)) else {
                continue;
            };
            if path.as_bytes() == MARKER_FILE_NAME.as_bytes() {
                if through {
                    self.trouble.note_heard();
                }
                continue;
            }
            if path.is_root() {
                if event.kind.is_remove() {
                    self.trouble.note_root_lost();
                }
                self.source.work.scans.ask_subtree(RelPath::root());
            } else if !self.gathered.add(&path, at_ms) {
                let folder = path.parent().unwrap_or_default();
                self.source.work.scans.ask_subtree(folder);
            }
        }
    }
}
