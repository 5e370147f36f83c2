//! The parts of one upload that are under way, and how many may be.
//!
//! Invariant: what a broken line costs is bounded by time, not by the number of parts: a
//! slow line carries one at a time, a fast one a few.

use super::halt::{Halt, PartResult};
use crate::s3::PartDone;
use crate::transfer::begin::session::Session;
use crate::transfer::send::{Cost, Job, local_fault};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Parts of one file on the wire at once: enough to fill a fast line, few enough
/// that several files share the budget.
const PARTS_IN_FLIGHT: usize = 4;

/// No more of them than the line takes in this time: what is on the wire when it breaks is
/// sent again. Where one part takes longer, the line is idle for a few hundredths between
/// two parts.
const IN_FLIGHT_MAX: Duration = Duration::from_secs(4);

/// Copied parts that the server works on at once: they take neither line nor
/// memory, but more would look like an attack to a small server.
const COPIES_IN_FLIGHT: usize = 8;

/// How many parts that are sent may be on the wire at once: one until the first
/// has shown how fast the line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Width(usize);

impl Default for Width {
    fn default() -> Self {
        Self(1)
    }
}

impl Width {
    /// A part took so long from its beginning on, with `beside` parts on the
    /// wire, itself included.
    fn learn(&mut self, took: Duration, beside: usize) {
        let line = IN_FLIGHT_MAX.saturating_mul(u32::try_from(beside).unwrap_or(1));
        let parts = line.as_millis() / took.as_millis().max(1);
        self.0 = usize::try_from(parts).map_or(PARTS_IN_FLIGHT, |n| n.clamp(1, PARTS_IN_FLIGHT));
    }
}

/// Parts under way. Dropping it stops those that are still on the wire.
#[derive(Default)]
pub(crate) struct PartsInFlight {
    set: JoinSet<(PartResult, Duration)>,
    sends: usize,
    width: Width,
    copies: usize,
    /// Number of the last part.
    pub(crate) last: i32,
    pub(crate) has_copies: bool,
    pub(crate) done: Vec<PartDone>,
    pub(crate) cost: Cost,
    /// The bucket has taken something in this session.
    works: bool,
}

impl PartsInFlight {
    /// Wait until one more may go.
    pub(crate) async fn wait_for_room(
        &mut self,
        job: &Job,
        session: &Session,
        is_copy: bool,
    ) -> Result<(), Halt> {
        while !self.has_room(job, is_copy) {
            self.collect(job, session).await?;
        }
        Ok(())
    }

    /// Nothing is under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    fn has_room(&self, job: &Job, is_copy: bool) -> bool {
        let at_once = (job.wire.at_once)().max(1);
        if is_copy {
            self.copies < at_once.min(COPIES_IN_FLIGHT)
        } else {
            self.sends < at_once.min(self.width.0)
        }
    }

    pub(crate) fn begin(
        &mut self,
        is_copy: bool,
        bytes: u64,
        task: impl Future<Output = PartResult> + Send + 'static,
    ) {
        self.cost.requests += 1;
        self.has_copies |= is_copy;
        let (count, sum) = if is_copy {
            (&mut self.copies, &mut self.cost.reused_bytes)
        } else {
            (&mut self.sends, &mut self.cost.sent_bytes)
        };
        *count += 1;
        *sum += bytes;
        self.set.spawn(async move {
            let began = Instant::now();
            (task.await, began.elapsed())
        });
    }

    pub(crate) async fn collect(&mut self, job: &Job, session: &Session) -> Result<(), Halt> {
        let Some(joined) = self.set.join_next().await else {
            return Ok(());
        };
        let (result, took) = joined.map_err(|e| local_fault(&job.path, &e))?;
        let (part, bytes, is_copy) = result?;
        if is_copy {
            self.copies -= 1;
        } else {
            self.width.learn(took, self.sends);
            self.sends -= 1;
        }
        if !std::mem::replace(&mut self.works, true) {
            (job.wire.works)();
        }
        session.acknowledged(&part, bytes).await;
        self.done.push(part);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_line_has_fewer_parts_on_its_way() {
        for (took_ms, beside, want) in [
            // 8 MiB each. Ten Mbit/s, alone: it fills the line.
            (6_700, 1, 1),
            // Forty Mbit/s, alone and beside another.
            (1_700, 1, 2),
            (3_400, 2, 2),
            // It has become slow.
            (13_000, 2, 1),
            (60_000, 4, 1),
            // Loopback; a clock that saw no time pass.
            (20, 1, PARTS_IN_FLIGHT),
            (0, 4, PARTS_IN_FLIGHT),
        ] {
            let mut width = Width::default();
            assert_eq!(width, Width(1));
            width.learn(Duration::from_millis(took_ms), beside);
            assert_eq!(width, Width(want), "{took_ms} ms beside {beside}");
        }
    }
}
