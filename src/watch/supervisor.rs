//! Sets up one source's watch, and decides when to do so again.
//!
//! Invariants: nothing here decides about files; every set-up is followed by a scan for
//! what nobody heard of meanwhile; tries that fail come less and less often, but never
//! end.

use super::blind_spots::{BlindSpots, shared_note};
use super::gather::Gathered;
use super::options::{WatchOptions, WatchParts};
use super::sentinel_proof::SentinelProof;
use super::trouble::{Trouble, period_text, watch_trouble};
use super::watcher::{Sinks, Watcher};
use crate::clock::Clock;
use crate::files;
use crate::files::RootId;
use crate::guard::root_sentinel;
use crate::os;
use crate::os::{Mounts, WatchLimits};
use crate::source::{RunSignals, SourceRuntime};
use crate::status::{Event, FOLDER, Watching};
use crate::types::Fault;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The debouncer passes on the errors of a new watch within this. A watch without an error
/// after that is a good one.
const ERRORS_WITHIN: Duration = Duration::from_secs(2);

/// A watch, and what it was set up on.
struct Current {
    watcher: Watcher,
    root: RootId,
    mounts: Mounts,
}

/// What is to be watched now.
struct Seen {
    root: RootId,
    mounts: Mounts,
    limits: Option<WatchLimits>,
}

/// Why a watch is set up.
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

/// Sets up one source's watch, has it proved, and asks for scans of what it does not cover.
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
    proof: SentinelProof,
    set_up_at: Instant,
    /// Set-ups in a row that failed.
    failures: u32,
    was_missing: bool,
    scanned_at: Instant,
    /// When it was last set up for new mounts.
    remounted_at: Option<Instant>,
    limits: Option<WatchLimits>,
    mounts: Mounts,
}

impl WatchSupervisor {
    pub fn new(parts: WatchParts, gathered: Arc<Gathered>) -> Self {
        let now = Instant::now();
        let proof = SentinelProof::new(&parts, now);
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
            proof,
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
                    self.scan_blind_spots();
                }
            }
            if let Some(ready) = ready.take() {
                // Whoever waited may have given up.
                let _ = ready.send(());
            }
            let trouble = Arc::clone(&self.trouble);
            tokio::select! {
                () = trouble.news.notified() => {}
                () = tokio::time::sleep(self.pause()) => {}
                _ = woke.changed() => self.proof.at_once(),
            }
        }
    }

    /// How long to wait unless something is heard.
    fn pause(&self) -> Duration {
        let pause = self.options.root_check.min(self.period);
        match self.current {
            Some(_) => pause.min(self.proof.wait()),
            None => pause,
        }
    }

    /// Put the watch to the proof when that is due; true when it has failed.
    async fn prove(&mut self) -> bool {
        self.current.is_some() && self.proof.step(&self.trouble).await
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
            // Waits for 1, 2, 4, ... checks of the root, at most the period.
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

    /// Somebody has raised a limit since the watch was set up.
    fn is_raised(&self, seen: &Seen) -> bool {
        let (Some(then), Some(now)) = (self.limits, seen.limits) else {
            return false;
        };
        now.watches.value > then.watches.value || now.instances.value > then.instances.value
    }

    /// Set the watch up, and ask for a scan for what nobody heard of meanwhile.
    async fn set_up(&mut self, seen: Seen, why: Why) {
        self.drop_watch().await;
        self.was_missing = false;
        self.source.status.warn(FOLDER, None);
        self.settle_sentinel().await;
        self.trouble = Arc::new(Trouble::default());
        self.set_up_at = Instant::now();
        if why == Why::Mounted {
            self.remounted_at = Some(self.set_up_at);
        }
        self.limits = seen.limits;
        self.mounts = seen.mounts.clone();
        self.proof.note_absence();
        self.note_shared();
        if let Some(watcher) = self.register().await {
            self.current = Some(Current {
                watcher,
                root: seen.root,
                mounts: seen.mounts,
            });
            self.failures = 0;
            self.proof.at_once();
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
            // A failed try has changed nothing: the scans on the period go on.
            if self.current.is_some() || why != Why::Again {
                self.source.work.scans.ask_whole(false);
                self.scanned_at = Instant::now();
            }
        }
    }

    /// Write the sentinel before the watch begins: that is no change.
    async fn settle_sentinel(&self) {
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
                let watching = match self.proof.is_blind() {
                    true => Watching::Off(self.blind_text()),
                    false => Watching::On,
                };
                self.source
                    .status
                    .update(|status| status.watching = watching);
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

    /// What is told of a watch that was set up again and stayed silent.
    fn blind_text(&self) -> String {
        format!(
            "{}: the system does not report changes although the watch was set up again and again. Keepwatch scans the folder every {} instead",
            self.root.display(),
            period_text(self.period)
        )
    }

    /// Tell of the network drives: what other computers do there makes no event here.
    fn note_shared(&self) {
        let note = shared_note(&self.mounts, self.period);
        if self.source.status.note("shared", note.clone())
            && let Some(note) = note
        {
            tracing::info!(source = %self.name(), "{note}");
        }
    }

    /// Have what is not watched well enough scanned, once in a period.
    fn scan_blind_spots(&mut self) {
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
        // Do not ask again while a scan takes longer than the period.
        let is_scanning = status.snapshot().scanning.is_some();
        let is_relied_on = self.current.is_some() && self.proof.is_relied_on();
        let unwatched = self.trouble.unwatched();
        match BlindSpots::of(&self.root, is_relied_on, unwatched, &self.mounts) {
            BlindSpots::None => return,
            BlindSpots::Whole if is_scanning => return,
            BlindSpots::Whole => scans.ask_whole(false),
            BlindSpots::Parts(parts) => {
                for part in parts {
                    scans.ask_subtree(part);
                }
            }
        }
        self.scanned_at = Instant::now();
    }

    /// The root is missing: the watch is dead, and nothing may be taken for deleted.
    async fn missing(&mut self, fault: &Fault) {
        self.drop_watch().await;
        self.was_missing = true;
        let text = fault.to_string();
        let status = &self.source.status;
        status.update(|status| {
            status.watching = Watching::Off(text.clone());
        });
        if status.warn(FOLDER, Some(text)) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

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
