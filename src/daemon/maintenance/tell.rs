//! Tells at once of deletions that are held back, and of trouble with a destination.

use super::beat::BEAT;
use crate::destination;
use crate::guard;
use crate::mail::OutboxSender;
use crate::source::Sources;
use crate::types::Fault;

/// Tell what is owed, beat by beat; never ends.
pub(super) async fn at_once(sources: &Sources, outbox: &OutboxSender) {
    loop {
        tokio::time::sleep(BEAT).await;
        tell_of_sources(sources, outbox, false).await;
    }
}

/// Put what is owed into the outbox. At the end of a run (`at_the_end`) nothing waits for
/// what is still to be stored.
pub(crate) async fn tell_of_sources(sources: &Sources, outbox: &OutboxSender, at_the_end: bool) {
    if let Err(fault) = tell_of_guards(sources, outbox, at_the_end).await {
        tracing::error!("{fault}");
    }
    for source in sources.iter() {
        if let Err(fault) = destination::tell(&source.destination, outbox).await {
            tracing::error!("{fault}");
        }
    }
}

/// The first failure ends it: the next message could not be kept either.
async fn tell_of_guards(
    sources: &Sources,
    outbox: &OutboxSender,
    at_the_end: bool,
) -> Result<(), Fault> {
    for source in sources.iter() {
        guard::tell(&source.guard, outbox, at_the_end).await?;
    }
    Ok(())
}
