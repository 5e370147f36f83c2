//! Saying in log and status that a bucket cannot be used, or can again.

use super::runtime::SourceRuntime;
use crate::destination::Kind;
use crate::retry::Transition;
use crate::status::Event;
use crate::types::Fault;
use std::sync::Arc;

/// Say that the bucket of `source` cannot be used, or that it can again, for all of
/// `sources` that go there.
pub fn announce(
    sources: &[Arc<SourceRuntime>],
    source: &SourceRuntime,
    change: Option<Transition>,
) {
    let Some(change) = change else { return };
    for source in neighbours(sources, source) {
        match &change {
            Transition::Opened { fault } => hold(source, fault),
            Transition::Closed { after_ms } => go_on(source, *after_ms),
        }
    }
    source.work.queue.wake();
}

/// The sources that go to the same bucket, itself included.
pub fn neighbours<'a>(
    sources: &'a [Arc<SourceRuntime>],
    source: &SourceRuntime,
) -> impl Iterator<Item = &'a Arc<SourceRuntime>> {
    let same = |other: &&Arc<SourceRuntime>| other.breaker.shares_bucket(&source.breaker);
    sources.iter().filter(same)
}

fn hold(source: &SourceRuntime, fault: &Fault) {
    tracing::error!(source = %source.name(), "uploads are on hold: {fault}");
    show_outage(source);
    source.status.tell(Event::Outage {
        source: source.status.name(),
        fault: fault.clone(),
    });
}

fn go_on(source: &SourceRuntime, after_ms: u64) {
    tracing::info!(source = %source.name(), after_s = after_ms / 1000, "uploads go on");
    show_outage(source);
    source.work.queue.forget_tries();
    source.destination.doubt();
    if source.destination.has(Kind::Unmarked) {
        // Permissions may be mended: mark what could not be marked.
        source.work.scans.ask_whole(false);
    }
    source.status.tell(Event::Recovered {
        source: source.status.name(),
        after_ms,
    });
}

/// As it is now: it may have changed again since.
fn show_outage(source: &SourceRuntime) {
    source.status.update(|status| {
        status.outage = source.breaker.outage();
    });
}
