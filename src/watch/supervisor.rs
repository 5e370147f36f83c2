//! One source's watch: when it is set up again, when it is proved, and what is
//! scanned because it is not watched well enough.
//!
//! Invariants: nothing here decides about files; a set-up is always followed by
//! a scan of what nobody heard of meanwhile; tries that fail come less and less
//! often, but for ever.

use super::gather::Gathered;
use super::options::{WatchOptions, WatchParts};
use super::proof::{Prover, Step};
use super::trouble::{Trouble, watch_trouble};
use super::watcher::{Sinks, Watcher};
use crate::clock::Clock;
use crate::files;
use crate::files::{MARKER_FILE_NAME, RootId, Touched};
use crate::guard::{Settled, Standing, root_sentinel};
use crate::os;
use crate::os::{Mounts, WatchLimits};
use crate::source::{RunSignals, SourceRuntime};
use crate::status::{Event, Watching};
use crate::types::{Fault, RelPath, duration};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Errors of a new watch come through the debouncer, within this: after it, a
/// watch without trouble is a good one.
const ERRORS_WITHIN: Duration = Duration::from_secs(2);

/// A watch and what it was set up on.
struct Current {
    watcher: Watcher,
    root: RootId,
    mounts: Mounts,
}

/// What there is to be watched now.
struct Seen {
    root: RootId,
    mounts: Mounts,
    limits: Option<WatchLimits>,
}

/// Why a watch is set up; in words for the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    First,
    Back,
    Replaced,
    Mounted,
    Overflow,
    Unproven,
    Again,
}

impl Why {
    fn text(self) -> &'static str {
        match self {
            Why::First => "Keepwatch was started",
            Why::Back => "the folder is there again",
            Why::Replaced => "another folder was put in its place, or it was mounted again",
            Why::Mounted => "a disk was mounted or unmounted below the folder",
            Why::Overflow => "there were more changes at once than the system keeps",
            Why::Unproven => "it did not report a change that was made to prove it",
            Why::Again => "a part of the folder was not watched",
        }
    }
}

/// What must be scanned on the period because it is not watched well enough.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Blind {
    Nothing,
    Parts(BTreeSet<RelPath>),
    Whole,
}

/// Sets up one source's watch, proves it, and has scanned what it does not cover.
pub(crate) struct WatchSupervisor {
    source: Arc<SourceRuntime>,
    clock: Clock,
    signals: RunSignals,
    options: WatchOptions,
    root: PathBuf,
    /// How often what is not watched is scanned.
    period: Duration,
    gathered: Arc<Gathered>,
    current: Option<Current>,
    trouble: Arc<Trouble>,
    prover: Prover,
    /// Whether the marker can be touched.
    can_prove: bool,
    set_up_at: Instant,
    /// Set-ups in a row that gave no watch.
    failures: u32,
    was_missing: bool,
    scanned_at: Instant,
    /// When new mounts last had it set up again.
    remounted_at: Option<Instant>,
    limits: Option<WatchLimits>,
    mounts: Mounts,
}

impl WatchSupervisor {
    pub fn new(parts: WatchParts, gathered: Arc<Gathered>) -> Self {
        let now = Instant::now();
        let WatchParts {
            source,
            clock,
            signals,
            options,
            period,
        } = parts;
        Self {
            root: source.config.path.clone(),
            source,
            clock,
            signals,
            period,
            gathered,
            current: None,
            trouble: Arc::new(Trouble::default()),
            prover: Prover::new(options.prove_every, options.prove_within, period, now),
            can_prove: true,
            set_up_at: now,
            failures: 0,
            was_missing: false,
            scanned_at: now,
            remounted_at: None,
            limits: None,
            mounts: Mounts::default(),
            options,
        }
    }

    /// Never ends.
    pub async fn keep(&mut self, ready: oneshot::Sender<()>) {
        let mut ready = Some(ready);
        let mut woke = self.signals.woke();
        loop {
            match look(&self.source).await {
                Err(fault) => self.missing(&fault).await,
                Ok(seen) => {
                    let failed = self.prove().await;
                    let why = match ready.is_some() {
                        true => Some(Why::First),
                        false => self.why_again(&seen, failed),
                    };
                    if let Some(why) = why {
                        self.set_up(seen, why).await;
                        self.prove().await;
                    }
                    self.scan_what_is_blind();
                }
            }
            if let Some(ready) = ready.take() {
                // Whoever waited may have given up; then nobody needs to know.
                let _ = ready.send(());
            }
            let trouble = Arc::clone(&self.trouble);
            tokio::select! {
                () = trouble.news.notified() => {}
                () = tokio::time::sleep(self.pause()) => {}
                _ = woke.changed() => self.prover.at_once(Instant::now()),
            }
        }
    }

