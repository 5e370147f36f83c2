//! Who is told of a finding, and when it is over.
//!
//! Invariant: a finding counts as told only once its message cannot be lost any more; it
//! is told once; its end is told to those who heard of it.

use super::book;
use super::outcome::{Drill, Failure};
use super::report::{Drilled, drill_alert, drill_over};
use crate::config::Config;
use crate::index::Index;
use crate::mail::{Message, OutboxSender, commands};
use crate::types::Fault;

/// Messages of a drill to the owner.
pub(crate) struct OwnerMail<'a> {
    pub(crate) config: &'a Config,
    pub(crate) outbox: &'a OutboxSender,
}

impl OwnerMail<'_> {
    /// Tell the end of findings that the owner has heard of: they are `over`, or `mended`,
    /// where the file is whole again and only its past is not.
    pub(crate) async fn tell_over(
        &self,
        mut over: Vec<Failure>,
        mut mended: Vec<Failure>,
    ) -> Result<(), Fault> {
        over.retain(|finding| finding.told);
        mended.retain(|finding| finding.told);
        if over.is_empty() && mended.is_empty() {
            return Ok(());
        }
        self.keep(&over, |drilled| drill_over(drilled, &mended))
            .await
    }

    async fn keep(
        &self,
        failures: &[Failure],
        say: impl FnOnce(&Drilled<'_>) -> Message,
    ) -> Result<(), Fault> {
        let message = say(&Drilled {
            computer: &crate::os::computer_name(),
            failures,
            program: &commands::program(self.config),
            time_zone: &self.config.schedule.time_zone,
        });
        self.outbox.keep(message).await?;
        Ok(())
    }
}

/// Tell what has not been told, and keep it until it is over.
pub(crate) async fn new_ones(
    index: &Index,
    mail: &OwnerMail<'_>,
    found: &mut [Failure],
) -> Result<(), Fault> {
    if found.is_empty() {
        return Ok(());
    }
    let mut open = book::findings(index).await?;
    for failure in found.iter_mut() {
        match open.iter().find(|known| known.is_same(failure)) {
            Some(known) => {
                failure.since_ms = known.since_ms;
                failure.told = known.told;
            }
            None if book::has_room(&open, failure) => open.push(failure.clone()),
            None => {}
        }
    }
    let untold: Vec<Failure> = open.iter().filter(|f| !f.told).cloned().collect();
    if !untold.is_empty() {
        mail.keep(&untold, drill_alert).await?;
        for failure in open.iter_mut().chain(found.iter_mut()) {
            failure.told = true;
        }
    }
    book::keep_findings(index, &open).await
}

/// What is known of the past that nobody can mend: named in each digest.
pub(crate) async fn lasting(index: &Index, drill: &mut Drill) -> Result<(), Fault> {
    let known = book::findings(index).await?;
    let is_new = |known: &Failure| drill.failures.iter().any(|found| found.is_same(known));
    let lasting = known.into_iter().filter(|f| f.is_older && !is_new(f));
    drill.lasting = lasting.collect();
    drill.lasting_total = drill.lasting.len() as u64;
    Ok(())
}
