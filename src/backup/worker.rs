//! One worker: takes a path from the queue, gives it its turn, and tells queue, circuit
//! breaker and index what came of it.
//!
//! Invariant: a path that fails is written down as unprotected or goes back into the
//! queue, never forgotten.

use super::deferred::{readiness, rename_wait_ms, wake_until_run};
use super::execute::{Executor, PathDone, work};
use super::item::Item;
use super::outcome::Outcome;
use super::rehint::hint_again;
use crate::clock::Clock;
use crate::config::Limits;
use crate::destination;
use crate::files;
use crate::files::Pulse;
use crate::index::Index;
use crate::os::blocking::blocking;
use crate::retry::Backoff;
use crate::source::{RunSignals, SourceRuntime, Sources};
use crate::status::Event;
use crate::types::{Class, Fault, Kind, RelKey, RelPath};
use crate::work::{Lane, Queue};
use std::sync::Arc;
use std::time::Duration;

/// Before a path is worked on again whose failure the index could not note.
const INDEX_PAUSE: Duration = Duration::from_secs(1);

/// One worker.
pub struct Worker {
    /// All sources.
    pub sources: Sources,
    /// Where the paths come from.
    pub queue: Queue,
    /// Where paths that fail are written down.
    pub index: Index,
    /// The clocks.
    pub clock: Clock,
    /// Says that the run ends.
    pub signals: RunSignals,
    /// How long a change settles.
    pub limits: Limits,
    /// Carries out what is planned.
    pub executor: Executor,
}

/// What the queue is told of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// A worker is done with it.
    Done,
    /// It waits again.
    GiveBack,
    /// It waits until nothing else does.
    Defer,
}

impl Worker {
    /// Work until the queue is closed.
    pub async fn run(self) {
        while let Some(item) = self.next_item().await {
            let next = match destination::is_ours(&item.source.destination).await {
                Ok(true) => {
                    let result = work(&self.executor, &item, self.rename_wait_ms()).await;
                    self.settle(&item, result).await
                }
                // It waits for somebody's word.
                Ok(false) => {
                    self.executor.breakers.abandoned(&item);
                    Next::GiveBack
                }
                Err(fault) => self.settle(&item, Err(fault)).await,
            };
            // Before another worker may take the same path.
            item.source.breaker.ended(&item.path);
            match next {
                Next::Done => self.queue.done(&item),
                Next::GiveBack => self.queue.give_back(&item),
                Next::Defer => {
                    if self.queue.defer(&item, self.clock.monotonic_ms()) {
                        tokio::spawn(wake_until_run(Arc::clone(&item.source)));
                    }
                }
            }
        }
    }

    /// The next path that may be worked on; `None` when the queue is closed.
    async fn next_item(&self) -> Option<Item> {
        let may_start = |source: &Arc<SourceRuntime>, path: &RelPath, lane: Lane| {
            // A stop waits for edits alone.
            let is_over = lane == Lane::Backlog && self.signals.is_ending();
            !is_over
                && source.destination.may_send()
                && source.watchdog.may_work()
                && source.breaker.may_start(path, lane, self.clock.now_ms())
        };
        let readiness = |source: &Arc<SourceRuntime>, deferred_ms| {
            let waited_ms = self.clock.monotonic_ms() - deferred_ms;
            readiness(source, deferred_ms, waited_ms, self.rename_wait_ms())
        };
        self.queue.pop(&self.sources, may_start, readiness).await
    }

    fn rename_wait_ms(&self) -> i64 {
        rename_wait_ms(self.limits.debounce_ms, self.signals.is_ending())
    }

    async fn settle(&self, item: &Item, result: Result<PathDone, Fault>) -> Next {
        let breakers = &self.executor.breakers;
        match result {
            Ok(done) => {
                match done.outcome {
                    Outcome::Sent => breakers.took(item),
                    Outcome::Answered => breakers.answered(item),
                    Outcome::Agreed | Outcome::Changed | Outcome::Deferred => {
                        breakers.abandoned(item);
                    }
                }
                if done.outcome == Outcome::Deferred {
                    return Next::Defer;
                }
                if done.outcome == Outcome::Changed || done.is_other_kind {
                    self.hint_again(item);
                }
                if done.outcome != Outcome::Changed && done.may_be_unprotected {
                    self.protected(item).await;
                }
                Next::Done
            }
            // It went away under our hands: look again, it is a deletion now. One
            // that is always there and never there is told like any other failure.
            Err(fault) if fault.class == Class::Vanished && !item.deadline => {
                breakers.abandoned(item);
                self.hint_again(item);
                Next::Done
            }
            Err(fault) => self.failed(item, fault).await,
        }
    }