    /// How long nothing needs to be looked at unless something is heard.
    fn pause(&self) -> Duration {
        let proof = match self.current.is_some() && self.has_marker() {
            true => self.prover.wait(Instant::now()),
            false => Duration::MAX,
        };
        self.options.root_check.min(self.period).min(proof)
    }

    fn has_marker(&self) -> bool {
        self.source.config.sentinel
    }

    fn name(&self) -> &str {
        &self.source.config.name
    }

    fn why_again(&self, seen: &Seen, failed_proof: bool) -> Option<Why> {
        if self.was_missing {
            return Some(Why::Back);
        }
        let age = self.set_up_at.elapsed();
        let Some(current) = &self.current else {
            // 1, 2, 4, ... looks at the root, up to the period.
            let wait = self.options.root_check * 2_u32.saturating_pow(self.failures.min(16));
            let due = age >= wait.min(self.period) || self.is_raised(seen);
            return due.then_some(Why::Again);
        };
        if current.root != seen.root || self.trouble.root_lost() {
            return Some(Why::Replaced);
        }
        if failed_proof {
            return Some(Why::Unproven);
        }
        let rested = |at: Instant| at.elapsed() >= self.options.rearm;
        if current.mounts != seen.mounts && self.remounted_at.is_none_or(rested) {
            return Some(Why::Mounted);
        }
        if self.trouble.overflowed() && age >= self.options.rearm {
            return Some(Why::Overflow);
        }
        let unwatched = self.trouble.unwatched();
        let again = !unwatched.is_empty() && age >= self.period;
        (again || (unwatched.limit.is_some() && self.is_raised(seen))).then_some(Why::Again)
    }

    /// A limit is higher than when the watch was set up.
    fn is_raised(&self, seen: &Seen) -> bool {
        let (Some(then), Some(now)) = (self.limits, seen.limits) else {
            return false;
        };
        now.watches.value > then.watches.value || now.instances.value > then.instances.value
    }

    /// Put the watch to the proof when that is due; true when it has failed.
    async fn prove(&mut self) -> bool {
        if self.current.is_none() || !self.has_marker() {
            return false;
        }
        let now = Instant::now();
        match self.prover.step(now, self.trouble.heard()) {
            Step::Wait => false,
            Step::Touch => {
                self.touch(now).await;
                false
            }
            Step::Proven => {
                let now_ms = self.clock.now_ms();
                self.source.status.update(|status| {
                    status.proof.proven_ms = Some(now_ms);
                    status.watching = Watching::On;
                });
                false
            }
            Step::Failed => {
                tracing::warn!(
                    source = %self.name(),
                    "the watch did not report a change made to prove it: setting it up again"
                );
                true
            }
        }
    }

    async fn touch(&mut self, now: Instant) {
        self.trouble.forget_heard();
        let source = Arc::clone(&self.source);
        let work = move || touch(&source);
        let touched = self.source.watchdog.run_to_the_end(work).await;
        let reason = match touched {
            Ok(None) => {
                self.prover.asked(now);
                None
            }
            Ok(Some(reason)) => Some(reason),
            Err(fault) => Some(fault.to_string()),
        };
        self.can_prove = reason.is_none();
        let note = reason.map(|reason| {
            self.prover.put_off(now);
            let every = self.every();
            format!("the watch of this folder cannot prove that it works: {reason}. Keepwatch scans the folder every {every} as well")
        });
        if self.source.status.note("proof", note.clone())
            && let Some(note) = note
        {
            tracing::info!(source = %self.name(), "{note}");
        }
    }

    fn every(&self) -> String {
        duration(u64::try_from(self.period.as_millis()).unwrap_or(u64::MAX))
    }

