//! Debounces the changes of one source: hints come in, paths that have been quiet go out.
//! Each source has its own loop, so that a disk that hangs holds up only its own changes.
//!
//! Invariant: every hint leads to a queued path or a scan, or to nothing if the path is
//! excluded. Too many at once lead to a scan of the whole source.

use super::debounce::{Debouncer, Full, Settled, Touched};
use crate::clock::Clock;
use crate::config::Limits;
use crate::files;
use crate::index::Index;
use crate::os::Found;
use crate::os::blocking::blocking;
use crate::source::{FileId, RunSignals, SourceRuntime, Sources};
use crate::types::{Fault, Kind, RelKey, RelPath, WallMs};
use crate::watchdog::{LoopPulse, Outside, TURN};
use crate::work::Hint;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Paths looked at in one blocking call, to keep it short.
const BATCH: usize = 256;

/// How long to wait after a look that failed as a whole.
const AFTER_FAULT: Duration = Duration::from_secs(1);

/// After a request to stop, so long without a change is enough: a program that still writes
/// makes a change within it.
const ENDING_QUIET_MS: i64 = 200;

/// What a due path turned out to be.
enum Seen {
    /// A file or link.
    File {
        /// When it was modified, milliseconds since 1970.
        mtime_ms: WallMs,
        /// Other names of the same file, in whatever source.
        others: Vec<(Arc<SourceRuntime>, RelPath)>,
    },
    /// A folder, or a path below which the index knows files: it must be scanned.
    Folder,
    /// Nothing stands there.
    Gone,
    /// A rule leaves it out.
    Excluded,
}

/// Collects the changes of one source.
pub struct Collector {
    /// The source.
    pub source: Arc<SourceRuntime>,
    /// All sources: a file may have names in several.
    pub sources: Sources,
    /// The index.
    pub index: Index,
    /// The clocks.
    pub clock: Clock,
    /// Hears that the run ends.
    pub signals: RunSignals,
    /// How long a path must be quiet, and how many may wait.
    pub limits: Limits,
    /// Its sign of life.
    pub pulse: LoopPulse,
}

impl Collector {
    /// Collect until told to stop.
    pub async fn run(self, mut hints: mpsc::Receiver<Hint>, mut stop: watch::Receiver<bool>) {
        let own = Arc::new(self);
        let mut debouncer = Debouncer::new(
            own.limits.debounce_ms,
            own.limits.debounce_max_ms,
            own.limits.queue_items_max,
        );
        let mut ending = own.signals.ending();
        loop {
            own.pulse.turn();
            let wait = debouncer.next_due_ms().map_or(TURN, |due| {
                let due_ms = u64::try_from(due - own.clock.monotonic_ms()).unwrap_or(0);
                Duration::from_millis(due_ms).min(TURN)
            });
            tokio::select! {
                hint = hints.recv() => {
                    let Some(hint) = hint else { return };
                    own.take(&mut debouncer, hint);
                    // Take all that is there before looking at the clock again.
                    while let Ok(hint) = hints.try_recv() {
                        own.take(&mut debouncer, hint);
                    }
                }
                () = tokio::time::sleep(wait) => {}
                // The sender lives as long as the signals.
                Ok(()) = ending.changed() => debouncer.hurry(ENDING_QUIET_MS),
                _ = stop.changed() => return,
            }
            let release = own.release(&mut debouncer);
            own.pulse.outside(Outside::Source, release).await;
        }
    }

    fn take(&self, debouncer: &mut Debouncer, hint: Hint) {
        let Hint {
            path,
            first_ms,
            last_ms,
            is_given_back,
        } = hint;
        let work = &self.source.work;
        match debouncer.touch(path, first_ms, last_ms, is_given_back) {
            Ok(Touched::New) => {}
            Ok(Touched::Again { later_ms }) => work.settled(later_ms, 0),
            Err(Full) => {
                work.scans.lost_news();
                work.scans.ask_later();
                work.settled(first_ms, is_given_back.into());
            }
        }
    }