    fn hint_again(&self, item: &Item) {
        let max_ms = i64::try_from(self.limits.debounce_max_ms).unwrap_or(i64::MAX);
        hint_again(item, self.clock.monotonic_ms(), max_ms);
    }

    async fn failed(&self, item: &Item, fault: Fault) -> Next {
        if self.executor.breakers.failed(item, &fault) {
            tracing::debug!(
                at_once = item.source.breaker.at_once(),
                "fewer uploads at a time: {fault}"
            );
            return Next::GiveBack;
        }
        if fault.class.is_destination() && item.source.breaker.outage().is_some() {
            // Not this file's trouble: it waits in the queue for the bucket.
            return Next::GiveBack;
        }
        let fault = fault.about(item.path.to_string());
        let name = &item.source.config.name;
        match self.mark_unprotected(item, &fault).await {
            Ok(1) => {
                tracing::warn!(source = %name, "{fault}");
                item.source.status.tell(Event::Failed {
                    source: item.source.status.name(),
                    fault,
                });
                Next::Done
            }
            Ok(attempts) => {
                tracing::debug!(source = %name, attempts, "again: {fault}");
                Next::Done
            }
            Err(index_fault) => {
                // The index cannot even note it: keep it in the queue.
                tracing::error!(source = %name, "{index_fault}; while noting: {fault}");
                tokio::time::sleep(INDEX_PAUSE).await;
                Next::GiveBack
            }
        }
    }

    /// Write down that the path failed. Says how often it has by now.
    async fn mark_unprotected(&self, item: &Item, fault: &Fault) -> Result<u32, Fault> {
        let (index, item, fault) = (self.index.clone(), item.clone(), fault.clone());
        let now_ms = self.clock.now_ms();
        blocking(move || {
            let (id, key) = (item.source.id, RelKey::of_file(&item.path));
            let attempts = index.unprotected_attempts(id, &key)?.saturating_add(1);
            let delay = Backoff::of_fault(&fault).delay_ms(attempts, fastrand::u64(..));
            let next_ms = now_ms + i64::try_from(delay).unwrap_or(i64::MAX);
            index.mark_unprotected(id, &key, &fault, now_ms, next_ms)?;
            Ok(attempts)
        })
        .await
    }

    /// The path is as it should be: it is not "unprotected" any more. A folder that
    /// was, because it could not be read, is walked now that it can.
    async fn protected(&self, item: &Item) {
        let (index, item) = (self.index.clone(), item.clone());
        let pulse = Pulse::default();
        let beat = pulse.clone();
        let watchdog = item.source.watchdog.clone();
        let clear = move || {
            beat.rest(); // the index is another disk
            let source = &item.source;
            let key = RelKey::of_file(&item.path);
            if index.unprotected_attempts(source.id, &key)? == 0 {
                return Ok(());
            }
            index.clear_unprotected(source.id, &key)?;
            beat.beat();
            let found = files::stat(&source.config.path, &item.path)?;
            if found.is_some_and(|f| f.kind == Kind::Folder) {
                item.source.work.scans.ask_subtree(item.path.clone());
            }
            Ok(())
        };
        if let Err(fault) = watchdog.run(&pulse, clear).await {
            tracing::error!("{fault}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stack has 2 MiB, and an unoptimised build copies a future a few times on its way.
    const FUTURE_BYTES_MAX: usize = 16 * 1024;

    /// Bytes of the future that `make` would make.
    fn future_bytes<A, B, F: Future>(_make: impl Fn(A, B) -> F) -> usize {
        size_of::<F>()
    }

    /// Named after the bug: turns that grew by a few calls overflowed a worker's stack.
    #[test]
    fn a_turn_is_small_enough_for_a_stack() {
        type Held<T> = &'static T;
        let turn = future_bytes(|by: Held<Executor>, item: Held<Item>| work(by, item, 0));
        let worker = future_bytes(|worker: Worker, (): ()| worker.run());
        assert!(turn <= FUTURE_BYTES_MAX, "a turn takes {turn} bytes");
        assert!(worker <= FUTURE_BYTES_MAX, "a worker takes {worker} bytes");
    }
}