    /// Set the watch up (again), and have the folder scanned for what nobody
    /// heard of meanwhile.
    async fn set_up(&mut self, seen: Seen, why: Why) {
        self.drop_watch().await;
        self.was_missing = false;
        self.source.status.warn("folder", None);
        self.settle_marker().await;
        self.trouble = Arc::new(Trouble::default());
        self.set_up_at = Instant::now();
        if why == Why::Mounted {
            self.remounted_at = Some(self.set_up_at);
        }
        self.limits = seen.limits;
        self.mounts = seen.mounts.clone();
        self.note_shared();
        if let Some(watcher) = self.register().await {
            self.current = Some(Current {
                watcher,
                root: seen.root,
                mounts: seen.mounts,
            });
            self.failures = 0;
            self.prover.at_once(Instant::now());
        } else {
            self.failures = self.failures.saturating_add(1);
        }
        if why != Why::First {
            tracing::info!(source = %self.name(), "the watch was set up again: {}", why.text());
            let now_ms = self.clock.now_ms();
            self.source.status.update(|status| {
                status.proof.rebuilt += 1;
                status.proof.rebuilt_ms = Some(now_ms);
                status.proof.rebuilt_why = why.text().to_owned();
            });
            // A try that failed has changed nothing: the period takes care.
            if self.current.is_some() || why != Why::Again {
                self.source.work.scans.ask_whole(false);
                self.scanned_at = Instant::now();
            }
        }
    }

    /// The marker is written before the watch begins: that is no change.
    async fn settle_marker(&self) {
        let guard = Arc::clone(&self.source.guard);
        let work = move || root_sentinel::settle(&guard);
        let settled = self.source.watchdog.run_to_the_end(work).await;
        if let Err(fault) = settled {
            tracing::warn!(source = %self.name(), "{fault}");
        }
    }

    /// The watch, or `None` when there can be none for now.
    async fn register(&self) -> Option<Watcher> {
        let sinks = Sinks {
            source: Arc::clone(&self.source),
            clock: self.clock.clone(),
            signals: self.signals.clone(),
            trouble: Arc::clone(&self.trouble),
            gathered: Arc::clone(&self.gathered),
            period: self.period,
        };
        let (root, silencer) = (self.root.clone(), self.options.silencer.clone());
        let made =
            tokio::task::spawn_blocking(move || Watcher::set_up(&root, &sinks, silencer.as_ref()));
        let text = match made.await {
            Ok(Ok(watcher)) => {
                tracing::info!(source = %self.name(), folder = %self.root.display(), "watching");
                if !self.prover.is_blind() {
                    self.source
                        .status
                        .update(|status| status.watching = Watching::On);
                } else {
                    self.tell_blind();
                }
                self.source.status.tell(Event::Watching {
                    source: self.source.status.name(),
                });
                return Some(watcher);
            }
            Ok(Err(error)) => watch_trouble(&self.root, &error, self.period),
            Err(error) => format!(
                "{}: the watch could not be set up: {error}",
                self.root.display()
            ),
        };
        self.source
            .status
            .update(|status| status.watching = Watching::Off(text.clone()));
        if self.source.status.warn("watch", Some(text.clone())) {
            tracing::error!(source = %self.name(), "{text}");
        }
        None
    }

    /// Set up again, and silent again.
    fn tell_blind(&self) {
        let text = format!(
            "{}: the system does not report changes although the watch was set up again and again. Keepwatch scans the folder every {} instead",
            self.root.display(),
            self.every()
        );
        self.source
            .status
            .update(|status| status.watching = Watching::Off(text.clone()));
    }

    /// A shared folder is watched, but what other computers do there makes no
    /// event here.
    fn note_shared(&self) {
        let off = (!self.has_marker()).then(|| {
            "that the watch of this folder works is not proved: sentinel = false".to_owned()
        });
        if off.is_some() {
            self.source.status.note("proof", off);
        }
        let own = self.mounts.own.iter();
        let shared: Vec<String> = own
            .chain(&self.mounts.below)
            .filter(|mount| os::changes_unseen(&mount.kind))
            .map(|mount| format!("{} ({})", mount.point.display(), mount.kind))
            .take(SHARED_NAMED_MAX)
            .collect();
        let note = (!shared.is_empty()).then(|| {
            format!(
                "changes that other computers make on a network drive are not reported by the system: {}. Keepwatch scans it every {}",
                shared.join(", "),
                self.every()
            )
        });
        if self.source.status.note("shared", note.clone())
            && let Some(note) = note
        {
            tracing::info!(source = %self.name(), "{note}");
        }
    }

