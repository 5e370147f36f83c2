//! Waits for versions that are being thawed, and has them fetched.

use super::report::Event;
use super::request::Pass;
use super::run::Run;
use super::thaw_queue::WAITED_FOR_MAX;
use crate::history::Chosen;
use crate::types::{Fatal, Fault, Speed};
use std::time::Duration;
use tokio::time::Instant;

/// How often it is looked. Thawing takes hours, save for the fastest kind.
const LOOK_EVERY: Duration = Duration::from_secs(5 * 60);
const LOOK_EVERY_EXPEDITED: Duration = Duration::from_secs(60);

/// The slowest kind takes 48 hours; by then and half a day more it has failed.
const WAIT_MAX: Duration = Duration::from_secs(60 * 3600);

/// Objects that are looked at together. When none of them is there yet the next
/// look is the next time: asking all of them would cost more than the thawing.
const LOOKED_AT: usize = 16;

impl Run {
    /// An object that is being thawed: waited for, or named.
    pub(crate) fn wait_or_name(&mut self, chosen: Chosen, fault: Fault) {
        if self.ctx.options.wait && self.waiting.0.len() < WAITED_FOR_MAX {
            self.waiting.0.push_back((chosen, fault));
        } else {
            self.ctx.stats.failed(fault);
        }
    }

    /// Fetch what is thawed, until nothing is waited for or it is long enough.
    pub(crate) async fn wait_for_thawing(&mut self, pass: Pass) -> Result<(), Fatal> {
        let expedited = self.ctx.options.thaw.map(|thaw| thaw.speed) == Some(Speed::Expedited);
        let every = match expedited {
            true => LOOK_EVERY_EXPEDITED,
            false => LOOK_EVERY,
        };
        let began = Instant::now();
        while !self.waiting.0.is_empty() && began.elapsed() < WAIT_MAX {
            self.ctx.stats.report(Event::Thawing {
                objects: self.waiting.0.len() as u64,
                waited: began.elapsed(),
            });
            tokio::time::sleep(every).await;
            self.try_again(pass).await?;
        }
        for (_, fault) in std::mem::take(&mut self.waiting).0 {
            self.ctx.stats.failed(fault);
        }
        Ok(())
    }

    /// From the longest waiting on, as long as some of them are there.
    async fn try_again(&mut self, pass: Pass) -> Result<(), Fatal> {
        let mut left = self.waiting.0.len();
        while left > 0 {
            let now = left.min(LOOKED_AT);
            left -= now;
            let before = self.waiting.0.len();
            for (chosen, _) in self.waiting.0.drain(..now).collect::<Vec<_>>() {
                self.hand_out(chosen, pass).await?;
            }
            self.finish().await?;
            if self.waiting.0.len() == before {
                break;
            }
        }
        Ok(())
    }
}
