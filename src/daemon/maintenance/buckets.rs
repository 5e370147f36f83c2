//! Asks buckets what nobody else asks them.

use super::beat::BEAT;
use crate::clock::Clock;
use crate::destination;
use crate::s3::Store;
use crate::source::{SourceRuntime, Sources, announce, neighbours};
use crate::types::Class;
use std::sync::Arc;

/// Ask whether a bucket that failed answers again although nothing waits for it, and
/// whether it keeps versions by now; never ends.
pub(super) async fn ask(sources: &Sources, store: &Store, clock: &Clock) {
    loop {
        tokio::time::sleep(BEAT).await;
        for source in sources.iter() {
            if is_first_of_its_bucket(sources, source) {
                ask_idle(sources, store, clock, source).await;
            }
            ask_destination(source, clock).await;
        }
    }
}

/// One source asks for all that share its bucket.
pub(super) fn is_first_of_its_bucket(sources: &Sources, source: &Arc<SourceRuntime>) -> bool {
    neighbours(sources, source)
        .next()
        .is_some_and(|first| Arc::ptr_eq(first, source))
}

/// Ask a bucket that failed and that nothing waits for: no upload would find out that it
/// is back. So, too, one at which a few paths fail and nothing else is tried.
async fn ask_idle(sources: &Sources, store: &Store, clock: &Clock, source: &Arc<SourceRuntime>) {
    // A file on a drive that does not answer asks no bucket.
    let waits = |source: &Arc<SourceRuntime>| {
        source.watchdog.may_work() && source.work.queue.depth().total() > 0
    };
    if neighbours(sources, source).any(waits) || !source.breaker.may_ask_idle(clock.now_ms()) {
        return;
    }
    let answer = store.reach(&source.config.bucket).await;
    let told = match &answer {
        // A bucket that does not allow listing answers, too.
        Err(fault) if fault.class != Class::Denied => Err(fault),
        _ => Ok(()),
    };
    let change = source.breaker.idle(told, clock.now_ms());
    announce(sources, source, change);
}

/// Ask what is due. Where nothing is to be stored, nobody else finds out that the bucket does
/// not answer any more.
async fn ask_destination(source: &SourceRuntime, clock: &Clock) {
    let is_out = source.breaker.outage().is_some();
    let unanswered = destination::ask_if_due(&source.destination, is_out).await;
    if unanswered.is_some_and(|fault| fault.class.is_destination()) {
        source.breaker.doubt(clock.now_ms());
    }
}