    fn blind(&self) -> Blind {
        let is_shared = |mount: &os::Mount| os::changes_unseen(&mount.kind);
        let unwatched = self.trouble.unwatched();
        let is_whole = self.current.is_none()
            || unwatched.whole
            || (self.has_marker() && (!self.can_prove || self.prover.is_blind()))
            || self.mounts.own.as_ref().is_some_and(is_shared);
        if is_whole {
            return Blind::Whole;
        }
        let mut parts = unwatched.parts;
        let real = self.root.canonicalize();
        let real = real.as_deref().unwrap_or(&self.root);
        for mount in self.mounts.below.iter().filter(|mount| is_shared(mount)) {
            parts.extend(below(real, &mount.point));
        }
        match parts.is_empty() {
            true => Blind::Nothing,
            false => Blind::Parts(parts),
        }
    }

    /// What is not watched well enough is scanned on the period.
    fn scan_what_is_blind(&mut self) {
        let (status, scans) = (&self.source.status, &self.source.work.scans);
        if self.current.is_some()
            && self.trouble.unwatched().is_empty()
            && self.set_up_at.elapsed() >= ERRORS_WITHIN
        {
            status.warn("watch", None);
        }
        if self.scanned_at.elapsed() < self.period {
            return;
        }
        // A scan that takes longer than the period is not asked for again.
        let is_scanning = status.snapshot().scanning.is_some();
        match self.blind() {
            Blind::Nothing => return,
            Blind::Whole if is_scanning => return,
            Blind::Whole => scans.ask_whole(false),
            Blind::Parts(parts) => {
                for part in parts {
                    scans.ask_subtree(part);
                }
            }
        }
        self.scanned_at = Instant::now();
    }

    /// The root is not there: the watch is dead, and nothing may be taken for
    /// deleted.
    async fn missing(&mut self, fault: &Fault) {
        self.drop_watch().await;
        self.was_missing = true;
        let text = fault.to_string();
        let status = &self.source.status;
        status.update(|status| {
            status.watching = Watching::Off(text.clone());
        });
        if status.warn("folder", Some(text)) {
            tracing::error!(source = %self.name(), "{fault}; nothing is marked as deleted meanwhile");
            status.tell(Event::Failed {
                source: status.name(),
                fault: fault.clone(),
            });
        }
    }

    /// Let the watch go, if there is one.
    pub async fn drop_watch(&mut self) {
        if let Some(current) = self.current.take() {
            current.watcher.tear_down().await;
        }
    }
}

/// Network drives named in a note.
const SHARED_NAMED_MAX: usize = 5;

async fn look(source: &SourceRuntime) -> Result<Seen, Fault> {
    let root = source.config.path.clone();
    let work = move || {
        Ok(Seen {
            root: files::root_state(&root)?,
            mounts: os::mounts_of(&root),
            limits: os::watch_limits(),
        })
    };
    source.watchdog.run_to_the_end(work).await
}

/// Touch the marker, writing it first where it is missing. `Some` is why there
/// is none to touch.
fn touch(source: &SourceRuntime) -> Result<Option<String>, Fault> {
    let settled = root_sentinel::settle(&source.guard)?;
    match settled {
        Settled::Unwritable(fault) => return Ok(Some(fault.to_string())),
        Settled::Unsure(Standing::Absent { .. }) => {
            return Ok(Some(
                "its marker is missing, and the folder is not the one that was here before"
                    .to_owned(),
            ));
        }
        // Another's marker proves the watch as well.
        Settled::Marked | Settled::Off | Settled::Unsure(_) => {}
    }
    Ok(match files::touch_marker(&source.config.path)? {
        Touched::Yes => None,
        Touched::Absent => Some("its marker has just been deleted".to_owned()),
        Touched::Foreign => Some(format!(
            "something named {MARKER_FILE_NAME} is there that Keepwatch has not written; it is left alone and not backed up, rename it"
        )),
    })
}

fn below(root: &Path, path: &Path) -> Option<RelPath> {
    os::os_to_rel(path.strip_prefix(root).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_words_of_its_own() {
        let all = [
            Why::First,
            Why::Back,
            Why::Replaced,
            Why::Mounted,
            Why::Overflow,
            Why::Unproven,
            Why::Again,
        ];
        let texts: BTreeSet<&str> = all.iter().map(|why| why.text()).collect();
        assert_eq!(texts.len(), all.len());
    }
}
