//! One request, tried again while its failure passes by itself.

use super::patience::{Patience, Stop};
use crate::types::Fault;

/// Try `work` until it is done, until its failure is none that passes by itself, until
/// it was tried often enough, or until the run is asked to stop.
///
/// # Errors
/// The last failure.
pub(crate) async fn patiently<T, Work>(
    stop: &mut Stop,
    mut work: impl FnMut() -> Work,
) -> Result<T, Fault>
where
    Work: Future<Output = Result<T, Fault>>,
{
    let mut patience = Patience::default();
    loop {
        match work().await {
            Err(fault) if patience.again(&fault, stop).await => {}
            done => return done,
        }
    }
}
