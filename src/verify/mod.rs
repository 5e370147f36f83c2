//! Is the bucket as it should be? Index, disk and list of versions side by side.
//!
//! Both sides are streamed in key order and nothing is held of either but a
//! page, so memory does not grow with the bucket. Each version that matters is
//! asked about (HEAD), and downloaded and hashed where that is wanted. It reads
//! and never changes anything, neither here nor there. Called by `verify::repair`
//! with an index, by the command line without one.

mod covered;
mod draw;
pub(crate) mod findings;
mod groups;
mod judge;
mod look;
mod manifests;
pub mod repair;
mod request;
mod run;

pub use findings::{Ask, Damage, Deep, Finding, Never, Progress, Repair, Verified, WholeVersion};
pub use judge::is_cold;
pub use repair::Repairer;
pub use request::{VerifyEvent, VerifyRequest};

use crate::retry::Stop;
use crate::s3::Store;
use crate::types::Fatal;
use look::Shop;
use run::Run;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};

/// Downloads at once, as many as a restore makes; each holds a thread.
const DOWNLOADS_AT_ONCE: usize = 8;

/// Verify one source.
///
/// # Errors
/// [`Fatal`] when nothing can be said: no listing, no credentials, no index, a
/// server that is gone; and when told to stop.
pub async fn verify(
    store: &Store,
    request: VerifyRequest,
    report: impl Fn(VerifyEvent<'_>) + Send + Sync,
    stop: &Stop,
) -> Result<Verified, Fatal> {
    // The looks' own: they also end when the run does for another reason.
    let (end, ended) = watch::channel(false);
    let shop = Arc::new(Shop {
        store: store.clone(),
        name: request.name.clone(),
        origin: request.origin.clone(),
        known: request.known.clone(),
        deep: request.deep != Deep::No,
        stop: Stop::new(ended),
        downloads: Semaphore::new(DOWNLOADS_AT_ONCE),
    });
    let mut run = Run::new(shop, &request, &report);
    let _end = EndOnDrop(end);
    let mut stop = stop.clone();
    tokio::select! {
        done = run.all() => done?,
        () = stop.asked() => return Err(Fatal::interrupted("verify everything")),
    }
    let mut result = run.into_result();
    result.unmatched = request.selector.unmatched();
    Ok(result)
}

/// Lets what still runs on other threads end, also when the run is dropped.
struct EndOnDrop(watch::Sender<bool>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}
