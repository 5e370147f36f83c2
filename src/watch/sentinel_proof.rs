//! Proves that one source's watch works: touches the sentinel, and waits for the system
//! to tell of that.

use super::options::WatchParts;
use super::proof::{Prover, Step};
use super::trouble::{Trouble, period_text};
use crate::clock::Clock;
use crate::files;
use crate::files::{MARKER_FILE_NAME, Touched};
use crate::guard::{Settled, Standing, root_sentinel};
use crate::source::SourceRuntime;
use crate::status::Watching;
use crate::types::Fault;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The proof of one source's watch, which may be set up anew any number of times.
pub(crate) struct SentinelProof {
    source: Arc<SourceRuntime>,
    clock: Clock,
    /// How often the folder is scanned as well where nothing can be proved.
    period: Duration,
    prover: Prover,
    can_touch: bool,
}

impl SentinelProof {
    /// The first one is due at `now`.
    pub fn new(parts: &WatchParts, now: Instant) -> Self {
        let options = &parts.options;
        let prover = Prover::new(options.prove_every, options.prove_within, parts.period, now);
        Self {
            source: Arc::clone(&parts.source),
            clock: parts.clock.clone(),
            period: parts.period,
            prover,
            can_touch: true,
        }
    }

    fn has_sentinel(&self) -> bool {
        self.source.config.sentinel
    }

    /// Take the next step if one is due; true when the watch has failed the proof.
    pub async fn step(&mut self, trouble: &Trouble) -> bool {
        if !self.has_sentinel() {
            return false;
        }
        let now = Instant::now();
        match self.prover.step(now, trouble.heard()) {
            Step::Wait => {}
            Step::Touch => self.touch(trouble, now).await,
            Step::Proven => {
                let now_ms = self.clock.now_ms();
                self.source.status.update(|status| {
                    status.proof.proven_ms = Some(now_ms);
                    status.watching = Watching::On;
                });
            }
            Step::Failed => {
                tracing::warn!(
                    source = %self.source.name(),
                    "the watch did not report a change made to prove it: setting it up again"
                );
                return true;
            }
        }
        false
    }

    async fn touch(&mut self, trouble: &Trouble, now: Instant) {
        trouble.forget_heard();
        let source = Arc::clone(&self.source);
        let work = move || touch(&source);
        let reason = match self.source.watchdog.run_to_the_end(work).await {
            Ok(reason) => reason,
            Err(fault) => Some(fault.to_string()),
        };
        self.can_touch = reason.is_none();
        match reason {
            None => {
                self.prover.asked(now);
                self.note(None);
            }
            Some(reason) => {
                self.prover.put_off(now);
                let every = period_text(self.period);
                self.note(Some(format!("the watch of this folder cannot prove that it works: {reason}. Keepwatch scans the folder every {every} as well")));
            }
        }
    }

    fn note(&self, note: Option<String>) {
        if self.source.status.note("proof", note.clone())
            && let Some(note) = note
        {
            tracing::info!(source = %self.source.name(), "{note}");
        }
    }

    /// Show in the status that nothing is proved, where the source has no sentinel.
    pub fn note_absence(&self) {
        if !self.has_sentinel() {
            let off = "that the watch of this folder works is not proved: sentinel = false";
            self.source.status.note("proof", Some(off.to_owned()));
        }
    }

    /// The watch is a new one, or the computer has slept: prove it at once.
    pub fn at_once(&mut self) {
        self.prover.at_once(Instant::now());
    }

    /// How long nothing needs to be done unless something is heard.
    pub fn wait(&self) -> Duration {
        match self.has_sentinel() {
            true => self.prover.wait(Instant::now()),
            false => Duration::MAX,
        }
    }

    /// The watch stayed silent after it was set up again.
    pub fn is_blind(&self) -> bool {
        self.prover.is_blind()
    }

    /// Whether the watch can be expected to tell of changes.
    pub fn is_relied_on(&self) -> bool {
        !self.has_sentinel() || (self.can_touch && !self.prover.is_blind())
    }
}

/// Touch the sentinel; write it first where it is missing. `Some` is why there is none
/// to touch.
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
        // Another computer's sentinel proves the watch as well.
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