    async fn release(self: &Arc<Self>, debouncer: &mut Debouncer) {
        loop {
            let now_ms = self.clock.monotonic_ms();
            let due = debouncer.due(now_ms, BATCH);
            if due.is_empty() {
                return;
            }
            let seen = {
                let (own, due) = (Arc::clone(self), due.clone());
                blocking(move || Ok(due.iter().map(|path| own.see(path)).collect::<Vec<_>>())).await
            };
            let seen = match seen {
                Ok(seen) => seen,
                Err(fault) => {
                    tracing::error!("{fault}");
                    tokio::time::sleep(AFTER_FAULT).await;
                    return;
                }
            };
            for (path, seen) in due.into_iter().zip(seen) {
                let age_ms = match &seen {
                    Ok(Seen::File { mtime_ms, .. }) => Some(self.clock.now_ms() - *mtime_ms),
                    _ => None,
                };
                if let Some(settled) = debouncer.confirm(path, age_ms, now_ms) {
                    let (since_ms, given_back) = (settled.since_ms, settled.given_back);
                    self.pass_on(settled, seen);
                    self.source.work.settled(since_ms, given_back);
                }
            }
        }
    }

    fn pass_on(&self, settled: Settled, seen: Result<Seen, Fault>) {
        let Settled {
            path,
            since_ms,
            deadline,
            ..
        } = settled;
        let work = &self.source.work;
        if path.name() == files::RULE_FILE_NAME.as_bytes() {
            // The rules have changed: a scan finds what they take in or leave out.
            work.scans.ask_subtree(path.parent().unwrap_or_default());
        }
        match seen {
            Ok(Seen::Excluded) => {}
            Ok(Seen::Folder) => work.scans.ask_subtree(path),
            Ok(Seen::File { others, .. }) => {
                // It is the same file under all of its names.
                for (source, other) in others {
                    source.work.edit(other, since_ms, deadline);
                }
                work.edit(path, since_ms, deadline);
            }
            Ok(Seen::Gone) => work.edit(path, since_ms, deadline),
            // If it is a file, a worker finds out why; if it is a folder, its contents must
            // not be missed.
            Err(_) => {
                work.edit(path.clone(), since_ms, deadline);
                work.scans.ask_subtree(path);
            }
        }
    }

    fn see(&self, path: &RelPath) -> Result<Seen, Fault> {
        let (source, index) = (&self.source, &self.index);
        let stood = files::stat_found(&source.config.path, path)?;
        let found = stood.map(|stood| stood.fingerprint);
        if found.is_some() {
            source.guard.note_came();
        }
        let is_folder = found.is_some_and(|f| f.kind == Kind::Folder);
        let known_below = || {
            let below = RelKey::of_folder(path);
            match index.range(source.id, below.as_str(), None).next() {
                None => Ok(false),
                Some(entry) => entry.map(|_| true),
            }
        };
        if source.rules.excluded(path, is_folder) {
            // If a rule file has just excluded it, it leaves the backup.
            let known = index.get(source.id, &RelKey::of_file(path))?.is_some() || known_below()?;
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
                    others: stood.map_or_else(Vec::new, |stood| self.other_names(path, &stood)),
                })
            }
            Some(_) => Ok(Seen::Folder),
            None if known_below()? => Ok(Seen::Folder),
            None => Ok(Seen::Gone),
        }
    }

    /// The other names of a file that has several, as far as they are known. Where some are
    /// not, a scan is asked to look for them.
    fn other_names(&self, path: &RelPath, stood: &Found) -> Vec<(Arc<SourceRuntime>, RelPath)> {
        let Some(file) = FileId::of_linked(stood) else {
            return Vec::new();
        };
        let links = &self.source.links;
        let noted = links.note(file, self.source.id, path);
        let is_incomplete = noted.is_new && noted.names < stood.links;
        if is_incomplete && links.may_search(self.clock.monotonic_ms()) {
            let all = self.sources.iter();
            all.for_each(|source| source.work.scans.ask_later());
        }
        let names_in = |source: &Arc<SourceRuntime>| {
            let own = (source.id == self.source.id).then_some(path);
            let names = links.others(file, source.id, own);
            let source = Arc::clone(source);
            names
                .into_iter()
                .map(move |name| (Arc::clone(&source), name))
        };
        self.sources.iter().flat_map(names_in).collect()
    }
}
