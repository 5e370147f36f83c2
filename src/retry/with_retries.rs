//! One request, tried again while its failure passes by itself.

use super::retries::{Retries, Stop};
use crate::types::Fault;

/// Try `work` until it is done, until its failure is none that passes by itself, until
/// it was tried often enough, or until the run is asked to stop.
///
/// # Errors
/// The last failure.
pub(crate) async fn with_retries<T, Work>(
    stop: &mut Stop,
    mut work: impl FnMut() -> Work,
) -> Result<T, Fault>
where
    Work: Future<Output = Result<T, Fault>>,
{
    let mut retries = Retries::default();
    loop {
        match work().await {
            Err(fault) if retries.again(&fault, stop).await => {}
            done => return done,
        }
    }
}
