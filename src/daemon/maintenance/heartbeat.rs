//! The heartbeat: retries what failed, and notices that the computer was asleep.

use super::beat::BEAT;
use super::broken::Broken;
use super::mending::{IndexMender, Mending};
use crate::clock::{Clock, show_clock_difference};
use crate::config::Config;
use crate::index::Index;
use crate::mail::OutboxSender;
use crate::os::blocking::blocking;
use crate::pacing::Pacing;
use crate::source::{RunSignals, Sources};
use crate::types::{MonotonicMs, WallMs};
use crate::watch::{Clocks, Jump, sleep};
use crate::watchdog::{LoopPulse, Outside};
use crate::work::{Queue, SourceQueue};

/// Paths put back into the queue per beat and source.
const RETRIES_PER_BEAT: usize = 256;

/// Beats between checks for scans that have become due.
const SLOW_BEATS: u64 = 30;

/// What the heartbeat works with.
pub(super) struct Heartbeat<'a> {
    pub(super) config: &'a Config,
    pub(super) sources: &'a Sources,
    pub(super) index: &'a Index,
    pub(super) queue: &'a Queue,
    pub(super) clock: &'a Clock,
    pub(super) signals: &'a RunSignals,
    pub(super) outbox: &'a OutboxSender,
    pub(super) broken: &'a Broken,
    pub(super) pulse: &'a LoopPulse,
}

impl Heartbeat<'_> {
    /// Beat; never ends.
    pub(super) async fn run(&self) {
        let mut last = self.clocks();
        let mut mending = Mending::default();
        let mender = IndexMender {
            config: self.config,
            sources: self.sources,
            index: self.index,
            clock: self.clock,
            outbox: self.outbox,
        };
        let mut beats: u64 = 0;
        loop {
            let work_ms = self.clock.monotonic_ms() - last.monotonic_ms;
            tokio::time::sleep(BEAT).await;
            beats += 1;
            let now = self.clocks();
            let now_ms = now.wall_ms;
            // The beat's own work may take long, and is no sleep.
            let expected_ms = work_ms + i64::try_from(BEAT.as_millis()).unwrap_or(0);
            if let Some(jump) = sleep::jump(last, now, expected_ms) {
                self.after(jump);
            }
            last = now;
            let at_index = async {
                mending.mend_index(&mender).await;
                self.broken.set(mending.broken.clone());
                self.retry(now_ms).await;
            };
            self.pulse.outside(Outside::Index, at_index).await;
            for source in self.sources.iter() {
                let monotonic_ms = self.clock.monotonic_ms();
                bring_back(&source.pacing, &source.work.queue, monotonic_ms, now_ms);
            }
            // A circuit breaker lets a probe through when its time has come.
            self.queue.wake();
            if beats.is_multiple_of(SLOW_BEATS) {
                self.look_slowly();
            }
        }
    }

    fn look_slowly(&self) {
        for source in self.sources.iter() {
            source.work.scans.ripen();
        }
        if let Some(first) = self.sources.first() {
            show_clock_difference(self.clock, &first.status);
        }
    }

    fn clocks(&self) -> Clocks {
        Clocks {
            wall_ms: self.clock.now_ms(),
            monotonic_ms: self.clock.monotonic_ms(),
        }
    }

    /// Scan everything and have the watches proved: nobody may have heard of what happened
    /// meanwhile.
    fn after(&self, jump: Jump) {
        match jump {
            Jump::Asleep(ms) => tracing::info!(
                slept_s = ms / 1000,
                "the computer was asleep or its clock was set forward: scanning all folders"
            ),
            Jump::SetBack(ms) => tracing::info!(
                back_s = ms / 1000,
                "the clock was set back: scanning all folders"
            ),
        }
        for source in self.sources.iter() {
            source.work.scans.ask_whole(false);
        }
        self.signals.wake();
    }

    /// Put paths that are due for another try into the queue.
    async fn retry(&self, now_ms: WallMs) {
        for source in self.sources.iter() {
            let (index, id) = (self.index.clone(), source.id);
            let due = blocking(move || index.due(id, now_ms, RETRIES_PER_BEAT)).await;
            match due {
                Ok(due) => {
                    for key in due {
                        let monotonic_ms = self.clock.monotonic_ms();
                        // A full lane is no loss: it is still due at the next beat.
                        let _ = source.work.queue.push_retry(key.path(), monotonic_ms);
                    }
                }
                Err(fault) => tracing::error!("{fault}"),
            }
        }
    }
}

