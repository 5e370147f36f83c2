//! What everything that reads or writes entries has in common: values as JSON, a
//! batch with the numbers of its source, a fault with the name of its path.

use super::engine::{Batch, Engine};
use super::keys::Space;
use super::ledger::{SourceLedger, SourceTotals};
use super::types::{SourceId, SourceIdentity};
use crate::types::{Class, Fault, RelKey};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Read a value that is JSON.
pub(super) fn read<T: DeserializeOwned>(engine: &Engine, key: &[u8]) -> Result<Option<T>, Fault> {
    engine
        .get(key)?
        .map(|value| from_json(engine, &value))
        .transpose()
}

pub(super) fn from_json<T: DeserializeOwned>(engine: &Engine, value: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(value).map_err(|error| engine.damaged(&format!("an entry: {error}")))
}

/// A value as JSON. Our own types always have one.
pub(super) fn json<T: Serialize>(engine: &Engine, value: &T) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec(value).map_err(|error| {
        let subject = engine.folder().display().to_string();
        Fault::new(Class::Local, "write the index", subject, error.to_string())
    })
}

/// Apply a batch together with the source's line, when that changed; memory
/// follows only once the disk has taken it.
pub(super) fn apply_with_totals(
    engine: &Engine,
    mut batch: Batch,
    source_id: SourceId,
    source: &mut SourceLedger,
    totals: SourceTotals,
) -> Result<(), Fault> {
    if totals != source.totals {
        batch.put(Space::Totals.key(source_id, b""), totals.encode());
    }
    if !batch.0.is_empty() {
        engine.apply(batch)?;
    }
    source.totals = totals;
    Ok(())
}

/// The fault, named after the path rather than the index's folder.
pub(super) fn about(fault: Fault, key: &RelKey) -> Fault {
    fault.about(key.path().to_string())
}

/// Add to a batch who a source is.
pub(super) fn put_identity(
    engine: &Engine,
    batch: &mut Batch,
    id: SourceId,
    identity: &SourceIdentity,
) -> Result<(), Fault> {
    batch.put(Space::Source.key(id, b""), json(engine, identity)?);
    Ok(())
}
