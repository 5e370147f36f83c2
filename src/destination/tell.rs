//! Saying at once, by message, that a destination is not what a backup needs,
//! and that it is again.

use super::known::{Destination, place_name};
use super::policy::Owed;
use super::report::Place;
use super::trouble::change;
use crate::mail::OutboxSender;
use crate::os;
use crate::types::Fault;
use std::sync::Arc;

/// Put every message that is owed into the outbox. What cannot even be kept is
/// tried again at the next call.
///
/// # Errors
/// A message can neither be kept nor sent.
pub async fn tell(destination: &Arc<Destination>, outbox: &OutboxSender) -> Result<(), Fault> {
    let _one = destination.memory.telling.lock().await;
    let now_ms = destination.clock.server_now_ms();
    let owed: Vec<Owed> = destination.memory().troubles.owed(now_ms);
    for one in owed {
        let message = Place {
            computer: &os::computer_name(),
            source: &destination.source.name,
            destination: &place_name(destination),
            time_zone: &destination.config.schedule.time_zone,
        }
        .message(&one, now_ms);
        outbox.keep(message).await?;
        change(destination, |troubles| troubles.told(&one, now_ms)).await;
    }
    Ok(())
}