/// Put paced paths into the queue when their next version is due: among the edits, since
/// a first backup fills the other lane for days. One that has its turn just now gets
/// another.
fn bring_back(pacing: &Pacing, queue: &SourceQueue, monotonic_ms: MonotonicMs, now_ms: WallMs) {
    for path in pacing.due(now_ms, RETRIES_PER_BEAT) {
        let pushed = queue.push_edit(path.clone(), monotonic_ms, false);
        if pushed.is_err() {
            // The lane is full: try again at the next beat.
            pacing.wait_on(path, now_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pacing::Policy;
    use crate::types::RelPath;
    use crate::work::{Item, Lane, Readiness};
    use futures::FutureExt as _;

    const HOUR_MS: i64 = 60 * 60 * 1000;

    fn path(name: &str) -> RelPath {
        RelPath::from_bytes(name).unwrap()
    }

    /// One source, in which `db` waits for its next version.
    fn worn_out() -> Pacing {
        let pacing = Pacing::new(Policy {
            min_interval_ms: HOUR_MS.cast_unsigned(),
            per_hour_max: 0,
        });
        assert!(!pacing.may_store(&path("db"), WallMs(0), WallMs(1)));
        pacing
    }

    fn pop(queue: &Queue, of: &[SourceQueue], lanes: &[Lane]) -> Option<Item<SourceQueue>> {
        let may_start = |_: &SourceQueue, _: &RelPath, lane: Lane| lanes.contains(&lane);
        queue
            .pop(of, may_start, |_, _| Readiness::Now)
            .now_or_never()
            .flatten()
    }

    #[tokio::test]
    async fn what_is_due_goes_before_a_backlog_that_is_full() {
        let (pacing, (queue, of)) = (worn_out(), Queue::new(1, 2, 4));
        for name in ["first", "second"] {
            of[0].push_backlog(path(name), MonotonicMs(0)).await;
        }
        bring_back(&pacing, &of[0], MonotonicMs(7), WallMs(HOUR_MS - 1));
        assert_eq!(of[0].depth().edits, 0);
        bring_back(&pacing, &of[0], MonotonicMs(7), WallMs(HOUR_MS));
        assert_eq!(pacing.waiting(), (0, None));
        let item = pop(&queue, &of, &[Lane::Edit, Lane::Backlog]).unwrap();
        assert_eq!((item.path, item.since_ms), (path("db"), MonotonicMs(7)));
    }

    #[tokio::test]
    async fn what_is_due_while_a_worker_has_it_is_worked_on_again() {
        let (pacing, (queue, of)) = (worn_out(), Queue::new(1, 2, 4));
        of[0].push_edit(path("db"), MonotonicMs(0), false).unwrap();
        let item = pop(&queue, &of, &[Lane::Edit]).unwrap();
        bring_back(&pacing, &of[0], MonotonicMs(7), WallMs(HOUR_MS));
        assert!(pop(&queue, &of, &[Lane::Edit]).is_none());
        queue.done(&item);
        let again = pop(&queue, &of, &[Lane::Edit]).unwrap();
        assert_eq!((again.path, again.since_ms), (path("db"), MonotonicMs(7)));
    }

    #[tokio::test]
    async fn what_is_due_while_no_more_edits_fit_waits_on() {
        let (pacing, (queue, of)) = (worn_out(), Queue::new(1, 1, 4));
        of[0]
            .push_edit(path("letter"), MonotonicMs(0), false)
            .unwrap();
        bring_back(&pacing, &of[0], MonotonicMs(7), WallMs(HOUR_MS));
        assert_eq!(pacing.waiting().0, 1);
        queue.done(&pop(&queue, &of, &[Lane::Edit]).unwrap());
        bring_back(&pacing, &of[0], MonotonicMs(8), WallMs(HOUR_MS + 1));
        assert_eq!(pop(&queue, &of, &[Lane::Edit]).unwrap().path, path("db"));
    }
}
