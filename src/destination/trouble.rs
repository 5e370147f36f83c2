//! What is wrong with a destination: kept, shown and counted by.

use super::known::{Destination, STATE};
use super::policy::{Kind, Trouble, Troubles};
use crate::os::blocking::blocking;
use crate::types::{Class, Fault, chain};
use std::sync::Arc;

/// All that is wrong with a source's destination.
pub fn troubles(destination: &Destination) -> Vec<Trouble> {
    let memory = destination.memory();
    memory.troubles.standing().to_vec()
}

/// Put what stands onto the board, for `status`.
pub fn show(destination: &Destination) {
    let standing = troubles(destination);
    for topic in Kind::TOPICS {
        let lines: Vec<String> = standing
            .iter()
            .filter(|trouble| trouble.kind.topic() == topic)
            .map(Trouble::line)
            .collect();
        let text = (!lines.is_empty()).then(|| lines.join("; "));
        if destination.status.warn(topic, text.clone()) {
            let name = &destination.source.name;
            match text {
                Some(text) => tracing::warn!(source = %name, "{text}"),
                None => tracing::info!(source = %name, "the destination is well again ({topic})"),
            }
        }
    }
}

/// Change what is known of a destination; if that made a difference, save and show it.
pub(super) async fn change(destination: &Arc<Destination>, change: impl FnOnce(&mut Troubles)) {
    let changed = {
        let mut memory = destination.memory();
        let before = memory.troubles.clone();
        change(&mut memory.troubles);
        (memory.troubles != before).then(|| memory.troubles.clone())
    };
    if let Some(troubles) = changed {
        let shared = Arc::clone(destination);
        let saved = blocking(move || {
            let id = shared.id;
            let name = &shared.source.name;
            let value = serde_json::to_value(&troubles)
                .map_err(|e| Fault::new(Class::Local, "remember", name, chain(&e)))?;
            shared.index.source_state_set(id, STATE, &value)
        });
        if let Err(fault) = saved.await {
            // Memory has it; after a restart it is found and told anew.
            tracing::error!("{fault}");
        }
    }
    show(destination);
}
