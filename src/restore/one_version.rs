//! One version restored by itself, as a restore of everything would.

use super::carry_out::bring_exactly;
use super::context::RestoreContext;
use super::folders::Folders;
use super::outcome::Outcome;
use super::range_buffer::MemoryBudget;
use super::request::{Options, Pass};
use super::stale_files::StaleFiles;
use super::stats::RestoreStats;
use crate::files::Target;
use crate::history::{Chosen, Selector};
use crate::retry::Stop;
use crate::s3::Store;
use crate::types::{Fault, Origin};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Restore exactly this version into the target, which is not looked at as a whole.
///
/// # Errors
/// It cannot be had or written, or is not what was stored.
pub(crate) async fn restore_version(
    store: &Store,
    origin: &Origin,
    chosen: &Chosen,
    target: &Arc<Target>,
    stop: &Stop,
) -> Result<Outcome, Fault> {
    let options = Options::default();
    let stats = Arc::new(RestoreStats::new(Box::new(|_| ())));
    let ctx = Arc::new(RestoreContext {
        store: store.clone(),
        origin: origin.clone(),
        selector: Selector::everything(),
        folders: Folders::new(target.clone(), stats.clone(), &options),
        target: target.clone(),
        options,
        stats,
        stop: stop.clone(),
        memory: MemoryBudget::default(),
        large_files: Semaphore::new(1),
        is_fresh: false,
        at_ms: None,
        stale: StaleFiles::default(),
    });
    match bring_exactly(&ctx, chosen, Pass::Files).await? {
        Outcome::PutOff => bring_exactly(&ctx, chosen, Pass::LinksAndFolders).await,
        outcome => Ok(outcome),
    }
}
